"""Faults on demand, for tests of everything that has to survive an instrument: a driver around another driver."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.errors import DeviceFailed
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock, PointStatus


@dataclass(frozen=True)
class Faults:
    """What goes wrong; points are counted over all requests from the start of the driver.

    Attributes:
        fail_after_points: the device fails once this many points were measured, and at every scan thereafter.
        hang_after_points: the device stops answering once this many points were measured, until it is released.
        failed_ids: these points come back as `PointStatus.FAILED`.
        fail_light: the PL camera fails.
        fail_park: the beam cannot be blanked.
    """

    fail_after_points: int | None = None
    hang_after_points: int | None = None
    failed_ids: frozenset[int] = field(default_factory=frozenset[int])
    fail_light: bool = False
    fail_park: bool = False


class FaultyDriver:
    """`inner` with faults. `hanging` is set while it hangs; `release` lets it go on."""

    capabilities: Capabilities

    def __init__(self, inner: InstrumentDriver, faults: Faults) -> None:
        self.inner = inner
        self.faults = faults
        self.capabilities = inner.capabilities
        self.measured = 0
        self.hanging = threading.Event()
        self._released = threading.Event()

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        """Like the inner driver's, up to the point at which the fault strikes.

        Raises:
            DeviceFailed: the injected fault.
        """
        blocks = self.inner.scan(request)
        try:
            self._strike()
            for block in blocks:
                for part in self._split(block):
                    self.measured += len(part)
                    yield mark_failed(part, self.faults.failed_ids)
                    self._strike()
        finally:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()

    def _split(self, block: PointBlock) -> Iterator[PointBlock]:
        """Cut a block where a fault is due."""
        limits = (self.faults.fail_after_points, self.faults.hang_after_points)
        inside = sorted(n - self.measured for n in limits if n is not None and 0 < n - self.measured < len(block))
        bounds = [0, *inside, len(block)]
        for first, last in pairwise(bounds):
            if last > first:
                yield block.select(slice(first, last))

    def _strike(self) -> None:
        limit = self.faults.fail_after_points
        if limit is not None and self.measured >= limit:
            raise DeviceFailed(f"{self.capabilities.name} failed after {self.measured} points.", field="points")
        pause = self.faults.hang_after_points
        if pause is not None and self.measured >= pause:
            self.hanging.set()
            self._released.wait()
            self.hanging.clear()

    def release(self) -> None:
        """End the hanging, for good."""
        self._released.set()

    def light(self, section: int, angles_deg: tuple[float, ...]) -> NDArray[np.float32]:
        """Like the inner driver's.

        Raises:
            DeviceFailed: the injected fault.
        """
        if self.faults.fail_light:
            raise DeviceFailed(f"The PL camera of {self.capabilities.name} does not answer.", field="light")
        return self.inner.light(section, angles_deg)

    def park(self) -> None:
        """Like the inner driver's.

        Raises:
            DeviceFailed: the injected fault.
        """
        if self.faults.fail_park:
            raise DeviceFailed(f"The beam of {self.capabilities.name} cannot be blanked.", field="beam")
        self.inner.park()


def mark_failed(block: PointBlock, ids: frozenset[int]) -> PointBlock:
    """The block with the points of these ids failed: no phase, no orientation, no confidence."""
    failed = np.isin(block.point_id, sorted(ids))
    if not failed.any():
        return block
    changed: dict[str, Any] = {
        "status": np.where(failed, PointStatus.FAILED, block.status).astype(np.uint8),
        "phase_id": np.where(failed, 0, block.phase_id).astype(np.uint8),
        "orientation": np.where(failed[:, None], (1, 0, 0, 0), block.orientation).astype(np.float32),
        "confidence": np.where(failed, 0, block.confidence).astype(np.float32),
        "fit_deg": np.where(failed, 180, block.fit_deg).astype(np.float32),
    }
    return PointBlock(**{**block.__dict__, **changed})
