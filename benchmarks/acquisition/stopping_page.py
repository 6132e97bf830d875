"""The page and the picture of docs/results/stopping.md, from what `stopping` measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from grainloop.cli.bench.tables import markdown_table
from grainloop.controller.figures import house_style, save

FOLDER = Path(__file__).parents[2] / "docs" / "results"
TOLERANCES = (0.20, 0.15, 0.10, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01)
WITHIN, BIAS = 0.3, 0.1
"""What was asked for."""
CAUTIOUS = 5e-4
"""Shares of wrong pixels below this are not told apart: a few pixels of a small map."""
TRUE, CORRECTED, SUMMED = 1, 2, 3
"""Columns of a row; the first holds points."""
Run = dict[str, Any]
Stop = tuple[float, float]
"""Predicted and true share of wrong pixels."""

GROUPS: tuple[tuple[str, Callable[[Run], bool]], ...] = (
    ("synthetic, usual noise", lambda run: _synthetic(run) and run["noisy"]),
    ("synthetic, exact points", lambda run: _synthetic(run) and not run["noisy"]),
    ("Ti-6Al-4V, usual noise", lambda run: run["specimen"] == "ti64" and run["noisy"]),
    ("Ti-6Al-4V, exact points", lambda run: run["specimen"] == "ti64" and not run["noisy"]),
    ("Mg, usual noise", lambda run: run["specimen"] == "mg-twins" and run["noisy"]),
    ("Mg, exact points", lambda run: run["specimen"] == "mg-twins" and not run["noisy"]),
)
_LOOKS = (("#0072b2", "o"), ("#56b4e9", "s"), ("#d55e00", "^"), ("#e69f00", "v"), ("#009e73", "D"), ("#7b2cbf", "P"))

TEXT = """# Does a run stop where it should?

A run may stop when the predicted share of pixels wrong by more than 5° falls below a tolerance (`stop_below`). Here is
how far the prediction is from the truth at that moment. Whole runs are played with the simulated instrument: first
pass, `spread`, two batches out, PL with default nuisances in three of four runs. {synthetic} synthetic specimens of
96 × 96 px that neither training, calibration nor the correction has seen, and the two real maps that ship, which none
of them has seen either. One run serves all tolerances.

Asked for: within ± 30 % of the truth, and unbiased within 10 %.

## At the moment of stopping

{tolerances}

*Bias is the geometric mean of predicted over true. "Before" adds up the calibrated doubt of all pixels, which is what
runs stopped by until now.*

![Predicted against true share of wrong pixels](stopping.png)

## By specimen, all tolerances together

{groups}

## Why the sum of the doubt was too large

The doubt of each pixel is calibrated over grids, random points and refined grids. A run measures where doubt is, and
that changes two things. Measured pixels at boundaries stay doubted, because the model allows for mixed and mistaken
patterns there: on magnesium at 10 % of the points, seven tenths of the excess lay on pixels that had been measured.
And the more a section has been measured in doubtful places, the less the doubt that is left means.

`model/estimate/share.py` corrects the doubt of a section: its log-odds are shifted and stretched, by two lines, one for
measured pixels and one for the others. The shifts depend on the share measured, on whether PL took part, on how many
points were lost between indexed ones (where patterns fail, they are also mistaken), and on the section's own checks:
every new point shows whether the map was wrong there, which is held against how often the map said it would be
(prequential validation, Dawid 1984). The lines are learnt from 60 simulated runs on synthetic specimens with exact to
twice the usual noise, when weights ship (`grainloop train --ship`, some minutes). Maps, bounds and the points
that are proposed stay as they are.

## What to expect of it

- The prediction stops a run at the first moment at which it is below the tolerance, which favours moments at which it
  is too low. At tolerances below 2 % it is therefore a little optimistic, and 1 % of a small map is few grains.
