"""Length and time of the beam path through a batch, beside nearest-neighbour order and a bound that no path undercuts.

Points are uniform ones and batches that the default policy asks for after a coarse grid on the shipped maps. The bound
is that of Held & Karp (1970): the heaviest minimum 1-tree, found by subgradient steps; an open path is a tour through
one more point that is at no distance from all others. It says how much shorter than nearest neighbour any order of
these very points can be. Times are processor seconds of one thread.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree

from benchmarks.posterior.classical import EXACT_POINTS, Bench, mask, registered
from grainloop.controller.geometry.route import nearest_neighbour, path_length, short_path, warm_up
from grainloop.model.acquire import DEFAULT_POLICY, POLICIES, Scene
from grainloop.model.diffusion.training.validation import regular_grid

NAMES = ("ti64", "mg-twins")
SIZES = (150, 1_000, 5_000)
MOST_BOUNDED = 1_000
SEEDS = 5
SIDE_PX = 200.0
COARSE, BATCH = 0.03, 1_000
AIM, AIM_S = 0.25, 0.2
RESULT = Path(__file__).parents[1] / "results" / "route.json"
Floats = NDArray[np.float64]


def main() -> dict[str, Any]:
    """Measure, write `results/route.json`, and return what it holds."""
    warm_up()
    result: dict[str, Any] = {"aim": {"shorter_than_nearest_neighbour": AIM, "seconds": AIM_S}}
    for n in SIZES:
        batches = [np.random.default_rng(seed).random((n, 2)) * SIDE_PX for seed in range(SEEDS)]
        result[f"{n}_points"] = _measure(batches)
    for name in NAMES:
        result[f"{BATCH}_points_asked_for_on_{name}"] = _measure([asked_for(name, seed) for seed in range(2)])
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def asked_for(name: str, seed: int) -> Floats:
    """(n, 2) what the default policy asks for after a coarse grid."""
    bench = Bench(name, EXACT_POINTS, seed)
    points = bench.scan(regular_grid(bench.shape, COARSE))
    found = bench.solve("joint", points, registered(bench.aligned(points)))
    scene = Scene(found, mask(bench.shape, points.position_px), np.zeros(bench.shape, np.bool_))
    picks = POLICIES[DEFAULT_POLICY](scene, BATCH, np.random.default_rng(seed)).position_px
    return picks.astype(np.float64)


def _measure(batches: list[Floats]) -> dict[str, float]:
    rows = np.array([_one(points) for points in batches])
    shorter, possible, near_s, short_s = rows.mean(axis=0)
    found = {
        "shorter_than_nearest_neighbour": round(float(shorter), 4),
        "no_order_can_be_shorter_than_nearest_neighbour_by": round(float(possible), 4),
        "longer_than_the_bound": round(float(np.mean((1 - rows[:, 0]) / (1 - rows[:, 1]) - 1)), 4),
        "nearest_neighbour_s": round(float(near_s), 5),
        "short_path_s": round(float(rows[:, 3].min()), 4),
        "short_path_mean_s": round(float(short_s), 4),
    }
    return {name: value for name, value in found.items() if not np.isnan(value)}


def _one(points: Floats) -> tuple[float, float, float, float]:
    began = time.process_time()
    reference = path_length(points, nearest_neighbour(points))
    middle = time.process_time()
    ours = path_length(points, short_path(points))
    ended = time.process_time()
    bound = shortest_possible(points) if len(points) <= MOST_BOUNDED else np.nan
    return 1 - ours / reference, 1 - bound / reference, middle - began, ended - middle


def shortest_possible(points: Floats, rounds: int = 120) -> float:
    """A length in pixels that no open path through `points` (n, 2) is shorter than."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e-9
    toll, best, step = np.zeros(len(points)), 0.0, 0.03 * distance.max()
    for _ in range(rounds):
        tree = minimum_spanning_tree(distance + toll[:, None] + toll[None] + 1e3).tocoo()
        degree = np.bincount(np.concatenate([tree.row, tree.col]), minlength=len(points)).astype(float)
        ends = np.argsort(toll)[:2]
        degree[ends] += 1
        length = float(tree.data.sum()) - 1e3 * (len(points) - 1) + float(toll[ends].sum()) - 2 * float(toll.sum())
        best, step = max(best, length), step * 0.96
        toll += step * (degree - 2) / max(float(np.abs(degree - 2).mean()), 1e-9) * 0.1
    return best


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
