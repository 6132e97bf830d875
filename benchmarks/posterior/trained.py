"""The trained posterior on the shipped maps, which it never saw: beside the classical methods, grids and adaptive runs.

Set-up as in `classical`; what is added is the method `joint` by the weights that ship.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.posterior.classical import (
    SEEDS,
    SHARES,
    Bench,
    Cases,
    adaptive,
    best_time,
    grids,
    speed_problem,
    summary,
)
from grainloop.evaluate.sections.scenes import EXACT_POINTS, of_another_section
from grainloop.instrument_sim import specimens
from grainloop.model.diffusion.training.validation import regular_grid
from grainloop.model.reconstruct import Options, RegisteredLight, never, no_report
from grainloop.model.service.methods import methods
from grainloop.model.weights import weights_files

RESULTS = Path(__file__).parents[1] / "results" / "trained.json"
GRID_METHODS = ("nn", "pl_watershed", "pl_candidates", "joint")
CUBIC_METHODS = ("nn", "pl_candidates", "joint")


def main() -> dict[str, Any]:
    """Measure, write `results/trained.json`, and return what it holds."""
    shipped = {group: entry.sha256 for group, entry in weights_files().items()}
    result: dict[str, Any] = {"weights_sha256": shipped, "seeds": SEEDS}
    result["grids"] = {name: grids(name, trained_cases) for name in specimens.FILES}
    result["adaptive"] = {name: adaptive(name, "joint") for name in specimens.FILES}
    result["cubic"] = {name: cubic_grids(name) for name in specimens.CUBIC}
    result["seconds"] = seconds()
    RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def trained_cases(light: RegisteredLight) -> Cases:
    """Every method with and without PL, and the trained one with the PL of another section."""
    cases: Cases = {method: (method, light) for method in GRID_METHODS}
    cases |= {f"{method} without PL": (method, None) for method in ("pl_candidates", "joint")}
    return cases | {"joint, PL of another section": ("joint", of_another_section(light))}


def cubic_grids(name: str) -> dict[str, Any]:
    """Methods on exact points of regular grids alone, where crystals show no PL; nothing depends on a seed."""
    bench = Bench(name, EXACT_POINTS, 0)
    return {
        f"{method} @ {share:g}": summary([bench.figures(bench.solve(method, points, None))])
        for share in SHARES
        for points in (bench.scan(regular_grid(bench.shape, share)),)
        for method in CUBIC_METHODS
    }


def seconds() -> dict[str, float]:
    """Processor seconds of one reconstruction of the 200 × 200 section at 6.25 % of points."""
    problem = speed_problem()
    return {
        name: round(best_time(partial(methods()[name], problem, Options(), no_report, never)), 3)
        for name in GRID_METHODS
    }


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
