"""Cells of the tables of docs/results/acquisition.md."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.acquisition.acquired.numbers import Change, Mean, Row, Rows, chosen

MAPS = {"ti64": "Ti-6Al-4V (macrozones)", "mg-twins": "Mg (twins)"}
SHORT = {"ti64": "Ti64", "mg-twins": "Mg"}
ALLOWED = 0.02
"""How much more pixels than by the static grid may be wrong, as a share of those."""


def cell(found: Mean | None, digits: int = 2) -> str:
    """Percent, with the sd of the seeds and their number."""
    if found is None:
        return "–"
    spread = f" ± {100 * found.sd:.{digits}f}" if found.count > 1 else ""
    return f"{100 * found.value:.{digits}f}{spread} ({found.count})"


def told(found: Change | None, digits: int = 0) -> str:
    """Percent more or fewer wrong pixels; bold where that is more than allowed, and surely so."""
    if found is None:
        return "–"
    spread = "" if math.isnan(found.se) else f" ± {100 * found.se:.{digits}f}"
    said = f"{100 * found.value:+.{digits}f}{spread}"
    return f"**{said}**" if found.value > ALLOWED else said


def percent(budget: float) -> str:
    """A budget."""
    return f"{100 * budget:g} %"


def of(rows: Rows, name: str, policy: str, budget: float, **more: Any) -> list[Row]:
    """The runs of one map, policy and budget."""
    return chosen(rows, specimen=name, policy=policy, budget=budget, **more)
