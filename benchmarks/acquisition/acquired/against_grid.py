"""Adaptive runs against the static grid: change of the share of wrong pixels, and where that is more than allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

from benchmarks.acquisition.acquired.cells import ALLOWED, MAPS, of, percent, told
from benchmarks.acquisition.acquired.numbers import Change, Rows, budgets_of, change, chosen
from benchmarks.acquisition.policies import EXTREMES, REAL, SMALL_PX, STATIC
from grainloop.cli.bench.acquire import Light
from grainloop.cli.bench.tables import markdown_table as table
from grainloop.model.acquire import DEFAULT_POLICY

SAID = {Light.SIMULATE: "right", Light.NONE: "none", Light.WRONG: "of another section"}
BATCH_POINTS = (1, 10, 100)


def never_worse(rows: Rows, *lights: Light) -> str:
    """Change on the real maps, by map, PL and budget."""
    budgets = sorted({budget for light in lights for budget in shown_budgets(rows, light)})
    body = []
    for name, light in product(REAL, lights):
        found = [on_real(rows, name, light, budget) for budget in budgets]
        if any(one is not None for one in found):
            body.append([MAPS[name], SAID[light], *[told(one) for one in found]])
    return table(["", "PL", *[percent(b) for b in budgets]], body) if body else ""


def on_real(rows: Rows, name: str, light: str, budget: float) -> Change | None:
    """Change on one map."""
    return change(of(rows, name, DEFAULT_POLICY, budget, pl=light), of(rows, name, STATIC, budget, pl=light))


def shown_budgets(rows: Rows, light: str) -> list[float]:
    """Budgets that both were played at on a real map."""
    real = [row for row in rows if row["specimen"] in REAL]
    return [
        b
        for b in budgets_of(real)
        if chosen(real, policy=STATIC, budget=b, pl=light) and chosen(real, policy=DEFAULT_POLICY, budget=b, pl=light)
    ]


def on_small(rows: Rows, light: str, batch: int, budget: float) -> Change | None:
    """Change on the small synthetic specimens."""
    own, static = (
        chosen(rows, policy=policy, budget=budget, pl=light, batch=size, edge_px=SMALL_PX)
        for policy, size in ((DEFAULT_POLICY, batch), (STATIC, 0))
    )
    return change(own, static)


def batches(rows: Rows) -> str:
    """Change on small synthetic specimens, by PL, size of batch and budget."""
    body = []
    for light, batch in product(Light, BATCH_POINTS):
        found = [on_small(rows, light, batch, budget) for budget in EXTREMES]
        if any(one is not None for one in found):
            body.append([SAID[light], batch, *[told(one) for one in found]])
    return table(["PL", "batch", *[percent(b) for b in EXTREMES]], body) if body else ""


def every_change(rows: Rows) -> Iterator[tuple[str, Change]]:
    """Each of the comparisons with the static grid, by name."""
    for name, light in product(REAL, Light):
        for budget in shown_budgets(rows, light):
            found = on_real(rows, name, light, budget)
            if found is not None:
                yield f"{MAPS[name]}, PL {SAID[light]}, {percent(budget)}", found
    for light, batch, budget in product(Light, BATCH_POINTS, EXTREMES):
        found = on_small(rows, light, batch, budget)
        if found is not None:
            yield f"synthetic, PL {SAID[light]}, batch {batch}, {percent(budget)}", found


def violations(rows: Rows) -> str:
    """A sentence, and a list of everything beyond what is allowed."""
    found = list(every_change(rows))
    beyond = [(name, one) for name, one in found if one.value > ALLOWED]
    sure = [one for _, one in beyond if not math.isnan(one.se) and one.value - 2 * one.se > ALLOWED]
    are = "is" if len(beyond) == 1 else "are"
    text = (
        f"Of {len(found)} comparisons {len(beyond)} {are} worse than the grid by more than {100 * ALLOWED:g} %, "
        f"{len(sure)} of them by more than that and twice the standard error."
    )
    lines = [f"- {name}: {told(one, 1).strip('*')} % ({_pairs(one)})" for name, one in beyond]
    return "\n".join([text, "", *lines, ""])


def _pairs(found: Change) -> str:
    return "one pair" if found.count == 1 else f"{found.count} pairs"
