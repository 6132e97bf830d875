"""Acquisition policies on known maps: errors over points, beside static patterns, and what the default must not lose.

Everything is played by `grainloop bench acquire` (`grainloop.evaluate.acquisition.playing`): first pass included,
registration, reconstruction and proposals by the model service's code, batches by the controller's. PL is exact optics
with default nuisances. Choices were made on synthetic specimens that neither training nor validation saw; the real maps
are for the report. Each run is a row of the JSON file, written as soon as it is there; what is there is not measured
again.

    python -m benchmarks.acquisition.policies [PART …] [--seeds N]
"""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fingerprint import gate_sha256
from benchmarks.tasks.materials import synthetic_specimen
from grainloop.cli.bench.acquire import Light
from grainloop.evaluate.acquisition.curves import FIGURES
from grainloop.evaluate.acquisition.playing import Moment, Stage, batches_of, play, set_up
from grainloop.evaluate.sections.cropping import turned
from grainloop.evaluate.sections.scenes import EXACT_POINTS
from grainloop.instrument_sim import specimens
from grainloop.instrument_sim.config import SimConfig
from grainloop.model.acquire import DEFAULT_POLICY, Policy
from grainloop.model.acquire import POLICIES as POLICIES_BY_NAME
from grainloop.model.maps import OrientationMap
from grainloop.protocols.plan import Budget, RunPlan

RESULTS = Path(__file__).parents[1] / "results" / "acquisition.json"
REAL = ("ti64", "mg-twins")
TARGETS = {"ti64": {0.03: 23.0, 0.05: 15.0, 0.10: 8.5}, "mg-twins": {0.03: 3.3, 0.05: 2.3, 0.10: 1.0}}
"""Percent of wrong pixels that the default policy may leave."""
NEAREST_25 = {"ti64": 10.7, "mg-twins": 6.0}
"""Percent that nearest neighbour leaves on a grid of 25 % of the pixels: today's practice."""
LAUE_GROUP = "6/mmm"
"""Of all specimens."""
POLICIES = (DEFAULT_POLICY, "lookahead", "entropy", "boundary", "segments", "grid", "bluenoise", "random")
STATIC = "static grid"
"""Everything on one regular grid, reconstructed once."""
ORACLE = "oracle"
"""A policy that knows which pixels are wrong; `benchmarks.acquisition.oracle` lets it play."""
CLASSICAL = ("nn", "pl_watershed", "pl_candidates")
BUDGETS = (0.03, 0.05, 0.10)
STATIC_BUDGETS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.25, 0.35, 0.50)
EXTREMES = (0.01, 0.02, 0.05, 0.10, 0.20, 0.50)
SEEDS = 3
SMALL_PX = 64
"""Edge of the synthetic specimens that are played with single points."""
SIZES_PX = (128, 256)
"""Edges of the synthetic specimens whose decisions are timed."""
MOST_FOR_SINGLE = 0.1
"""Budget up to which decisions on single points are played."""
FIRST_SPECIMEN, FIRST_SMALL, FIRST_TIMED = 400, 500, 600
"""Numbers of synthetic specimens."""


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        specimen: a shipped map, or "synthetic N" of an edge of `edge_px`.
        batch: points of a batch; 0 for the plan's number of batches.
        queued: batches queued while the model decides.
        method: of reconstruction; empty for the default.
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
    method: str = ""

    @property
    def key(self) -> str:
        """What its row is found by."""
        said = asdict(self)
        if not self.method:
            said.pop("method")
        return " | ".join(f"{value}" for value in said.values())


def _on_real(seed: int, policies: Sequence[str], budgets: Sequence[float], **more: Any) -> Iterator[Case]:
    for name, policy, budget in product(REAL, policies, budgets):
        yield Case(name, seed, policy, budget, **more)


def _classical(seed: int) -> Iterator[Case]:
    for method in CLASSICAL:
        yield from _on_real(seed, (STATIC,), STATIC_BUDGETS, method=method)
    yield from _on_real(seed, (DEFAULT_POLICY,), BUDGETS, method="pl_candidates")


def _without_light(seed: int) -> Iterator[Case]:
    for light in (Light.NONE, Light.WRONG):
        yield from _on_real(seed, (STATIC, DEFAULT_POLICY), EXTREMES, pl=light)


def _synthetic(seed: int) -> Iterator[Case]:
    for budget, policy in product(BUDGETS, (STATIC, *POLICIES)):
        yield Case(f"synthetic {FIRST_SPECIMEN + seed}", FIRST_SPECIMEN + seed, policy, budget, edge_px=128)


def _batch_sizes(seed: int) -> Iterator[Case]:
    """A small synthetic specimen, batches of 1, 10 and 100 points, with PL, without, and with that of another one."""
    number = FIRST_SMALL + seed
    for light, budget in product(Light, EXTREMES):
        common: dict[str, Any] = {"seed": number, "budget": budget, "pl": light, "edge_px": SMALL_PX}
        yield Case(f"synthetic {number}", policy=STATIC, **common)
        for batch in (100, 10, 1):
            if batch > 1 or budget <= MOST_FOR_SINGLE:
                yield Case(f"synthetic {number}", policy=DEFAULT_POLICY, batch=batch, **common)


