"""How far the default policy goes from the static grid towards a policy that knows the truth."""

from __future__ import annotations

from benchmarks.acquisition.acquired.cells import MAPS, cell, of, percent
from benchmarks.acquisition.acquired.needed import STATIC_KIN, least, ratio
from benchmarks.acquisition.acquired.numbers import Rows, budgets_of, chosen, curve, mean
from benchmarks.acquisition.policies import ORACLE, REAL, STATIC
from grainloop.cli.bench.tables import markdown_table as table
from grainloop.model.acquire import DEFAULT_POLICY


def ceiling(rows: Rows) -> str:
    """By map and budget; nothing where the oracle was not played."""
    body = [
        row for name in REAL for budget in budgets_of(chosen(rows, policy=ORACLE)) if (row := _row(rows, name, budget))
    ]
    head = ["map", "pixels measured", "static grid", "ours", "oracle", "of the way", "oracle: fewer than static"]
    return table(head, body) if body else ""


def _row(rows: Rows, name: str, budget: float) -> list[str]:
    grid, ours, best = (mean(of(rows, name, policy, budget)) for policy in (STATIC, DEFAULT_POLICY, ORACLE))
    if grid is None or ours is None or best is None:
        return []
    way = (grid.value - ours.value) / (grid.value - best.value)
    patterns = [curve(chosen(rows, specimen=name, policy=policy)) for policy in STATIC_KIN]
    played = mean(of(rows, name, ORACLE, budget), "points_measured")
    assert played is not None  # a row has both figures
    fewer = ratio(least(patterns, best.value), played.value)
    return [MAPS[name], percent(budget), cell(grid), cell(ours), cell(best), f"{100 * way:.0f} %", fewer]
