"""Points, lines and rectangles at equal instrument time in whole runs: the controller's own loop, journal and budget.

The services' own code answers in this process, without sockets; the instrument is the simulator with the costs of an
external scan control, or of a map queue. What is measured offline, with the same choice of shapes but without a loop,
is in `benchmarks.acquisition.shapes`. Points carry the instrument's noise; PL has every default nuisance and its time
counts. Decisions take no instrument time, so that the computer does not matter; what they cost is in
`docs/results/idle.md`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grainloop.controller.figures.summary import score
from grainloop.controller.journal import read_journal, replay
from grainloop.controller.record import JOURNAL_NAME
from grainloop.controller.recorded.virtual_time import run
from grainloop.controller.run import Run
from grainloop.controller.session import load_session
from grainloop.evaluate.instrument_here import InstrumentHere
from grainloop.evaluate.model_here import ModelHere, model_named
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.instrument_sim.presets import PRESETS
from grainloop.instrument_sim.specimens.named import load_specimen
from grainloop.model.service.methods import shipped_weights
from grainloop.protocols.plan import Budget, RunPlan

RESULTS = Path(__file__).parents[1] / "results" / "shapes_live.json"
MAP = "mg-twins"
SEEDS = (0, 1)
RASTER = "coarse raster"
"""All of the time on the first pass, as the reference."""
CASES: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("external", 0.02, ("points", "lines", "rectangles", "auto", RASTER)),
    ("queue", 0.2, ("lines", "rectangles", "auto", RASTER)),
)
"""Preset, dwell in seconds, and what the plan asks for."""
SECONDS = {"external": 36 + 52.0, "queue": 36 + 527.0}
"""Instrument time of a run, PL of 36 s included: about that of a coarse raster of step 3."""


def mounted(preset: str, dwell_s: float, seed: int) -> SimulatedInstrument:
    """The specimen in an instrument of this kind."""
    kind = PRESETS[preset]
    config = SimConfig(timing=kind.timing, shapes=kind.shapes, dwell_range_s=(1e-4, 1.0), default_dwell_s=dwell_s)
    return SimulatedInstrument(load_specimen(MAP), config, seed)


def play(preset: str, dwell_s: float, shape: str, seed: int) -> dict[str, Any]:
    """One whole run as a row."""
    instrument = mounted(preset, dwell_s, seed)
    model = ModelHere(model_named(None, instrument.capabilities.phases), instrument.capabilities.phases)
    budget = Budget(fraction=1.0, instrument_s=SECONDS[preset])
    fields = {"shape": "rectangles", "first_pass": 1.0} if shape == RASTER else {"shape": shape}
    plan = RunPlan.model_validate({"budget": budget, "seed": seed, "decision_s": 0} | fields)
    with tempfile.TemporaryDirectory() as folder:
        finished = run(Run(plan, Path(folder), InstrumentHere(instrument), model).execute())
        session = load_session(Path(finished.session_file))
        again = replay(read_journal(Path(folder) / JOURNAL_NAME).entries)
    truth = load_specimen(MAP)
    if session.result is None or again.difference is not None:
        raise RuntimeError(f"{finished.detail}; {again.difference}")
    found = score(session.result.orientation, truth)
    pixels = len(np.unique(session.points.position_px, axis=0))
    used: dict[str, int] = {}
    for decision in session.decisions[1:]:
        for one in decision.get("shapes", []):
            used[one["shape"]] = used.get(one["shape"], 0) + (one["points"] if one["shape"] == "points" else 1)
    return {
        "map": MAP,
        "preset": preset,
        "dwell_s": dwell_s,
        "shape": shape,
        "seed": seed,
        "limit_s": SECONDS[preset],
        "instrument_s": round(finished.instrument_s, 2),
        "wrong_percent": round(100 * found.error_over_5deg, 3),
        "error_mean_deg": round(found.error_mean_deg, 3),
        "exposures": len(session.points),
        "again": len(session.points) - pixels,
        "first_pass": session.decisions[0]["points"],
        "batches": len(session.decisions),
        "shapes": used,
        "ended": finished.detail,
        "replayed": again.decisions,
    }


def main(seeds: Sequence[int] = SEEDS, resume: bool = False) -> dict[str, Any]:
    """Measure, and write `results/shapes_live.json` after every run; `resume` keeps what is there."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if resume and RESULTS.exists() else []
    done = {(row["seed"], row["preset"], row["shape"]) for row in kept}
    wanted = [(seed, *case[:2], shape) for seed in seeds for case in CASES for shape in case[2]]
    result: dict[str, Any] = {"weights_sha256": dict(shipped_weights()), "rows": kept}
    for seed, preset, dwell_s, shape in wanted:
        if (seed, preset, shape) not in done:
            result["rows"].append(play(preset, dwell_s, shape, seed))
            sys.stderr.write(json.dumps(result["rows"][-1]) + "\n")
            RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main(resume="resume" in sys.argv[1:])