def _sizes(seed: int) -> Iterator[Case]:
    """Synthetic specimens whose decisions are timed."""
    for edge_px in SIZES_PX:
        yield Case(f"synthetic {FIRST_TIMED + seed}", FIRST_TIMED + seed, DEFAULT_POLICY, 0.05, edge_px=edge_px)


PARTS: dict[str, Callable[[int], Iterator[Case]]] = {
    "targets": lambda seed: _on_real(seed, (DEFAULT_POLICY,), BUDGETS),
    "static": lambda seed: _on_real(seed, (STATIC,), STATIC_BUDGETS),
    "policies": lambda seed: _on_real(seed, POLICIES, BUDGETS),
    "classical": _classical,
    "curve": lambda seed: _on_real(seed, (DEFAULT_POLICY,), STATIC_BUDGETS),
    "without PL": _without_light,
    "noisy": lambda seed: _on_real(seed, (DEFAULT_POLICY, STATIC), BUDGETS, noisy=True),
    "batches": _batch_sizes,
    "synthetic": _synthetic,
    "sizes": _sizes,
    "not queued": lambda seed: _on_real(seed, (DEFAULT_POLICY,), BUDGETS, queued=0),
}
"""The cases of each seed, part by part, the most wanted first."""


def specimen_of(case: Case) -> OrientationMap:
    """The map that a case is played on."""
    if case.specimen in REAL:
        return specimens.load(case.specimen)
    return synthetic_specimen(int(case.specimen.split()[1]), (case.edge_px, case.edge_px))


def run(case: Case) -> dict[str, Any]:
    """Play one run; shares are 0 … 1.

    `cpu_s` is the processor time from one decision to the next, the first left out: that of the decision, and a little
    more for the simulation and for comparing the map with the truth.
    """
    truth, config = specimen_of(case), SimConfig() if case.noisy else EXACT_POINTS
    if case.pl == Light.NONE:
        config = config.model_copy(update={"light_kind": None})
    stage = set_up(truth, config, case.seed, lit=turned(truth) if case.pl == Light.WRONG else None)
    depth = 1 if case.policy == STATIC else case.queued + 1
    moments, at_s = list[Moment](), [time.process_time()]
    for moment in play(stage, plan_of(case, stage), depth):
        moments.append(moment)
        at_s.append(time.process_time())
    cpu_s = float(np.mean(np.diff(at_s)[1:] if len(moments) > 1 else np.diff(at_s)))
    return figures_of(case, tuple(moments)) | {"cpu_s": round(cpu_s, 3)}


def plan_of(case: Case, stage: Stage) -> RunPlan:
    """What a case is played by."""
    static = case.policy == STATIC
    policy, method = "grid" if static else case.policy, case.method or None
    plan = RunPlan(budget=Budget(fraction=case.budget), policy=policy, seed=case.seed, method=method)
    if static:
        return plan.model_copy(update={"first_pass": 1.0, "first_pass_most": 1.0, "batches": 1})
    return plan.model_copy(update={"batches": batches_of(plan, stage, case.batch)}) if case.batch else plan


def figures_of(case: Case, moments: tuple[Moment, ...]) -> dict[str, Any]:
    """The row of a run."""
    figures = {name: round(float(of(moments)), 6) for name, of in FIGURES.items()}
    return asdict(case) | figures | {"curve": [_point(moment) for moment in moments]}


def _point(moment: Moment) -> list[float]:
    figures = moment.figures
    told = (moment.instrument_s, figures.error_over_5deg, figures.predicted_over_5deg, moment.gain_px)
    return [moment.points, *(round(float(value), 5) for value in told)]


def load() -> dict[str, Any]:
    """What was measured by the gate that ships; nothing of it if it is another one."""
    gate = {LAUE_GROUP: gate_sha256()[LAUE_GROUP]}
    if RESULTS.exists():
        held = json.loads(RESULTS.read_text(encoding="utf-8"))
        if held["gate_sha256"] == gate:
            return held
    return {"gate_sha256": gate, "rows": {}}


@contextmanager
def playing_as(policy: Policy) -> Generator[None]:
    """A policy that does not ship can be played by its name."""
    POLICIES_BY_NAME[policy.name] = policy
    try:
        yield
    finally:
        del POLICIES_BY_NAME[policy.name]


def keep(key: str, row: dict[str, Any]) -> None:
    """Add a row to the file as it is by now: several parts may be measured at a time."""
    result = load()
    result["rows"][key] = row
    written = RESULTS.with_suffix(f".{os.getpid()}")
    written.write_text(json.dumps(result, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
    written.replace(RESULTS)


def measure(case: Case, play_it: Callable[[Case], dict[str, Any]]) -> None:
    """Play and keep one run, unless there is its row already."""
    if case.key in load()["rows"]:
        return
    started = time.perf_counter()
    row = play_it(case)
    keep(case.key, row)
    print(f"{case.key}: {row['error_over_5deg']:.4f} in {time.perf_counter() - started:.0f} s", flush=True)


def main(names: Sequence[str] = (), seeds: int = SEEDS) -> None:
    """Measure what is missing of the parts named, of all by default."""
    for name, seed in product(names or PARTS, range(seeds)):
        for case in PARTS[name](seed):
            measure(case, run)


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.acquisition.policies", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PART", help=f"by default all: {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many; what was measured already is kept")
    given = parser.parse_args()
    main(given.names, given.seeds)
