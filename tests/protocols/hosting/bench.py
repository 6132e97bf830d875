"""A driver that counts exposures and waits where a test says, and a client that keeps what it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.capabilities import Capabilities, LightCapabilities
from grainloop.protocols.errors import RemoteError
from grainloop.protocols.messages import (
    CheckHealth,
    Describe,
    PointsMeasured,
    ScanRequest,
)
from grainloop.protocols.values import Grid, LightKind, Phase, PointBlock
from tests.patience import HANG_S

LIGHT = LightCapabilities(
    kind=LightKind.ROTATION_STACK, shape_px=(4, 6), pixel_um=1.0, max_images=5, seconds_per_image=2.0
)


CAPABILITIES = Capabilities(
    name="bench SEM",
    simulated=True,
    grid=Grid(shape_px=(20, 30), step_um=1.0),
    phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
    sections=2,
    dwell_range_s=(0.01, 1.0),
    default_dwell_s=0.1,
    max_points_per_scan=50,
    light=LIGHT,
)


class Bench:
    """A driver that counts exposures, and at point `hold_at` waits to be let on."""

    def __init__(self, capabilities: Capabilities = CAPABILITIES) -> None:
        self.capabilities = capabilities
        self.exposed: list[int] = []
        self.log: list[str] = []
        self.threads: set[int] = set()
        self.clock_s = 0.0
        self.hold_at: int | None = None
        self.holding, self.let_on = threading.Event(), threading.Event()

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        self.threads.add(threading.get_ident())
        self.log.append(f"scan {request.batch}")
        try:
            for point_id, position in zip(request.point_id.tolist(), request.position_px, strict=True):
                if point_id == self.hold_at:
                    self.holding.set()
                    self.let_on.wait()
                self.clock_s += request.dwell_s
                self.exposed.append(point_id)
                yield PointBlock.one(point_id, position, time_s=self.clock_s, dwell_s=request.dwell_s)
        finally:
            self.log.append(f"end {request.batch}")

    def light(self, section: int, angles_deg: tuple[float, ...]) -> np.ndarray:
        self.threads.add(threading.get_ident())
        self.log.append("light")
        return np.full((len(angles_deg), 4, 6), 0.5, np.float32)

    def park(self) -> None:
        self.threads.add(threading.get_ident())
        self.log.append("park")


class Asker:
    """A client that keeps the points it is sent."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.points: list[int] = []

    async def ask(self, message: Any, deadline_s: float = HANG_S) -> Any:
        return await self.client.request(message, deadline_s=deadline_s, on_progress=self._keep)

    def _keep(self, message: PointsMeasured) -> None:
        self.points += message.points.point_id.tolist()


def scan(first: int = 0, count: int = 10, **fields: Any) -> ScanRequest:
    ids = np.arange(first, first + count)
    positions = np.stack([ids % 20, ids % 30], axis=1).astype(np.int32)
    return ScanRequest(**{"run": "r1", "batch": 0, "point_id": ids, "position_px": positions, "dwell_s": 0.1} | fields)


async def refused(asker: Asker, message: Any) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await asker.ask(message)
    return caught.value


async def busy(asker: Asker, count: int) -> Any:
    """The health reply once `count` requests are open."""
    while True:
        health = await asker.ask(CheckHealth())
        if f"{count} requests" in health.detail:
            return health


async def overtaken(asker: Asker) -> None:
    """Return when the service has seen what was sent, or was about to be sent, before: messages keep their order."""
    for _ in range(2):
        await asker.ask(Describe())
