"""Simulated instruments that write down every exposure, point by point, before anybody is told of it.

Loaded by name, as drivers of laboratories are. A line of the file `exposed` in the working folder is the exposure:
whatever kills the process, what was exposed is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache

import numpy as np

from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock
from tests.integration.processes import cropped

LOG = "exposed"
SIDE_PX = 32
CONFIG = SimConfig(default_dwell_s=0.005, seconds_per_image=0.002, block_points=4, speed_up=1.0)
"""A run of 256 points takes about 2 s."""


@cache
def simulator() -> SimulatedInstrument:
    return SimulatedInstrument(cropped(SIDE_PX), CONFIG)


class Exposing:
    """A simulated instrument with a log; `real` is whether it says that it is none, and so gets batches in advance."""

    def __init__(self, *, real: bool) -> None:
        self._inner = simulator()
        self.capabilities = self._inner.capabilities.model_copy(update={"simulated": not real})
        self._log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        for block in self._inner.scan(request):
            for point, (row, column) in zip(block.point_id.tolist(), block.position_px.tolist(), strict=True):
                os.write(self._log, f"{request.run} {point} {row} {column}\n".encode())
            yield block

    def light(self, section: int, angles_deg: tuple[float, ...]) -> np.ndarray:
        return self._inner.light(section, angles_deg)

    def park(self) -> None:
        self._inner.park()


def simulated() -> Exposing:
    return Exposing(real=False)


def real() -> Exposing:
    return Exposing(real=True)
