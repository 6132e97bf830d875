"""Acquisition policies on known maps: errors over points, beside static patterns, and what the default must not lose.

Everything is played by `grainloop bench acquire` (`controller.cli.bench.playing`): first pass included, registration,
reconstruction and proposals by the model service's code, batches by the controller's. PL is exact optics with default
nuisances. Choices were made on synthetic specimens that neither training nor validation saw; the real maps are for the
report. Each run is a row of the JSON file, written as soon as it is there; what is there is not measured again.

    python -m benchmarks.acquisition [PART …]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.tasks.materials import synthetic_specimen
from controller.cli.bench.acquire import Light
from controller.cli.bench.cropping import turned
from controller.cli.bench.curves import FIGURES
from controller.cli.bench.playing import Moment, batches_of, play, set_up
from controller.cli.bench.scenes import EXACT_POINTS
from instrument_sim import specimens
from instrument_sim.config import SimConfig
from model.acquire import DEFAULT_POLICY
from model.maps import OrientationMap
from model.service.methods import shipped_weights
from protocols.plan import Budget, RunPlan

RESULTS = Path(__file__).parent / "results" / "acquisition.json"
REAL = ("ti64", "mg-twins")
TARGETS = {"ti64": {0.03: 23.0, 0.05: 15.0, 0.10: 8.5}, "mg-twins": {0.03: 3.3, 0.05: 2.3, 0.10: 1.0}}
"""Percent of wrong pixels that the default policy may leave."""
NEAREST_25 = {"ti64": 10.7, "mg-twins": 6.0}
"""Percent that nearest neighbour leaves on a grid of 25 % of the pixels: today's practice."""
POLICIES = (DEFAULT_POLICY, "lookahead", "entropy", "boundary", "segments", "grid", "bluenoise", "random")
STATIC = "static grid"
"""Everything on one regular grid, reconstructed once."""
STATIC_BUDGETS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.25, 0.35, 0.50)
EXTREMES = (0.01, 0.02, 0.05, 0.10, 0.20, 0.50)
SMALL_PX = 64
"""Edge of the synthetic specimens that are played with single points."""


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        specimen: a shipped map, or "synthetic N" of an edge of `edge_px`.
        batch: points of a batch; 0 for the plan's number of batches.
        queued: batches queued while the model decides.
    """

    specimen: str
    seed: int
    policy: str
    budget: float
    batch: int = 0
    pl: str = Light.SIMULATE
    noisy: bool = False
    queued: int = 1
    edge_px: int = 0

    @property
    def key(self) -> str:
        """What its row is found by."""
        return " | ".join(f"{value}" for value in asdict(self).values())


def parts() -> dict[str, list[Case]]:
    """What is measured, part by part, the most wanted first."""
    seeds, budgets = range(3), (0.03, 0.05, 0.10)
    return {
        "targets": [Case(name, seed, DEFAULT_POLICY, b) for name in REAL for seed in seeds for b in budgets],
        "static": [Case(name, seed, STATIC, b) for name in REAL for seed in seeds for b in STATIC_BUDGETS],
        "policies": [
            Case(name, seed, policy, b) for name in REAL for policy in POLICIES[1:] for seed in seeds for b in budgets
        ],
        "curve": [
            Case(name, seed, DEFAULT_POLICY, b)
            for name in REAL
            for seed in seeds
            for b in STATIC_BUDGETS
            if b not in budgets
        ],
        "noisy": [
            Case(name, seed, policy, b, noisy=True)
            for name in REAL
            for policy in (DEFAULT_POLICY, STATIC)
            for seed in seeds
            for b in budgets
        ],
        "without PL": list(_without_light(seeds)),
        "synthetic": [
            Case(f"synthetic {n}", n, policy, b, edge_px=128)
            for n in range(400, 408)
            for b in budgets
            for policy in (STATIC, *POLICIES)
        ],
        "batches": list(_batch_sizes()),
        "not queued": [
            Case(name, seed, DEFAULT_POLICY, b, queued=0) for name in REAL for seed in seeds for b in budgets
        ],
    }


def _without_light(seeds: range) -> Iterator[Case]:
    for name in REAL:
        for light in (Light.NONE, Light.WRONG):
            for budget in EXTREMES:
                for policy in (STATIC, DEFAULT_POLICY):
                    yield from (Case(name, seed, policy, budget, pl=light) for seed in seeds)


def _batch_sizes() -> Iterator[Case]:
    """Small synthetic specimens, batches of 1, 10 and 100 points, with PL, without, and with that of another one."""
    for n in range(500, 506):
        for light in Light:
            for budget in EXTREMES:
                common: dict[str, Any] = {"seed": n, "budget": budget, "pl": light, "edge_px": SMALL_PX}
                yield Case(f"synthetic {n}", policy=STATIC, **common)
                for batch in (100, 10, 1):
                    if batch > 1 or budget <= 0.1:
                        yield Case(f"synthetic {n}", policy=DEFAULT_POLICY, batch=batch, **common)


def specimen_of(case: Case) -> OrientationMap:
    """The map that a case is played on."""
    if case.specimen in REAL:
        return specimens.load(case.specimen)
    return synthetic_specimen(int(case.specimen.split()[1]), (case.edge_px, case.edge_px))


def run(case: Case) -> dict[str, Any]:
    """Play one run; shares are 0 … 1."""
    truth, static = specimen_of(case), case.policy == STATIC
    config = SimConfig() if case.noisy else EXACT_POINTS
    if case.pl == Light.NONE:
        config = config.model_copy(update={"light_kind": None})
    stage = set_up(truth, config, case.seed, lit=turned(truth) if case.pl == Light.WRONG else None)
    plan = RunPlan(budget=Budget(fraction=case.budget), policy="grid" if static else case.policy, seed=case.seed)
    if static:
        plan = plan.model_copy(update={"first_pass": 1.0, "first_pass_most": 1.0, "batches": 1})
    elif case.batch:
        plan = plan.model_copy(update={"batches": batches_of(plan, stage, case.batch)})
    moments = tuple(play(stage, plan, 1 if static else case.queued + 1))
    figures = {name: round(float(of(moments)), 6) for name, of in FIGURES.items()}
    return asdict(case) | figures | {"curve": [_point(moment) for moment in moments]}


def _point(moment: Moment) -> list[float]:
    figures = moment.figures
    told = (moment.instrument_s, figures.error_over_5deg, figures.predicted_over_5deg, moment.gain_px)
    return [moment.points, *(round(float(value), 5) for value in told)]


def load() -> dict[str, Any]:
    """What was measured by the weights that ship; nothing of it if they are others."""
    weights = dict(shipped_weights())
    if RESULTS.exists():
        held = json.loads(RESULTS.read_text(encoding="utf-8"))
        if held["weights_sha256"] == weights:
            return held
    return {"weights_sha256": weights, "rows": {}}


def main(names: list[str] | None = None) -> dict[str, Any]:
    """Measure what is missing of the parts named, of all by default."""
    wanted, result = parts(), load()
    for name in names or list(wanted):
        for case in wanted[name]:
            if case.key in result["rows"]:
                continue
            started = time.perf_counter()
            result["rows"][case.key] = row = run(case)
            RESULTS.write_text(json.dumps(result, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
            print(
                f"{name}: {case.key}: {row['error_over_5deg']:.4f} in {time.perf_counter() - started:.0f} s", flush=True
            )
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
