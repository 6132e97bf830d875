"""The trained posterior on the shipped maps, which it never saw: beside the classical methods, grids and adaptive runs.

Set-up as in `classical`; what is added is the method `joint` by the weights that ship.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.classical import BUDGETS, EXACT, SEEDS, SHARES, Bench, best_time, registered, regular_grid, run, summary
from instrument_sim import specimens
from instrument_sim.config import SimConfig
from model.reconstruct import Options, RegisteredLight, never, no_report
from model.service.methods import METHODS
from model.weights import weights_files

RESULTS = Path(__file__).parent / "results" / "trained.json"
GRID_METHODS = ("nn", "pl_watershed", "pl_candidates", "joint")


def main() -> dict[str, Any]:
    """Measure, write `results/trained.json`, and return what it holds."""
    result: dict[str, Any] = {"weights_sha256": weights_files()["6/mmm"].sha256, "seeds": SEEDS}
    result["grids"] = {name: grids(name) for name in specimens.FILES}
    result["adaptive"] = {name: adaptive(name) for name in specimens.FILES}
    result["seconds"] = seconds()
    RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def grids(name: str) -> dict[str, Any]:
    """Every method with and without PL on regular grids, and the trained one with the PL of another section."""
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        bench = Bench(name, EXACT, seed)
        for share in SHARES:
            points = bench.scan(regular_grid(bench.shape, share))
            light = registered(bench.aligned(points))
            assert light is not None
            other = RegisteredLight(light.features[:, ::-1, ::-1].copy(), light.sigma, light.residual_px)
            cases = {method: (method, light) for method in GRID_METHODS}
            cases |= {f"{method} without PL": (method, None) for method in ("pl_candidates", "joint")}
            cases["joint, PL of another section"] = ("joint", other)
            for case, (method, seen) in cases.items():
                found = bench.figures(bench.solve(method, points, seen, seed))
                rows.setdefault(f"{case} @ {share:g}", []).append(found)
    return {key: summary(values) for key, values in rows.items()}


def adaptive(name: str) -> dict[str, Any]:
    """Whole runs by the default policy, reconstructed by the trained method, beside the grid of as many points."""
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        for budget in BUDGETS:
            bench = Bench(name, SimConfig(), seed)
            coarse = bench.scan(regular_grid(bench.shape, budget))
            light = registered(bench.aligned(coarse))
            rows.setdefault(f"grid + nn @ {budget:g}", []).append(bench.figures(bench.solve("nn", coarse, None)))
            static = bench.figures(bench.solve("joint", coarse, light))
            rows.setdefault(f"grid + joint @ {budget:g}", []).append(static)
            found = run(bench, budget, seed, "joint")
            rows.setdefault(f"spread + joint @ {budget:g}", []).append(found)
    return {key: summary(values) for key, values in rows.items()}


def seconds() -> dict[str, float]:
    """Processor seconds of one reconstruction of the 200 × 200 section at 6.25 % of points."""
    bench = Bench("ti64", EXACT, 0)
    points = bench.scan(regular_grid(bench.shape, SHARES[1]))
    light = registered(bench.aligned(points))
    problem = bench.problem(points, light)
    return {
        name: round(best_time(lambda method=METHODS[name]: method(problem, Options(), no_report, never)), 3)
        for name in GRID_METHODS
    }


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
