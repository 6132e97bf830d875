"""Length and time of the beam path through a batch, beside nearest-neighbour order in the same run.

The shortest open path through n random points of an area A is about 0.7124·√(n·A) long (Beardwood, Halton & Hammersley
1959; constant of Applegate et al. 2010), and nearest-neighbour order about a quarter longer. So no order can be 25 %
shorter than nearest neighbour; the figure to look at is the distance from that optimum.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from controller.route import nearest_neighbour, path_length, short_path, warm_up

SIZES = (150, 1_000, 5_000)
SEEDS = 5
SIDE_PX = 200.0
OPTIMUM = 0.7124
RESULT = Path(__file__).parent / "results" / "route.json"


def main() -> dict[str, Any]:
    """Measure, write `results/route.json`, and return what it holds."""
    warm_up()
    result = {f"{n}_points": _measure(n) for n in SIZES}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _measure(n: int) -> dict[str, float]:
    rows = np.array([_one(n, seed) for seed in range(SEEDS)])
    shorter, above, near_s, short_s = rows.mean(axis=0)
    return {
        "shorter_than_nearest_neighbour": round(float(shorter), 4),
        "longer_than_asymptotic_optimum": round(float(above), 4),
        "nearest_neighbour_s": round(float(near_s), 5),
        "short_path_s": round(float(rows[:, 3].min()), 4),
        "short_path_mean_s": round(float(short_s), 4),
    }


def _one(n: int, seed: int) -> tuple[float, float, float, float]:
    points = np.random.default_rng(seed).random((n, 2)) * SIDE_PX
    began = time.perf_counter()
    reference = path_length(points, nearest_neighbour(points))
    middle = time.perf_counter()
    ours = path_length(points, short_path(points))
    ended = time.perf_counter()
    optimum = OPTIMUM * np.sqrt(n) * SIDE_PX
    return 1 - ours / reference, ours / optimum - 1, middle - began, ended - middle


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
