"""Classical reconstructors on the shipped maps: errors beside nearest neighbour, calibration, adaptive runs, speed.

PL comes from the simulator's exact optics with every default nuisance and is registered by the points. In `grids` the
points are exact; in `adaptive` the instrument measures them with its noise, lost and mis-indexed points, and the
reference is nearest neighbour on a regular grid of as many points, measured by the same instrument.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainloop.evaluate.sections.scenes import ANGLES_DEG, EXACT_POINTS, measure, of_another_section
from grainloop.instrument_sim import SimulatedInstrument, specimens
from grainloop.instrument_sim.config import SimConfig
from grainloop.model.acquire import POLICIES, Scene
from grainloop.model.crystal import disorientation_deg, score_map
from grainloop.model.diffusion.training.validation import regular_grid
from grainloop.model.estimate.scores import auroc
from grainloop.model.light import Alignment, LightFeatures, align, fit_stack
from grainloop.model.reconstruct import Options, Posterior, Problem, RegisteredLight, SparsePoints, never, no_report
from grainloop.model.service.methods import methods
from grainloop.protocols.values import PointBlock

RESULTS = Path(__file__).parents[1] / "results" / "classical.json"
SHARES = (0.021, 0.0625, 0.25)
BUDGETS = (0.03, 0.06, 0.12)
SEEDS = (0, 1, 2)
BATCHES = 6
Cases = dict[str, tuple[str, RegisteredLight | None]]
"""Name of a case → method, and the PL that it is given."""
REFERENCE = {
    "ti64": {"nn": (33, 20, 10.7), "watershed": (46, 25, 9.2)},
    "mg-twins": {"nn": (18.5, 11.1, 6.0), "watershed": (10.6, 5.4, 2.5)},
}
"""Percent of wrong pixels at `SHARES` that an earlier prototype left, watershed after registration."""


class Bench:
    """One instrument with one specimen, and what was measured on it."""

    def __init__(self, name: str, config: SimConfig, seed: int) -> None:
        self.instrument = SimulatedInstrument(specimens.load(name), config, seed)
        self.truth = self.instrument.sections[0].truth
        self.shape = self.truth.shape_px

    @cached_property
    def features(self) -> LightFeatures:
        """PL as taken."""
        return fit_stack(self.instrument.light(0, ANGLES_DEG), ANGLES_DEG)

    def scan(self, position: NDArray[np.int32]) -> PointBlock:
        """Measure pixels in one batch."""
        return measure(self.instrument, position)

    def aligned(self, points: PointBlock, start: Alignment | None = None) -> Alignment:
        """PL registered by the points."""
        caps = self.instrument.capabilities
        assert caps.light is not None
        return align(
            self.features,
            points.position_px[points.indexed],
            points.orientation[points.indexed],
            self.shape,
            pixel_um=caps.light.pixel_um,
            step_um=caps.grid.step_um,
            start=start,
        )

    def solve(self, method: str, points: PointBlock, light: RegisteredLight | None, seed: int = 0) -> Posterior:
        """One method on these points."""
        return methods()[method](self.problem(points, light), Options(seed=seed), no_report, never)

    def problem(self, points: PointBlock, light: RegisteredLight | None) -> Problem:
        """What a method is given."""
        sparse = SparsePoints(points.position_px, points.orientation, points.indexed)
        return Problem(self.shape, self.truth.phases[0].laue_group, sparse, light)

    def figures(self, found: Posterior) -> dict[str, float]:
        """Percent of wrong pixels, true and predicted; error, boundary F1, and how well doubt ranks pixels."""
        inside = self.truth.indexed
        group = self.truth.phases[0].laue_group
        error = disorientation_deg(found.orientation, self.truth.orientation, group)[inside]
        wrong, doubt = error > 5, found.p_wrong[inside]
        return {
            "wrong_percent": 100 * float(wrong.mean()),
            "predicted_percent": 100 * float(doubt.mean()),
            "error_mean_deg": float(error.mean()),
            "expected_error_deg": float(found.expected_error_deg[inside].mean()),
            "boundary_f1": score_map(found.orientation, self.truth.orientation, group, inside).boundary_f1,
            "auroc": auroc(doubt, wrong),
        }


def registered(found: Alignment) -> RegisteredLight | None:
    if not found.usable:
        return None
    return RegisteredLight(found.registered, found.sigma_of_channels(), found.residual_px)


def classical_cases(light: RegisteredLight) -> Cases:
    """What is compared on grids."""
    return {
        "nn": ("nn", None),
        "pl_watershed": ("pl_watershed", light),
        "pl_candidates": ("pl_candidates", light),
        "pl_candidates_without_pl": ("pl_candidates", None),
        "pl_candidates_with_pl_of_another_section": ("pl_candidates", of_another_section(light)),
    }


def grids(name: str, cases: Callable[[RegisteredLight], Cases] = classical_cases) -> dict[str, Any]:
    """Every case on regular grids, averaged over the seeds of instrument and PL."""
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        bench = Bench(name, EXACT_POINTS, seed)
        for share in SHARES:
            points = bench.scan(regular_grid(bench.shape, share))
            light = registered(bench.aligned(points))
            assert light is not None
            for case, (method, seen) in cases(light).items():
                found = bench.figures(bench.solve(method, points, seen, seed))
                rows.setdefault(f"{case} @ {share:g}", []).append(found)
    return {key: summary(values) for key, values in rows.items()}


def adaptive(name: str, method: str = "pl_candidates") -> dict[str, Any]:
    """Whole runs by the default policy, reconstructed by one method, beside the grid of as many points."""
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        for budget in BUDGETS:
            bench = Bench(name, SimConfig(), seed)
            coarse = bench.scan(regular_grid(bench.shape, budget))
            light = registered(bench.aligned(coarse))
            rows.setdefault(f"grid + nn @ {budget:g}", []).append(bench.figures(bench.solve("nn", coarse, None)))
            static = bench.figures(bench.solve(method, coarse, light))
            rows.setdefault(f"grid + {method} @ {budget:g}", []).append(static)
            rows.setdefault(f"spread + {method} @ {budget:g}", []).append(run(bench, budget, seed, method))
    return {key: summary(values) for key, values in rows.items()}


def run(bench: Bench, budget: float, seed: int, method: str) -> dict[str, float]:
    """Half of the budget on a grid, the rest in batches by the default policy."""
    total = round(budget * bench.truth.phase_id.size)
    points = bench.scan(regular_grid(bench.shape, budget / 2))
    found, touching = None, []
    rng = np.random.default_rng(seed)
    for batch in range(BATCHES + 1):
        found = bench.aligned(points, found)
        posterior = bench.solve(method, points, registered(found), seed)
        if batch < BATCHES:
            taken, failed = (mask(bench.shape, p) for p in (points.position_px, points.position_px[~points.indexed]))
            scene = Scene(posterior, taken, np.zeros(bench.shape, np.bool_), 0.1, failed)
            count = round((total - len(points)) / (BATCHES - batch))
            picks = POLICIES["spread"](scene, count, rng).position_px
            touching.append(adjacent_share(picks))
            points = PointBlock.concatenate([points, bench.scan(picks)])
    return bench.figures(posterior) | {
        "points_percent": 100 * len(points) / total * budget,
        "adjacent_picks_percent": 100 * float(np.mean(touching)),
    }


def mask(shape: tuple[int, int], position: NDArray[np.int32]) -> NDArray[np.bool_]:
    out = np.zeros(shape, np.bool_)
    out[tuple(position.T)] = True
    return out


def adjacent_share(position: NDArray[np.int32]) -> float:
    away = np.abs(position[:, None].astype(int) - position[None]).max(axis=-1)
    np.fill_diagonal(away, 99)
    return float(np.mean(away.min(axis=1) <= 1))


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Mean over the seeds, and the standard deviation of the share of wrong pixels."""
    mean = {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}
    return mean | {"wrong_percent_sd": round(float(np.std([row["wrong_percent"] for row in rows])), 3)}


