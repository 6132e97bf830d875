"""What the numbers of a task say about our case, in sentences made of them: where it is better, where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.tasks.results import Results
from benchmarks.tasks.task import Column
from grainloop.evaluate.runs import Row

CLEAR = 2.0
"""Standard errors of the paired difference beyond which one case is better than another."""


@dataclass(frozen=True)
class Comparison:
    """Our case beside the best of its rivals at one level of one material.

    Attributes:
        place: material and level.
        ours, theirs: means as shown.
        rival: the best of them.
        side: 1 where ours is clearly better, −1 where it is clearly worse, 0 where neither.
    """

    place: str
    ours: float
    theirs: float
    rival: str
    side: int


def comparisons(results: Results, column: Column) -> list[Comparison]:
    """One for every level of every material where both sides have an answer."""
    task = results.task
    found = [_compare(results, column, m.name, lv.name) for m in task.materials for lv in task.levels]
    return [one for one in found if one is not None]


def _compare(results: Results, column: Column, material: str, level: str) -> Comparison | None:
    task = results.task
    rows = {name: results.row(material, level, name) for name in (task.ours, *task.rivals)}
    known = {name: row for name, row in rows.items() if np.isfinite(row.mean(column.figure))}
    rivals = {name: row for name, row in known.items() if name != task.ours}
    if task.ours not in known or not rivals:
        return None
    best = max(rivals, key=lambda name: column.better * rivals[name].mean(column.figure))
    ours, theirs = (column.factor * row.mean(column.figure) for row in (known[task.ours], rivals[best]))
    title = next(m.title for m in task.materials if m.name == material)
    return Comparison(f"{title}, {level}", ours, theirs, best, side_of(known[task.ours], rivals[best], column))


def side_of(ours: Row, theirs: Row, column: Column) -> int:
    """1 where ours is better by `CLEAR` standard errors of the difference paired by seeds, −1 where it is worse."""
    pair = np.array([row.figures[column.figure] for row in (ours, theirs)])
    gain = column.better * (pair[0] - pair[1])[np.isfinite(pair).all(axis=0)]
    if not len(gain):
        return 0
    error = np.std(gain, ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
    return int(np.sign(gain.mean())) if abs(gain.mean()) > CLEAR * error else 0


def judgement(results: Results) -> str:
    """One line for every figure of the task that has a better and a worse; Markdown."""
    judged = [column for column in results.task.columns if column.better]
    lines = [line for column in judged if (line := _line(column, comparisons(results, column), results.task.ours))]
    return "\n".join(lines) + "\n"


def _line(column: Column, found: Sequence[Comparison], ours: str) -> str | None:
    if not found:
        return None
    better, level, worse = ([one for one in found if one.side == side] for side in (1, 0, -1))
    text = f"- **{column.heading}**: `{ours}` is better than every rival at {len(better)} of {len(found)} places"
    if level:
        text += f"; no clear difference at {len(level)}: {_listed(level, column)}"
    if worse:
        text += f"; worse than the best of them at {len(worse)}: {_listed(worse, column)}"
    return text + "."


def _listed(found: Sequence[Comparison], column: Column) -> str:
    def shown(one: Comparison) -> str:
        return f"{one.place} ({one.ours:.{column.digits}f}, {one.rival} {one.theirs:.{column.digits}f})"

    return "; ".join(shown(one) for one in found)
