"""Scan points per second of the simulated instrument without waiting, against packing the bare truth into blocks.

Both sides run alternating in one process on the shipped titanium map, in processor time of one thread. The bare side
looks the true orientations up and yields blocks of the same size; what it lacks is noise, drift, boundaries,
mis-indexing and the clock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from grainloop.instrument_sim import SimulatedInstrument, specimens
from grainloop.model.maps import OrientationMap
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock

RESULTS = Path(__file__).parents[1] / "results" / "simulator.json"
AIM_POINTS_PER_S = 200_000
ROUNDS = 15


def main() -> dict[str, Any]:
    """Measure, write `results/simulator.json`, and return what it holds."""
    section = specimens.load("ti64")
    driver = SimulatedInstrument(section)
    result: dict[str, Any] = {"aim_points_per_s": AIM_POINTS_PER_S, "block_points": driver.config.block_points}
    for batch in (1_000, 40_000):
        requests = requests_of(section, batch)
        bare = lambda request: bare_scan(section, request, driver.config.block_points)  # noqa: E731
        pairs = np.array([(rate(bare, requests), rate(driver.scan, requests)) for _ in range(ROUNDS)])
        bare_rate, rate_ = np.median(pairs, axis=0)
        result[f"batches_of_{batch}"] = {
            "points_per_s": round(rate_),
            "best_points_per_s": round(pairs[:, 1].max()),
            "bare_points_per_s": round(bare_rate),
            "ratio": round(rate_ / bare_rate, 3),
        }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def requests_of(section: OrientationMap, batch: int) -> list[ScanRequest]:
    """Every pixel once, in batches."""
    pixels = np.argwhere(section.phase_id >= 0).astype(np.int32)
    parts = [pixels[i : i + batch] for i in range(0, len(pixels), batch)]
    return [
        ScanRequest(batch=i, point_id=np.arange(len(part)), position_px=part, dwell_s=0.02)
        for i, part in enumerate(parts)
    ]


def bare_scan(section: OrientationMap, request: ScanRequest, size: int) -> Iterator[PointBlock]:
    """The truth in blocks of `size`."""
    for first in range(0, len(request.point_id), size):
        part = slice(first, first + size)
        position = request.position_px[part]
        rows, cols = position.T
        yield PointBlock(
            point_id=request.point_id[part],
            position_px=position,
            status=np.ones(len(rows), np.uint8),
            phase_id=section.phase_id[rows, cols],
            orientation=section.orientation[rows, cols],
            confidence=section.confidence[rows, cols],
            fit_deg=section.fit_deg[rows, cols],
            time_s=np.zeros(len(rows)),
            dwell_s=np.zeros(len(rows), np.float32),
        )


def rate(scan: Callable[[ScanRequest], Iterator[PointBlock]], requests: list[ScanRequest]) -> float:
    """Points per second of processor time (one thread), which other load on the machine disturbs least."""
    started = time.process_time()
    points = sum(len(block) for request in requests for block in scan(request))
    return points / (time.process_time() - started)


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
