"""The pictures of docs/results/acquisition.md, from rows that were measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.acquisition.acquired.cells import MAPS
from benchmarks.acquisition.acquired.numbers import Rows, chosen, curve
from benchmarks.acquisition.policies import BUDGETS, POLICIES, STATIC
from grainloop.model.acquire import DEFAULT_POLICY

Look = tuple[str, str, str]
X_AXES = {"points_measured": "points measured", "instrument_s": "instrument time (s), PL images included"}
CONTENDERS: dict[tuple[str, str], tuple[str, Look]] = {
    (DEFAULT_POLICY, ""): ("adaptive, ours", ("#d55e00", "-", "o")),
    (DEFAULT_POLICY, "pl_candidates"): ("adaptive, pl_candidates", ("#e69f00", "-", "^")),
    (STATIC, ""): ("static grid, ours", ("#000000", "-", "s")),
    (STATIC, "pl_candidates"): ("static grid, pl_candidates", ("#0072b2", "--", "v")),
    (STATIC, "pl_watershed"): ("static grid, pl_watershed", ("#56b4e9", "--", "D")),
    (STATIC, "nn"): ("static grid, nearest neighbour", ("#8a8a8a", "--", "o")),
    ("gpCAM variance", ""): ("gpCAM variance, ours", ("#009e73", "-", "x")),
    ("gpCAM variance", "nn"): ("gpCAM variance, nearest neighbour", ("#009e73", "--", "x")),
    ("gpCAM gradient", ""): ("gpCAM gradient, ours", ("#cc79a7", "-", "+")),
    ("gpCAM gradient", "nn"): ("gpCAM gradient, nearest neighbour", ("#cc79a7", "--", "+")),
}
"""Policy and method of reconstruction → what it is called, and how it looks (colours of Okabe & Ito)."""
WIDE, FEW = (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)
"""Where axes of more and of less than a decade are marked."""
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8a8a8a", "#7b3294")
_MARKS = "osD^vx+*"
LINES = {(name, ""): (name, (_COLOURS[i], "-", _MARKS[i])) for i, name in enumerate(POLICIES)}
OF_POLICIES: dict[tuple[str, str], tuple[str, Look]] = {(STATIC, ""): (STATIC, ("#000000", "--", "s"))} | LINES


def curves(rows: Rows, lines: Mapping[tuple[str, str], tuple[str, Look]], *, played_only: bool = False) -> Figure:
    """Wrong pixels at the end of runs over points and over instrument time, one row of panels per map.

    With `played_only` the axes end where all lines do, at the budgets that every policy was played at.
    """
    figure = Figure(figsize=(9.6, 8.4), layout="constrained")
    grid: Any = figure.subplots(len(MAPS), len(X_AXES), sharey="row", squeeze=False)
    for axes_of_row, (name, title) in zip(grid, MAPS.items(), strict=True):
        for axes, (x, label) in zip(axes_of_row, X_AXES.items(), strict=True):
            for (policy, method), (called, look) in lines.items():
                own = chosen(rows, specimen=name, policy=policy, method=method)
                common = [row for row in own if not played_only or row["budget"] in BUDGETS]
                _draw(axes, curve(common, x), called, look)
            _scales(axes, label, FEW if played_only else WIDE)
        axes_of_row[0].set_ylabel(f"{title}\npixels wrong by more than 5° (%)")
    pairs = [pair for axes in grid.flat for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in pairs}
    shown = [called for called, _ in lines.values() if called in handles]
    figure.legend([handles[called] for called in shown], shown, loc="outside lower center", ncols=3)
    return figure


def _draw(axes: Axes, points: list[tuple[float, float]], called: str, look: Look) -> None:
    if not points:
        return
    x, y = zip(*points, strict=True)
    colour, line, mark = look
    style: Any = {"color": colour, "linestyle": line, "marker": mark, "fillstyle": "none"}
    axes.plot(x, [100 * value for value in y], linewidth=1.3, markersize=5, label=called, **style)


def _scales(axes: Axes, label: str, x_marks: tuple[float, ...]) -> None:
    axes.set(xscale="log", yscale="log", xlabel=label)
    axes.grid(visible=True, which="both", linewidth=0.3)
    for axis, marks in ((axes.xaxis, x_marks), (axes.yaxis, FEW)):
        axis.set_major_locator(LogLocator(subs=marks))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
