"""Error over the share of points on the shipped maps: what `grainloop plan` reckons with, written into the package.

Coarse rasters filled by nearest neighbour and by the trained model, and adaptive runs by the default policy with the
default plan, played by the code that decides in a run. Points are exact, PL has every default nuisance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from grainloop.cli.bench.acquire import AcquireOptions, play_map
from grainloop.controller.plans import make_plan
from grainloop.evaluate.figures_of_merit import figures_of_merit
from grainloop.evaluate.methods import method_named
from grainloop.evaluate.sections.given import solve
from grainloop.evaluate.sections.scenes import Setting, make_scene
from grainloop.instrument_sim.specimens.named import load_specimen
from grainloop.model.acquire import DEFAULT_POLICY
from grainloop.model.crystal import segment_grains
from grainloop.model.maps import OrientationMap
from grainloop.model.service.methods import default_method, shipped_weights
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.version import grainloop_version

RESULT = Path(__file__).parents[2] / "grainloop" / "cli" / "plan" / "error_curves.json"
RASTERS = (0.01, 0.02, 0.04, 0.0625, 0.11, 0.25, 0.5)
BUDGETS = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3)
SEEDS = 3
SMALLEST_GRAIN_PX = 5
WORDS = {
    "ti64": "Ti-6Al-4V with macrozones: small grains, neighbours that PL cannot tell apart",
    "mg-twins": "twinned magnesium: larger grains, boundaries that PL shows",
}
Curve = list[tuple[float, float]]


def main(seeds: int = SEEDS) -> dict[str, Any]:
    """Measure, write the data file, and return what it holds."""
    result: dict[str, Any] = {
        "source": "python -m benchmarks error_curves",
        "measured": date.today().isoformat(),
        "grainloop": grainloop_version(),
        "weights_sha256": dict(shipped_weights()),
        "method": default_method(),
        "policy": DEFAULT_POLICY,
        "batches": RunPlan().batches,
        "first_pass": RunPlan().first_pass,
        "seeds": seeds,
        "maps": {name: curves(name, seeds) for name in WORDS},
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def curves(name: str, seeds: int) -> dict[str, Any]:
    """Everything about one map; shares are 0 … 1."""
    truth = load_specimen(name)
    found = {
        "words": WORDS[name],
        "pixels": truth.phase_id.size,
        "step_um": truth.step_um,
        "grain_px": round(grain_px(truth), 1),
        "raster_nearest": raster(truth, "nn", 1),
        "raster_model": raster(truth, default_method(), seeds),
    }
    return found | {"adaptive": adaptive(name, truth, seeds)}


def grain_px(truth: OrientationMap) -> float:
    """Mean area of a grain in pixels, specks not counted."""
    labels = segment_grains(truth.orientation, truth.main_phase.laue_group, valid=truth.indexed)
    sizes = np.bincount(labels[labels > 0])
    return float(sizes[sizes >= SMALLEST_GRAIN_PX].mean())


def raster(truth: OrientationMap, method: str, seeds: int) -> Curve:
    """(share measured, share wrong by more than 5°) of centred regular grids."""
    return [_mean([_raster(truth, method, share, seed) for seed in range(seeds)]) for share in RASTERS]


def _raster(truth: OrientationMap, method: str, share: float, seed: int) -> tuple[float, float]:
    scene = make_scene(truth, Setting(share=share, seed=seed))
    reply = solve(scene.given, method_named(method)).reply
    return scene.fraction_measured, figures_of_merit(reply, truth, scene.given.measured).error_over_5deg


def adaptive(name: str, truth: OrientationMap, seeds: int) -> Curve:
    """(share measured, share wrong by more than 5°) of whole runs of growing budget."""
    return [_adaptive(name, truth, budget, seeds) for budget in BUDGETS]


def _adaptive(name: str, truth: OrientationMap, budget: float, seeds: int) -> tuple[float, float]:
    plan = make_plan({"budget": {"fraction": budget}}, "the benchmark")
    played = play_map(name, truth, plan, AcquireOptions(name, budget=budget, seeds=seeds), lambda text: None)  # noqa: ARG005
    ends = [run[-1] for run in played.runs]
    return _mean([(end.points / truth.phase_id.size, end.figures.error_over_5deg) for end in ends])


def _mean(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    share, wrong = np.mean(pairs, axis=0)
    return round(float(share), 5), round(float(wrong), 5)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
