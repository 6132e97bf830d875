"""The instrument service dies by SIGKILL in the middle of a scan and is started again on its spool."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.errors import GrainloopError, RemoteError
from grainloop.protocols.hosting.batches import LOST
from grainloop.protocols.messages import InstrumentReply, PointsMeasured, ScanDone, ScanRequest
from grainloop.protocols.values import PointBlock, PointStatus
from tests.patience import HANG_S

ROOT = Path(__file__).parents[3]
POINTS = 60
DEATHS = 5


class Nursery:
    """A process that forks services."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout

    @contextmanager
    def mortal(self, folder: Path, steps: int, ahead: int = 4, block: int = 4, disk: int = 0) -> Iterator[Mortal]:
        """A service that dies after so many steps; it is killed in the end where it has not died."""
        self._in.write(f"{folder} {steps} {ahead} {block} {disk}\n")
        self._in.flush()
        first, second = self._out.readline().split()
        mortal = Mortal(None, int(second)) if first == "died" else Mortal(second)
        yield mortal
        if mortal.endpoint is not None:
            with suppress(ProcessLookupError):
                os.kill(int(first), signal.SIGKILL)
            mortal.status = int(self._out.readline().split()[1])


@dataclass
class Mortal:
    """A service: where it listens, nowhere if it died at once; and how it ended, once it has."""

    endpoint: str | None
    status: int | None = None


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    command = [sys.executable, "-m", "tests.protocols.hosting.mortal"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Nursery(process)


def request(batch: int = 0) -> ScanRequest:
    ids = np.arange(batch * POINTS, (batch + 1) * POINTS)
    position = np.stack([ids // 100, ids % 100], axis=1).astype(np.int32)
    return ScanRequest(run="r1", batch=batch, point_id=ids, position_px=position, dwell_s=0.1)


async def attempt(endpoint: str, message: ScanRequest, told: list[PointsMeasured]) -> ScanDone | None:
    """Ask once; what came before the service died stays in `told`."""
    async with Client(endpoint, InstrumentReply, service="instrument") as client:
        try:
            return await client.request(message, deadline_s=HANG_S, on_progress=told.append)
        except GrainloopError:
            return None


def exposed(folder: Path) -> list[int]:
    path = folder / "exposed"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def points_of(told: list[PointsMeasured]) -> PointBlock:
    return PointBlock.concatenate([one.points for one in told])


@pytest.mark.parametrize(("seed", "ahead", "block"), [(1, 4, 4), (2, 1, 1), (3, 7, 3)])
def test_no_point_is_exposed_twice_however_often_the_service_dies(nursery, tmp_path, seed, ahead, block):
    rng, before, deaths, done = np.random.default_rng(seed), dict[int, PointBlock](), 0, None
    while done is None:
        steps = rng.integers(1, 60) if deaths < DEATHS else 0
        told: list[PointsMeasured] = []
        with nursery.mortal(tmp_path, steps, ahead, block) as service:
            done = asyncio.run(attempt(service.endpoint, request(), told)) if service.endpoint else None
        assert service.status == -signal.SIGKILL
        deaths += done is None
        points = points_of(told)
        for index, point in enumerate(points.point_id.tolist()):
            one = points.select(slice(index, index + 1))
            assert before.setdefault(point, one) == one, "a point was told otherwise before"
    log = exposed(tmp_path)
    assert len(set(log)) == len(log), "a point was exposed twice"
    assert sorted(points.point_id.tolist()) == [*range(POINTS)]
    assert done.points == POINTS
    lost = {point for one in told if one.lost for point in one.points.point_id.tolist()}
    assert all(one.lost in (None, LOST) for one in told)
    assert lost == set(points.point_id[points.status == PointStatus.FAILED].tolist())
    assert set(log) - lost == set(range(POINTS)) - lost
    assert len(lost) <= deaths * max(ahead, 1)
    assert np.all(points.dwell_s == np.float32(0.1))
    assert deaths > 2


@pytest.mark.parametrize("disk_bytes", [100, 3_000, 6_000])
def test_on_a_full_disk_nothing_is_exposed_that_is_not_recorded(nursery, tmp_path, disk_bytes):
    told: list[PointsMeasured] = []
    with nursery.mortal(tmp_path, 0, disk=disk_bytes) as service:
        sentence = asyncio.run(refusal(service.endpoint, request(), told))
        assert asyncio.run(refusal(service.endpoint, request(1), told)) == sentence
    assert re.fullmatch(r"The spool \S+ cannot be written: File too large\. Nothing more is exposed, .+\.", sentence)
    log = exposed(tmp_path)
    assert len(log) < POINTS
    assert points_of(told).point_id.tolist() == log, "measured points are told even so"
    again: list[PointsMeasured] = []
    with nursery.mortal(tmp_path, 0) as service:
        assert asyncio.run(attempt(service.endpoint, request(), again)) is not None
    assert sorted(points_of(again).point_id.tolist()) == [*range(POINTS)]
    assert len(set(exposed(tmp_path))) == len(exposed(tmp_path))


async def refusal(endpoint: str, message: ScanRequest, told: list[PointsMeasured]) -> str:
    async with Client(endpoint, InstrumentReply, service="instrument") as client:
        with pytest.raises(RemoteError) as caught:
            await client.request(message, deadline_s=HANG_S, on_progress=told.append)
        return str(caught.value)
