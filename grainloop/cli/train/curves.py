"""The curves of a training as a picture: loss parts and validation against wall time on a logarithmic axis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from grainloop.model.diffusion.training.metrics import VALIDATION, Series, read_metrics
from grainloop.protocols.files import open_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOSSES = ("gate", "mixture", "free", "light", "boundary", "wrong")
_DPI = 130
_SOONEST_S = 0.05
"""Times are written to 0.1 s, and there is no zero on a logarithmic axis."""


def draw_curves(metrics: Path, target: Path) -> None:
    """Draw the figures in a metrics file as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series = read_metrics(metrics)
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(1, 3)
    _draw(axes[0], {name: series[name] for name in _LOSSES if name in series}, "loss (dimensionless)", "training loss")
    _draw(axes[1], _validation(series, "wrong"), "pixels off by more than 5° / %", "validation: errors", 100)
    _draw(axes[2], _validation(series, "auroc"), "AUROC of P(wrong) (dimensionless)", "validation: doubt")
    with open_file(target, "wb") as file:
        figure.savefig(file, dpi=_DPI, format="png")


def _validation(series: dict[str, Series], figure: str) -> dict[str, Series]:
    """The figure of every map: at each share measured where it is stated, named `map percent %`."""
    found: dict[str, Series] = {}
    for name, one in series.items():
        set_name, _, percent = name.removeprefix(VALIDATION).partition(f"_{figure}_")
        if name.startswith(VALIDATION) and percent.isdigit():
            found[f"{set_name.replace('_', ' ')}, {percent} % measured"] = one
    return found


def _draw(axes: Axes, series: dict[str, Series], unit: str, title: str, scale: float = 1) -> None:
    for name, one in series.items():
        hours = [max(seconds, _SOONEST_S) / 3600 for seconds in one.seconds]
        axes.plot(hours, [scale * value for value in one.value], label=name, linewidth=1.2, marker=".", markersize=3)
    axes.set(xscale="log", xlabel="wall time of training / h", ylabel=unit, title=title)
    axes.grid(visible=True, which="both", linewidth=0.3)
    if series:
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
