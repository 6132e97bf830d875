"""Curves of acquisition as a picture: wrong pixels over points and over instrument time, and what the map expected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from grainloop.controller.figures import house_style, save
from grainloop.evaluate.acquisition.curves import Played, curve

COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Of the maps, told apart by colour-blind readers (Okabe & Ito)."""
X_AXES = (("points", "points measured"), ("instrument_s", "instrument time (s), PL images included"))


def write_curves(found: Sequence[Played], path: Path) -> Path:
    """Draw the curves into a PNG file."""
    with house_style():
        return save(curves_figure(found), path)


def curves_figure(found: Sequence[Played]) -> Figure:
    """Mean over the seeds with bars of one sd: the true share of wrong pixels solid, the predicted one broken."""
    figure = Figure(figsize=(9.2, 4.4), layout="constrained")
    both: Any = figure.subplots(1, 2, sharey=True)
    for axes, (name, label) in zip(both, X_AXES, strict=True):
        for number, played in enumerate(found):
            _draw(axes, played, name, COLOURS[number % len(COLOURS)])
        axes.set(xscale="log", yscale="log", xlabel=label)
        axes.grid(visible=True, which="both", linewidth=0.3)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
    both[0].set_ylabel("pixels wrong by more than 5° (%)")
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=2 * min(2, len(found)))
    return figure


def _draw(axes: Axes, played: Played, x_name: str, colour: str) -> None:
    steps = curve(played)
    x = [step[x_name]["mean"] for step in steps]
    true, told = (_percent(steps, name) for name in ("error_over_5deg", "predicted_over_5deg"))
    name = f"{Path(played.name).name}, {played.policy}"
    spread = _percent(steps, "error_over_5deg", "sd")
    axes.errorbar(x, true, spread, color=colour, marker="o", markersize=4, capsize=2, linewidth=1.3, label=name)
    axes.plot(x, told, color=colour, linestyle="--", linewidth=1.0, label=f"{Path(played.name).name}, predicted")


def _percent(steps: Sequence[dict[str, Any]], name: str, which: str = "mean") -> list[float]:
    return [100 * step[name][which] for step in steps]