def speed_problem() -> Problem:
    """The section of 200 × 200 px at 6.25 % of points."""
    bench = Bench("ti64", EXACT_POINTS, 0)
    points = bench.scan(regular_grid(bench.shape, SHARES[1]))
    light = registered(bench.aligned(points))
    assert light is not None
    return bench.problem(points, light)


def speed() -> dict[str, Any]:
    """Processor time of each method with PL at 6.25 % of points, against a distance transform on the same grid."""
    section = speed_problem()
    out: dict[str, Any] = {}
    for times in (1, 2, 4):
        problem = tiled(section, times, times)
        away = ~mask(problem.shape, problem.points.position_px)
        reference = best_time(partial(ndimage.distance_transform_edt, away, return_indices=True))
        for name, method in methods().items():
            seconds = best_time(partial(method, problem, Options(), no_report, never))
            out[f"{name} {problem.shape[0]}×{problem.shape[1]}"] = {
                "seconds": round(seconds, 3),
                "microseconds_per_pixel": round(1e6 * seconds / away.size, 1),
                "times_distance_transform": round(seconds / reference, 1),
            }
    return out


def tiled(problem: Problem, down: int, across: int) -> Problem:
    """The section with its PL repeated `down` × `across` times."""
    points, light, (rows, columns) = problem.points, problem.light, problem.shape
    assert light is not None
    corners = [(rows * i, columns * j) for i in range(down) for j in range(across)]
    position = np.concatenate([points.position_px + np.array(corner) for corner in corners]).astype(np.int32)
    orientation, indexed = np.tile(points.orientation, (len(corners), 1)), np.tile(points.indexed, len(corners))
    features, sigma = (np.tile(of, (1, down, across)) for of in (light.features, light.sigma))
    return replace(
        problem,
        shape=(rows * down, columns * across),
        points=SparsePoints(position, orientation, indexed),
        light=RegisteredLight(features, sigma, light.residual_px),
    )


def best_time(work: Callable[[], Any], rounds: int = 3) -> float:
    """Best of some rounds, in processor time, after one to compile."""
    work()
    seconds: list[float] = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def main() -> dict[str, Any]:
    result: dict[str, Any] = {"reference_wrong_percent": {"shares": SHARES, **REFERENCE}, "seeds": SEEDS}
    result["grids"] = {name: grids(name) for name in specimens.FILES}
    result["adaptive"] = {name: adaptive(name) for name in specimens.FILES}
    result["speed"] = speed()
    RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    show(result)
    return result


def show(result: dict[str, Any]) -> None:
    """The figures as lines."""
    for part in ("grids", "adaptive"):
        for name, rows in result[part].items():
            for key, row in rows.items():
                share = f"{row['wrong_percent']:5.1f} ± {row['wrong_percent_sd']:.1f} % wrong"
                doubt = f"predicted {row['predicted_percent']:5.1f} %, AUROC {row['auroc']:.3f}"
                map_ = f"mean {row['error_mean_deg']:5.2f}°, boundary F1 {row['boundary_f1']:.3f}"
                print(f"{name:9s} {key:52s} {share} ({doubt}), {map_}")
    for key, row in result["speed"].items():
        print(f"{key:24s} {row['seconds']} s, {row['microseconds_per_pixel']} µs per pixel")


if __name__ == "__main__":
    main()
