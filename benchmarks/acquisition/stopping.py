"""How far the predicted share of wrong pixels is from the true one at the moment at which a run would stop.

Whole runs are played (`grainloop.evaluate.acquisition.playing`) and one run serves all tolerances: for each, the first
decision at which the prediction is below it is where the run would have stopped. Synthetic specimens are disjoint from
those of training, validation, calibration and `grainloop.evaluate.acquisition.lessons`; the real maps are in none of
them. Each run is a row of the JSON file, written as soon as it is there; what is there is not measured again.

    python -m benchmarks.acquisition.stopping
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.acquisition.stopping_page import write_page
from benchmarks.tasks.materials import synthetic_specimen
from grainloop.evaluate.acquisition.playing import play, set_up
from grainloop.evaluate.sections.scenes import EXACT_POINTS
from grainloop.instrument_sim import specimens
from grainloop.instrument_sim.config import SimConfig
from grainloop.model.diffusion.checkpoints.shipped import SHARE
from grainloop.model.service.methods import shipped_weights
from grainloop.model.weights import weights_files
from grainloop.protocols.messages import Reconstruction, ReconstructRequest
from grainloop.protocols.plan import Budget, RunPlan

RESULTS = Path(__file__).parents[1] / "results" / "stopping.json"
GROUP = "6/mmm"
REAL, SEEDS = ("ti64", "mg-twins"), range(3)
SYNTHETIC, EDGE_PX = range(700, 732), 96
BUDGETS = {"ti64": 0.2, "mg-twins": 0.2}
SYNTHETIC_BUDGET, BATCHES = 0.3, 16


@dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
        specimen: a shipped map, or "synthetic N".
        noisy: points with the usual noise of the instrument, lost and mistaken ones; else exact ones.
        light: whether PL is taken.
    """

    specimen: str
    seed: int
    noisy: bool
    light: bool

    @property
    def key(self) -> str:
        """What its row is found by."""
        return " | ".join(f"{value}" for value in asdict(self).values())


def cases() -> Iterator[Case]:
    """Synthetic specimens with and without noise and PL in turn, then the real maps."""
    for n in SYNTHETIC:
        yield Case(f"synthetic {n}", n, n % 2 == 0, n % 4 < 3)
    for light, seeds in ((True, SEEDS), (False, range(1))):
        for seed in seeds:
            for name in REAL:
                yield from (Case(name, seed, noisy, light) for noisy in (True, False))


def run(case: Case) -> dict[str, Any]:
    """Play one run: rows of points, and the shares of wrong pixels: true, predicted, and summed up from the doubt."""
    real = case.specimen in REAL
    truth = specimens.load(case.specimen) if real else synthetic_specimen(case.seed, (EDGE_PX, EDGE_PX))
    config = SimConfig() if case.noisy else EXACT_POINTS
    stage = set_up(truth, config if case.light else config.model_copy(update={"light_kind": None}), case.seed)
    plan = RunPlan(budget=Budget(fraction=BUDGETS.get(case.specimen, SYNTHETIC_BUDGET)), seed=case.seed)
    summed: list[float] = []

    def hear(_question: ReconstructRequest, _reply: Reconstruction) -> None:
        assert stage.section.said is not None
        summed.append(float(stage.section.said.p_wrong[truth.indexed].mean()))

    rows = []
    for moment in play(stage, plan.model_copy(update={"batches": BATCHES}), hear=hear):
        figures = moment.figures
        shares = (figures.error_over_5deg, figures.predicted_over_5deg, summed[-1])
        rows.append([moment.points, *(round(share, 5) for share in shares)])
    return asdict(case) | {"pixels": truth.phase_id.size, "rows": rows}


def made_with() -> dict[str, Any]:
    """Weights, and the correction of the share that ships with them for this material."""
    at = weights_files()[GROUP].beside(SHARE)
    share = {GROUP: json.loads(at.read_text(encoding="utf-8"))} if at.is_file() else {}
    return {"weights_sha256": dict(shipped_weights()), "share": share}


def load() -> dict[str, Any]:
    """What was measured with what ships; nothing of it if that has changed."""
    made = made_with()
    if RESULTS.exists():
        held = json.loads(RESULTS.read_text(encoding="utf-8"))
        if {name: held[name] for name in made} == made:
            return held
    return made | {"runs": {}}


def main() -> dict[str, Any]:
    """Measure what is missing and write the page."""
    result = load()
    for case in cases():
        if case.key in result["runs"]:
            continue
        started = time.perf_counter()
        result["runs"][case.key] = row = run(case)
        RESULTS.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{case.key}: {row['rows'][-1]} in {time.perf_counter() - started:.0f} s", flush=True)
    write_page(result)
    return result


if __name__ == "__main__":
    main()