- Two batches are out: those measured after the decision to stop still come in, and the final map is a little better.
"""


def write_page(result: dict[str, Any]) -> None:
    """Write the page and the picture."""
    runs = list(result["runs"].values())
    synthetic = sum(_synthetic(run) for run in runs)
    text = TEXT.format(synthetic=synthetic, tolerances=_by_tolerance(runs), groups=_by_group(runs))
    (FOLDER / "stopping.md").write_text(text, encoding="utf-8")
    with house_style():
        save(_figure(runs), FOLDER / "stopping.png")


def _synthetic(run: Run) -> bool:
    return str(run["specimen"]).startswith("synthetic")


def stop(run: Run, tolerance: float, column: int) -> Stop | None:
    """Where a run would have stopped; nothing where its budget ends before."""
    for row in run["rows"]:
        if row[column] < tolerance:
            return row[column], row[TRUE]
    return None


def stops(runs: list[Run], tolerance: float, column: int) -> list[Stop]:
    """Of all runs that reach a tolerance."""
    found = (stop(run, tolerance, column) for run in runs)
    return [one for one in found if one is not None]


def ratios(found: list[Stop]) -> np.ndarray:
    """(n,) predicted over true."""
    predicted, true = np.array(found).T
    return (predicted + CAUTIOUS) / (true + CAUTIOUS)


def told(found: list[Stop]) -> tuple[str, str]:
    """Bias, and the share within what was asked for."""
    if not found:
        return "–", "–"
    ratio = ratios(found)
    return f"{np.exp(np.log(ratio).mean()) - 1:+.0%}", f"{np.mean(np.abs(ratio - 1) <= WITHIN):.0%}"


def _by_tolerance(runs: list[Run]) -> str:
    head = ("tolerance", "runs", "predicted", "true", "bias", "within ± 30 %", "before: runs", "bias", "within ± 30 %")
    rows = []
    for tolerance in TOLERANCES:
        now, before = (stops(runs, tolerance, column) for column in (CORRECTED, SUMMED))
        shares = [f"{value:.2%}" for value in np.mean(now, axis=0)] if now else ["–", "–"]
        rows.append((f"{tolerance:.1%}", str(len(now)), *shares, *told(now), str(len(before)), *told(before)))
    return markdown_table(head, rows)


def _by_group(runs: list[Run]) -> str:
    head = ("specimens", "runs", "stops", "bias", "within ± 30 %", "before: stops", "bias", "within ± 30 %")
    rows = []
    for name, belongs in (*GROUPS, ("without PL", lambda run: not run["light"])):
        own = [run for run in runs if belongs(run)]
        now, before = ([one for t in TOLERANCES for one in stops(own, t, column)] for column in (CORRECTED, SUMMED))
        rows.append((name, str(len(own)), str(len(now)), *told(now), str(len(before)), *told(before)))
    return markdown_table(head, rows)


def _figure(runs: list[Run]) -> Figure:
    figure = Figure(figsize=(9.6, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _panel(left, runs, SUMMED, "sum of the calibrated doubt")
    _panel(right, runs, CORRECTED, "corrected by what the section has shown")
    left.set_ylabel("predicted at the moment of stopping (%)")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _panel(axes: Axes, runs: list[Run], column: int, title: str) -> None:
    ends = np.array([0.05, 40.0])
    axes.fill_between(ends, ends * (1 - WITHIN), ends * (1 + WITHIN), color="#d9d9d9", linewidth=0, label="± 30 %")
    axes.plot(ends, ends, color="#606060", linewidth=1, label="as it is")
    for (name, belongs), (colour, marker) in zip(GROUPS, _LOOKS, strict=True):
        found = [one for t in TOLERANCES for one in stops([run for run in runs if belongs(run)], t, column)]
        if found:
            predicted, true = 100 * np.maximum(np.array(found).T, CAUTIOUS)
            axes.scatter(true, predicted, s=13, c=colour, marker=marker, linewidths=0, alpha=0.8, label=name)
    axes.set(
        xscale="log", yscale="log", xlim=ends, ylim=(0.4, 25), title=title, xlabel="true share of wrong pixels (%)"
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
