"""Points per second through the scanning core of the instrument service, with and without its spool, in the same run.

No sockets: what is timed is the way from the driver to the point where a block may be told. The driver makes blocks of
500 points at once, or yields each point, in no time or after a dwell of 5 ms as a fast instrument needs it. Both ways
alternate; the fastest of all rounds counts, as a busy machine only ever adds time.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.hosting.measuring import Measuring
from grainloop.protocols.hosting.spool import SpoolFolder
from grainloop.protocols.hosting.store import BatchStore
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import Grid, Phase, PointBlock

ROUNDS = 5
SYNCS = 50
RESULT = Path(__file__).parents[1] / "results" / "spool.json"


@dataclass(frozen=True)
class Case:
    """What the driver does: points per block, seconds per point, points per batch, batches."""

    block: int
    dwell_s: float
    batch: int
    batches: int


CASES = {
    "blocks_of_500": Case(500, 0.0, 5_000, 10),
    "single_points": Case(1, 0.0, 1_000, 2),
    "single_points_of_5_ms": Case(1, 0.005, 200, 1),
    "single_points_of_5_ms_batches_of_20": Case(1, 0.005, 20, 10),
}


class Quick:
    """A driver that makes up its points."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.capabilities = Capabilities(
            name="benchmark",
            simulated=True,
            grid=Grid(shape_px=(1_000, 1_000), step_um=0.5),
            phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
            dwell_range_s=(0.001, 1.0),
            default_dwell_s=0.005,
            exposes_ahead=case.block,
        )

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        """Yield blocks of the size of the case."""
        for first in range(0, len(request.point_id), self._case.block):
            ids = request.point_id[first : first + self._case.block]
            if self._case.dwell_s:
                time.sleep(self._case.dwell_s * len(ids))
            yield made_up(ids, request.position_px[first : first + len(ids)])

    def light(self, section: int, angles_deg: tuple[float, ...]) -> NDArray[np.float32]:
        """Never called."""
        raise NotImplementedError

    def park(self) -> None:
        """Nothing to blank."""


def made_up(ids: NDArray[np.int64], position_px: NDArray[np.int32]) -> PointBlock:
    count = len(ids)
    return PointBlock(
        point_id=ids,
        position_px=position_px,
        status=np.ones(count, np.uint8),
        phase_id=np.ones(count, np.uint8),
        orientation=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        confidence=np.ones(count, np.float32),
        fit_deg=np.zeros(count, np.float32),
        time_s=ids.astype(np.float64),
        dwell_s=np.full(count, 0.005, np.float32),
    )


def main() -> dict[str, Any]:
    """Measure, write `results/spool.json`, and return what it holds."""
    result = {"sync_ms": sync_ms(), **{name: compared(case) for name, case in CASES.items()}}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def compared(case: Case) -> dict[str, float]:
    rates = [(rate(case, spooled=False), rate(case, spooled=True)) for _ in range(ROUNDS)]
    without, spooled = (max(column) for column in zip(*rates, strict=True))
    return {
        "points_per_s_without": round(without),
        "points_per_s_with": round(spooled),
        "with_over_without": round(spooled / without, 3),
    }


def rate(case: Case, *, spooled: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        spool = SpoolFolder(Path(folder), "benchmark") if spooled else None
        ledger, measuring = BatchStore(spool), Measuring(Quick(case))
        began = time.perf_counter()
        for number in range(case.batches):
            measuring.measure(ledger.claim(request(case, number)), lambda: None, lambda: None)
        elapsed = time.perf_counter() - began
        ledger.close()
        if spool is not None:
            spool.close()
    return case.batch * case.batches / elapsed


def request(case: Case, number: int) -> ScanRequest:
    ids = np.arange(number * case.batch, (number + 1) * case.batch)
    position_px = np.stack([ids // 1_000, ids % 1_000], axis=1).astype(np.int32)
    return ScanRequest(run="benchmark", batch=number, point_id=ids, position_px=position_px, dwell_s=0.005)


def sync_ms() -> float:
    """What one write of 4 KiB to the disk takes here."""
    with tempfile.NamedTemporaryFile() as file:
        began = time.perf_counter()
        for _ in range(SYNCS):
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
        return round(1e3 * (time.perf_counter() - began) / SYNCS, 2)


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
