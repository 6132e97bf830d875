"""The figure of a task: one row of panels for each figure that is drawn, one column for each material."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from benchmarks.tasks.materials import Material
from benchmarks.tasks.pages.page import DOCS
from benchmarks.tasks.results import Results
from benchmarks.tasks.task import Column
from grainloop.cli.bench.pictures import STYLES
from grainloop.controller.figures import house_style, save
from grainloop.evaluate.runs import Row

_MORE = (
    ("#56b4e9", "-.", "D"),
    ("#e69f00", "-", "^"),
    ("#000000", "--", "v"),
    ("#7b2cbf", "-", "d"),
    ("#7f5539", "-.", "p"),
    ("#f0e442", "-", "x"),
    ("#5f7a61", "--", "+"),
)
"""Colour, line and marker of cases that have none of their own, in order."""
_PANEL_INCH = (4.2, 3.1)
_STEP_ASIDE = 0.02
"""Of neighbouring lines, as a share."""
Look = tuple[str, str, str]
"""Colour, line and marker."""
Series = tuple[NDArray[Any], NDArray[Any]]
"""Mean and standard deviation at each level."""
_GROUP = 0.8
"""Width of a group of bars."""


def draw(results: Results, folder: Path = DOCS) -> Path:
    """Write the picture of a task that was measured."""
    with house_style():
        return save((results.task.figure or task_figure)(results), folder / f"{results.task.name}.png")


def task_figure(results: Results) -> Figure:
    """Every figure drawn, mean with bars of one standard deviation."""
    task = results.task
    rows, columns = len(task.drawn), len(task.materials)
    figure = Figure(figsize=(0.8 + _PANEL_INCH[0] * columns, 0.9 + _PANEL_INCH[1] * rows), layout="constrained")
    grid: Any = figure.subplots(rows, columns, squeeze=False, sharey="row")
    for axes_of_row, column in zip(grid, task.drawn, strict=True):
        for axes, material in zip(axes_of_row, task.materials, strict=True):
            _panel(axes, results, material, column)
        axes_of_row[0].set_ylabel(column.heading)
    for axes, material in zip(grid[0], task.materials, strict=True):
        axes.set_title(material.title)
    for axes in grid[-1]:
        axes.set_xlabel(task.axis)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)))
    return figure


def _panel(axes: Axes, results: Results, material: Material, column: Column) -> None:
    task = results.task
    places = np.arange(len(task.levels)) if task.kind == "bars" else np.array([level.value for level in task.levels])
    looks = looks_of([case.name for case in task.cases])
    answers = 0
    for number, (name, look) in enumerate(looks.items()):
        rows = [results.row(material.name, level.name, name) for level in task.levels]
        values = _means(rows, column)
        answers += np.isfinite(values[0]).sum()
        if task.kind == "bars":
            width = _GROUP / len(looks)
            _bars(axes, places + (number - (len(looks) - 1) / 2) * width, width, values, look, name)
        else:
            _line(axes, _aside(places, number - len(looks) / 2, task.scale), values, look, name)
    if not answers:
        axes.text(0.5, 0.5, "none of the kind", ha="center", transform=axes.transAxes)
    _scales(axes, results, places, column)
    axes.grid(visible=True, which="major", linewidth=0.3)
    axes.set_axisbelow(True)


def _aside(places: NDArray[Any], steps: float, scale: str) -> NDArray[Any]:
    """Places a little to the side, so that bars of errors do not hide each other."""
    if scale == "log":
        return places * (1 + _STEP_ASIDE) ** steps
    return places + _STEP_ASIDE * steps * np.ptp(places) / 4


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """Colour, line and marker of each case: the same in all pictures for methods that have their own."""
    more = cycle(_MORE)
    return {name: STYLES[name] if name in STYLES else next(more) for name in names}


def _means(rows: list[Row], column: Column) -> Series:
    mean = column.factor * np.array([row.mean(column.figure) for row in rows])
    return mean, column.factor * np.array([row.sd(column.figure) for row in rows])


def _line(axes: Axes, places: NDArray[Any], values: Series, look: Look, name: str) -> None:
    colour, line, marker = look
    style: Any = {"color": colour, "linestyle": line, "marker": marker, "markersize": 5, "fillstyle": "none"}
    axes.errorbar(places, *values, linewidth=1.3, capsize=3, label=name, **style)


def _bars(axes: Axes, places: NDArray[Any], width: float, values: Series, look: Look, name: str) -> None:
    (colour, line, _), (mean, sd) = look, values
    style: Any = {"color": colour, "hatch": None if line == "-" else "////", "edgecolor": "white", "linewidth": 0.4}
    axes.bar(places, mean, width, yerr=sd, error_kw={"linewidth": 0.8}, capsize=2, label=name, **style)


def _scales(axes: Axes, results: Results, places: np.ndarray, column: Column) -> None:
    task = results.task
    names = [level.name for level in task.levels]
    if task.kind == "lines" and task.scale == "log":
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    if task.kind == "bars" or task.scale == "log":
        axes.set_xticks(places, names)
    if column.figure in task.log_figures:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
