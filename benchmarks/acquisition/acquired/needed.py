"""How many points each way needs for the same map."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.acquisition.acquired.cells import MAPS, of
from benchmarks.acquisition.acquired.numbers import Rows, chosen, curve, mean, reached_at
from benchmarks.acquisition.gpcam_rival import ACQUISITIONS, EXPECTATION, NEAREST, name_of
from benchmarks.acquisition.policies import BUDGETS, NEAREST_25, REAL, STATIC
from grainloop.cli.bench.tables import markdown_table as table
from grainloop.model.acquire import DEFAULT_POLICY

STATIC_KIN = (STATIC, "grid", "bluenoise", "random")
"""Patterns that do not look at the data."""
FEWER_THAN_STATIC, FEWER_THAN_GPCAM = 1.5, 3.0
FEWER_THAN_NEAREST = {"ti64": 3.0, "mg-twins": 14.0}
QUARTER = 0.25
APART = 0.97
"""Errors nearer to each other than this are told once."""


def needed(rows: Rows) -> str:
    """How many times fewer points the default policy needs at the errors it reaches."""
    head = ["map", "wrong, %", "points, ours", "best static pattern, ours", "static grid, nearest", "gpCAM, own"]
    head += [f"fewer than static (≥ {FEWER_THAN_STATIC:g})", f"fewer than gpCAM (≥ {FEWER_THAN_GPCAM:g})"]
    body = []
    for name in REAL:
        own = curve(chosen(rows, specimen=name, policy=DEFAULT_POLICY))
        static = [curve(chosen(rows, specimen=name, policy=policy)) for policy in STATIC_KIN]
        nearest = [curve(chosen(rows, specimen=name, policy=STATIC, method=NEAREST))]
        rival = gpcam_curves(rows, name)
        for error in errors_of(rows, name):
            ours = reached_at(own, error)
            if ours is not None:
                counts = [f"{ours:,.0f}", *[points(least(others, error)) for others in (static, nearest, rival)]]
                fewer = [ratio(least(others, error), ours) for others in (static, rival)]
                body.append([MAPS[name], f"{100 * error:.1f}", *counts, *fewer])
    return table(head, body)


def errors_of(rows: Rows, name: str) -> list[float]:
    """Errors at which points are compared: what a 25 % grid leaves by nearest neighbour, and ours at each budget."""
    reached = (mean(of(rows, name, DEFAULT_POLICY, budget)) for budget in (0.02, *BUDGETS, 0.2))
    found = sorted({NEAREST_25[name] / 100, *(one.value for one in reached if one is not None)}, reverse=True)
    return [error for error, higher in zip(found, [math.inf, *found], strict=False) if error < APART * higher]


def quarter(rows: Rows) -> str:
    """Share of the points of a 25 % grid that ours needs for what nearest neighbour makes of it."""
    lines = []
    for name in REAL:
        found = reached_at(curve(chosen(rows, specimen=name, policy=DEFAULT_POLICY)), NEAREST_25[name] / 100)
        grid = mean(of(rows, name, STATIC, QUARTER, method=""), "points_measured")
        if found is not None and grid is not None:
            times, asked = grid.value / found, FEWER_THAN_NEAREST[name]
            met = "met" if times >= asked else "missed"
            lines.append(
                f"- {MAPS[name]}: the quality of the 25 % grid with nearest neighbour ({NEAREST_25[name]:g} % wrong) "
                f"takes {found:,.0f} points, 1/{times:.1f} of its {grid.value:,.0f} (asked for: 1/{asked:g}; {met})."
            )
    return "\n".join(lines) + "\n"


def gpcam_curves(rows: Rows, name: str) -> list[list[tuple[float, float]]]:
    """Of gpCAM with reconstructions that need nothing but its points."""
    kinds = ((name_of(acquisition), method) for acquisition in ACQUISITIONS for method in (NEAREST, EXPECTATION))
    return [curve(chosen(rows, specimen=name, policy=policy, method=method)) for policy, method in kinds]


def least(curves: Sequence[list[tuple[float, float]]], error: float) -> tuple[float, bool]:
    """Fewest points of several curves for an error; or the most that any was played to, and that this is not enough."""
    reached = [x for one in curves if (x := reached_at(one, error)) is not None]
    return (min(reached), True) if reached else (max((one[-1][0] for one in curves if one), default=math.nan), False)


def points(found: tuple[float, bool]) -> str:
    """A number of points, or a lower bound of it."""
    count, enough = found
    return "–" if math.isnan(count) else f"{'' if enough else '> '}{count:,.0f}"


def ratio(found: tuple[float, bool], ours: float) -> str:
    """How many times more points another needs; nothing where it was not played as far as ours."""
    count, enough = found
    return f"{'' if enough else '> '}{count / ours:.1f}" if enough or count > ours else "–"
