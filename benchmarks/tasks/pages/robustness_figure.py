"""A picture of many sweeps: one panel for each, wrong pixels of all materials with and without PL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.tasks.results import Results
from benchmarks.tasks.task import Level
from grainloop.evaluate.runs import Row

COLUMNS = 4
_PANEL_INCH = (3.3, 2.5)
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
_LINES = ("-", "--", ":")


def panels(sweeps: Mapping[str, Sequence[Level]]) -> Callable[[Results], Figure]:
    """Draws the first of the drawn figures of a task whose levels are these sweeps."""
    return lambda results: _figure(results, sweeps)


def _figure(results: Results, sweeps: Mapping[str, Sequence[Level]]) -> Figure:
    rows = -(-len(sweeps) // COLUMNS)
    figure = Figure(figsize=(_PANEL_INCH[0] * COLUMNS, 0.6 + _PANEL_INCH[1] * rows), layout="constrained")
    grid: Any = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    for axes in grid.flat[len(sweeps) :]:
        axes.set_visible(False)
    for axes, (axis, levels) in zip(grid.flat, sweeps.items(), strict=False):
        _panel(axes, results, levels)
        axes.set_xlabel(axis)
    grid[0][0].set_ylim(bottom=0)
    for row in grid:
        row[0].set_ylabel(results.task.drawn[0].heading)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(results.task.materials))
    return figure


def _panel(axes: Axes, results: Results, levels: Sequence[Level]) -> None:
    task, column = results.task, results.task.drawn[0]
    places = np.arange(len(levels))
    for colour, material in zip(cycle(_COLOURS), task.materials, strict=False):
        for line, case in zip(cycle(_LINES), task.cases, strict=False):
            rows = [results.row(material.name, level.name, case.name) for level in levels]
            mean, sd = (column.factor * np.array(each) for each in _means(rows, column.figure))
            label = f"{material.title}, {case.name}"
            axes.errorbar(
                places, mean, sd, color=colour, linestyle=line, marker="o", markersize=3, capsize=2, label=label
            )
    axes.set_xticks(places, [_short(level.name) for level in levels])
    axes.grid(visible=True, which="major", linewidth=0.3)
    axes.set_axisbelow(True)


def _means(rows: Sequence[Row], figure: str) -> tuple[list[float], list[float]]:
    """Means and standard deviations over the seeds."""
    return [row.mean(figure) for row in rows], [row.sd(figure) for row in rows]


def _short(name: str) -> str:
    """What of the name of a level the axis does not say already."""
    _, _, value = name.rpartition(": ")
    for unit in (" %", " px", " angles", "°"):
        value = value.removesuffix(unit)
    return value
