"""What comes of runs of acquisition: figures and curves as mean and standard deviation over the seeds, and a table.

Nothing here measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from grainloop.evaluate.acquisition.playing import Moment
from grainloop.protocols.sentences import counted

Run = tuple[Moment, ...]
COLUMNS = (
    ("wrong, %", "error_over_5deg", 100, 2),
    ("told, %", "predicted_over_5deg", 100, 2),
    ("mean, °", "error_mean_deg", 1, 2),
    ("points", "points_measured", 1, 0),
    ("run, s", "instrument_s", 1, 1),
    ("think, s", "decision_s", 1, 2),
    ("touch, %", "adjacent_share", 100, 1),
)
"""Heading, figure, factor, digits; the first one is told with its standard deviation."""


@dataclass(frozen=True)
class Played:
    """The runs of one policy on one map.

    Attributes:
        name: of the map.
        budget: share of the pixels that they were allowed.
        runs: of each seed, every decision and the end.
    """

    name: str
    budget: float
    runs: tuple[Run, ...]

    @property
    def policy(self) -> str:
        """What chose most of the points after the first pass; empty where there were none."""
        asked: dict[str, int] = {}
        for moment in (m for run in self.runs for m in run if m.asked):
            asked[moment.policy] = asked.get(moment.policy, 0) + moment.asked
        return max(asked, key=lambda name: asked[name], default="")

    def figure(self, name: str) -> list[float]:
        """A figure of each seed, by its name in the JSON."""
        return [FIGURES[name](run) for run in self.runs]


def decision_s(run: Run) -> float:
    """Mean wall time of a decision once PL is registered, so without the first one where there are more."""
    seconds = [moment.decision_s for moment in run]
    return float(np.mean(seconds[1:] or seconds))


def adjacent_of(run: Run) -> float:
    """Share of the points after the first pass that touch another one of their batch; NaN where there are none."""
    asked = [(moment.asked, moment.adjacent_share) for moment in run if moment.asked]
    return sum(count * share for count, share in asked) / sum(count for count, _ in asked) if asked else math.nan


FIGURES: dict[str, Callable[[Run], float]] = {
    "error_mean_deg": lambda run: run[-1].figures.error_mean_deg,
    "error_over_5deg": lambda run: run[-1].figures.error_over_5deg,
    "points_measured": lambda run: run[-1].points,
    "instrument_s": lambda run: run[-1].instrument_s,
    "decision_s": decision_s,
    "adjacent_share": adjacent_of,
    "predicted_over_5deg": lambda run: run[-1].figures.predicted_over_5deg,
    "boundary_f1": lambda run: run[-1].figures.boundary_f1,
    "decisions": lambda run: sum(1 for moment in run if moment.asked),
}
"""What is told of a run, by name."""
CURVE: dict[str, Callable[[Moment], float]] = {
    "points": lambda m: m.points,
    "instrument_s": lambda m: m.instrument_s,
    "error_mean_deg": lambda m: m.figures.error_mean_deg,
    "error_over_5deg": lambda m: m.figures.error_over_5deg,
    "predicted_over_5deg": lambda m: m.figures.predicted_over_5deg,
    "decision_s": lambda m: m.decision_s,
    "asked": lambda m: m.asked,
    "gain_px": lambda m: m.gain_px,
    "adjacent_share": lambda m: m.adjacent_share,
}
"""What is told of every decision and of the end, by name."""


def to_json(played: Played) -> dict[str, Any]:
    """Figures and curve of one map; shares are 0 … 1, None stands for no answer."""
    return {
        "map": played.name,
        "policy": played.policy,
        "budget": played.budget,
        "seeds": len(played.runs),
        **{name: mean_sd(played.figure(name)) for name in FIGURES},
        "curve": curve(played),
    }


def curve(played: Played) -> list[dict[str, Any]]:
    """One entry per decision, and the end; runs that stopped early take part as long as they went on."""
    longest = max(len(run) for run in played.runs)
    steps = [[run[i] for run in played.runs if i < len(run)] for i in range(longest)]
    return [{name: mean_sd([of(moment) for moment in step]) for name, of in CURVE.items()} for step in steps]


def mean_sd(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and standard deviation of what has an answer; the deviation of a single one is 0."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return {"mean": None, "sd": None}
    spread = float(np.std(known, ddof=1)) if len(known) > 1 else 0.0
    return {"mean": round(float(np.mean(known)), 6), "sd": round(spread, 6)}


def to_terminal(found: Sequence[Played]) -> Table:
    """A table with one row per map."""
    policy = next((played.policy for played in found if played.policy), "first pass alone")
    title = f"{policy}, {found[0].budget:.3g} of the pixels, {counted(len(found[0].runs), 'seed')}"
    table = Table("", title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    for heading, *_ in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for played in found:
        cells = [_cell(mean_sd(played.figure(name)), factor, digits) for _, name, factor, digits in COLUMNS]
        table.add_row(Path(played.name).name, _with_sd(played), *cells[1:])
    return table


def _with_sd(played: Played) -> str:
    _, name, factor, digits = COLUMNS[0]
    told = mean_sd(played.figure(name))
    mean, sd = _cell(told, factor, digits), told["sd"]
    return (
        mean if not sd and len(played.runs) == 1 else f"{mean} ± {factor * (sd or 0):.{digits}f}"
    )  # of one, no spread


def _cell(told: dict[str, float | None], factor: float, digits: int) -> str:
    mean = told["mean"]
    return "–" if mean is None else f"{factor * mean:.{digits}f}"
