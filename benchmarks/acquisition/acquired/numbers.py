"""What the runs of `acquisition` say: means over seeds, points needed for an error, differences with their uncertainty.

Nothing here measures or writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

WRONG = "error_over_5deg"
Row = dict[str, Any]
Rows = Sequence[Row]
DEFAULTS: Row = {"batch": 0, "pl": "simulate", "noisy": False, "queued": 1, "method": ""}
"""Of a run that differs in nothing."""


@dataclass(frozen=True)
class Mean:
    """A mean over seeds.

    Attributes:
        sd: standard deviation of the seeds; 0 for one seed.
        count: how many.
    """

    value: float
    sd: float
    count: int

    @property
    def se(self) -> float:
        """Standard error of the mean; NaN for one seed."""
        return self.sd / math.sqrt(self.count) if self.count > 1 else math.nan


@dataclass(frozen=True)
class Change:
    """How much more pixels are wrong than by the reference, as a share of its wrong pixels.

    Attributes:
        se: standard error over the pairs, which are of the same seed and specimen; NaN for one pair.
        count: of pairs.
    """

    value: float
    se: float
    count: int


def chosen(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """The rows whose fields are as `wanted`, and as in `DEFAULTS` where nothing is said; None stands for anything."""
    asked = {name: value for name, value in (DEFAULTS | wanted).items() if value is not None}
    return [row for row in rows if all(row.get(name, DEFAULTS.get(name)) == value for name, value in asked.items())]


def mean(rows: Rows, figure: str = WRONG) -> Mean | None:
    """Of a figure over the rows; None where there are none with an answer."""
    known = [float(row[figure]) for row in rows if figure in row and not math.isnan(row[figure])]
    if not known:
        return None
    return Mean(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else 0.0, len(known))


def budgets_of(rows: Iterable[Row]) -> list[float]:
    """Those that were played, in order."""
    return sorted({row["budget"] for row in rows})


def curve(rows: Rows, x: str = "points_measured", figure: str = WRONG) -> list[tuple[float, float]]:
    """(mean of x, mean of the figure) at every budget."""
    of_budget = [[row for row in rows if row["budget"] == budget] for budget in budgets_of(rows)]
    return [(float(np.mean([r[x] for r in own])), float(np.mean([r[figure] for r in own]))) for own in of_budget]


def reached_at(points: Sequence[tuple[float, float]], error: float) -> float | None:
    """X at which a falling curve first reaches an error, straight on logarithmic axes; None where it never does.

    Where its first point is below already, that one: the true place is lower.
    """
    if points and points[0][1] <= error:
        return points[0][0]
    for (x0, y0), (x1, y1) in pairwise(points):
        if y1 <= error < y0:
            share = math.log(y0 / error) / math.log(y0 / y1)
            return float(math.exp(math.log(x0) + share * math.log(x1 / x0)))
    return None


def change(rows: Rows, reference: Rows) -> Change | None:
    """Of the rows against those of the reference of the same specimen and seed; None without any."""
    held = {(row["specimen"], row["seed"]): row[WRONG] for row in reference}
    pairs = [(row[WRONG], held[row["specimen"], row["seed"]]) for row in rows if (row["specimen"], row["seed"]) in held]
    if not pairs:
        return None
    own, other = np.array(pairs).T
    scale, spread = float(other.mean()), float(np.std(own - other, ddof=1)) if len(pairs) > 1 else math.nan
    return Change(float((own - other).mean()) / scale, spread / math.sqrt(len(pairs)) / scale, len(pairs))
