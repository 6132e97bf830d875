"""What a drift of the beam costs a map, and what correcting it gives back: whole runs on known maps.

The beam hits beside its target by a jump in the middle of the run, by a steady drift over it, or not at all. Each run
is played as `grainloop bench acquire --noisy` plays it, once with the drift corrected and once with it told only. Told
are wrong pixels at the end, and for each drift that was found where the beam was and where it was said to be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.decide import Watch, groups_of
from grainloop.evaluate.acquisition.playing import Stage, play, set_up
from grainloop.instrument_sim import specimens
from grainloop.instrument_sim.config import DriftConfig, SimConfig
from grainloop.instrument_sim.synthetic import draw_specimen
from grainloop.model.maps import OrientationMap
from grainloop.protocols.messages import Reconstruction, ReconstructRequest
from grainloop.protocols.plan import Budget, RunPlan

RESULTS = Path(__file__).parents[1] / "results" / "drift.json"
EDGE_PX, LENGTH_PX, BUDGET = 128, 3.0, 0.1
SEEDS = (0, 1)
_STREAM = 7_311
KINDS = ("none", "jump", "steady")


@dataclass
class Way:
    """Where the beam is off (rows, columns) in px: as `instrument_sim.detector.Drift`.

    Attributes:
        kind: one of `KINDS`.
        began_s, ended_s: instrument time of the scan.
        way_px: (2,) in the end.
    """

    kind: str
    began_s: float
    ended_s: float
    way_px: NDArray[np.float64]

    def at(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) at instrument times (N,)."""
        share = (time_s - self.began_s) / (self.ended_s - self.began_s)
        done = {"none": 0.0 * share, "jump": (share > 0.5) * 1.0, "steady": np.maximum(share, 0.0)}[self.kind]
        return done[:, None] * self.way_px


@dataclass
class Found:
    """What a run comes to.

    Attributes:
        wrong: share of pixels wrong by more than 5°.
        points: measured.
        told: of every drift that was found: points known, estimate (rows, columns), truth at the newest point.
    """

    wrong: float
    points: int
    end_s: float
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def maps() -> Iterator[tuple[str, OrientationMap]]:
    """Two that ship, two that are drawn."""
    for name in ("ti64", "mg-twins"):
        yield name, specimens.load(name)
    for number in range(2):
        rng = np.random.default_rng([_STREAM, number])
        yield f"synthetic {number + 1}", draw_specimen(rng, (EDGE_PX, EDGE_PX), "6/mmm")


def run(specimen: OrientationMap, seed: int, path: Way | None, *, correct: bool) -> tuple[Found, float]:
    """One run; also when its scan began."""
    stage = set_up(specimen, SimConfig(drift=DriftConfig.none()), seed)
    if path is not None:
        stage.instrument.drift = path  # pyright: ignore[reportAttributeAccessIssue]
    began_s, hearing = stage.light_s, Hearing(stage, path)
    plan = RunPlan(budget=Budget(fraction=BUDGET), seed=seed, correct_drift=correct)
    moments = list(play(stage, plan, hear=hearing))
    last = moments[-1]
    return Found(last.figures.error_over_5deg, last.points, last.instrument_s, hearing.told), began_s


class Hearing:
    """Notes every drift that is found, with where the beam really was."""

    def __init__(self, stage: Stage, path: Way | None) -> None:
        self._watch, self._path = Watch(groups_of(stage.instrument.capabilities)), path
        self.told: list[dict[str, Any]] = []

    def __call__(self, question: ReconstructRequest, reply: Reconstruction) -> None:
        """A question and its answer."""
        shift = self._watch.look(reply, question.points)
        if shift is None:
            return
        newest = question.points.select(question.points.point_id >= shift.from_point)
        off = np.zeros((1, 2)) if self._path is None else self._path.at(newest.time_s)
        self.told.append(
            {
                "points": len(question.points),
                "px": [round(shift.rows_px, 1), round(shift.columns_px, 1)],
                "beam_px": [round(float(v), 1) for v in off.mean(axis=0)],
                "clear": round(shift.clear, 1),
                "from": int(len(question.points) - len(newest)),
            }
        )


def measure(seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """All runs."""
    rows: list[dict[str, Any]] = []
    for name, specimen in maps():
        for seed in seeds:
            rng = np.random.default_rng([_STREAM, 9, seed])
            angle = rng.uniform(0, 2 * math.pi)
            way_px = LENGTH_PX * np.array([math.sin(angle), math.cos(angle)])
            still, began_s = run(specimen, seed, None, correct=True)
            rows.append(_row(name, seed, "none", still, correct=True))
            for kind in KINDS[1:]:
                path = Way(kind, began_s, still.end_s, way_px)
                for correct in (False, True):
                    found, _ = run(specimen, seed, path, correct=correct)
                    rows.append(_row(name, seed, kind, found, correct=correct))
    return rows


def _row(name: str, seed: int, kind: str, found: Found, *, correct: bool) -> dict[str, Any]:
    row = {"map": name, "seed": seed, "drift": kind, "corrected": correct, **found.__dict__}
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    """Measure and write."""
    rows = measure(SEEDS)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
