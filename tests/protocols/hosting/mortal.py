"""Instrument services in processes of their own that die by SIGKILL at their n-th step, and log what they expose.

A step is a moment before or after an exposure, or before or after a write to the disk. Exposures go to a log and are on
disk before anything is said of them. One process imports everything and forks the services: for each line
`FOLDER STEPS AHEAD BLOCK FILE_BYTES` of its stdin it prints the process id and endpoint of one, and `died` with its
status. No file of a service grows beyond FILE_BYTES, as on a full disk; 0 for no limit.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from grainloop.protocols import record_file
from grainloop.protocols.aio import run
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import Grid, Phase, PointBlock

NAME = "mortal SEM"


def declared(ahead: int | None) -> Capabilities:
    return Capabilities(
        name=NAME,
        simulated=True,
        grid=Grid(shape_px=(100, 100), step_um=1.0),
        phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
        dwell_range_s=(0.01, 1.0),
        default_dwell_s=0.1,
        exposes_ahead=ahead,
    )


class Steps:
    """Counts down to the end."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """Exposes point by point, yields blocks."""

    def __init__(self, log: Path, steps: Steps, ahead: int | None, block: int) -> None:
        self.capabilities = declared(ahead)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._steps, self._block = steps, block
        self._clock_s = 0.0

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        for first in range(0, len(request.point_id), self._block):
            where = slice(first, first + self._block)
            yield PointBlock.concatenate(
                [self._expose(request, index) for index in range(len(request.point_id))[where]]
            )

    def _expose(self, request: ScanRequest, index: int) -> PointBlock:
        point = int(request.point_id[index])
        self._steps.take()
        os.write(self._log, f"{point}\n".encode())
        os.fsync(self._log)
        self._steps.take()
        self._clock_s += request.dwell_s
        return PointBlock.one(point, request.position_px[index], time_s=self._clock_s, dwell_s=request.dwell_s)

    def light(self, section: int, angles_deg: tuple[float, ...]) -> np.ndarray:
        raise NotImplementedError

    def park(self) -> None:
        pass


def serve(folder: str, steps: str, ahead: str, block: str, file_bytes: str) -> None:
    if int(file_bytes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
    countdown = Steps(int(steps))
    plain = record_file.sync_data

    def sync(descriptor: int) -> None:
        countdown.take()
        plain(descriptor)
        countdown.take()

    record_file.sync_data = sync
    driver = Mortal(Path(folder) / "exposed", countdown, int(ahead) or None, int(block))
    service = DriverService(driver, Path(folder) / "spool")
    run(service.run("tcp://127.0.0.1:0", ready=lambda: tell(f"{os.getpid()} {service.endpoint}")))


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            try:
                serve(*line.split())
            finally:
                os._exit(1)
        tell(f"died {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")


if __name__ == "__main__":
    main()
