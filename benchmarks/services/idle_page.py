"""The page and the picture of docs/results/idle.md, from what `idle` measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.services.idle import RESULTS
from grainloop.cli.bench.tables import markdown_table as table
from grainloop.controller.figures import house_style

FOLDER = Path(__file__).parents[2] / "docs" / "results"
COLOURS = {"first pass": "#8a8a8a", "decided": "#0072b2", "stop-gap": "#e69f00"}
"""Colours that colour-blind readers tell apart (Okabe & Ito)."""
TOLERATED = 0.01
Rows = Sequence[dict[str, Any]]
INTRO = """# Does the instrument wait for the model?

While a batch is measured the model thinks about the next one. So that the instrument never waits, a stop-gap is queued
behind the batch that is being measured: a few points that the last answer left over, or the largest gaps. The answer
takes its place until it has begun; a late answer comes behind it. Batches are made so long that a decision fits into
one. Here that is measured on Ti-6Al-4V (200 × 200 px) at three rates with the weights that ship: services, sockets and
the time that the model takes are real, the instrument is the simulator with default noise. Its clock runs on while the
model thinks. PL images are not counted. Beside it the same runs in which the instrument waits for every answer
(`fill_in = false`), and a full raster of the same exposure.

`python -m benchmarks idle` measures and makes this page. The time of decisions is that of the computer it ran on.
"""


def write_page(found: dict[str, Any]) -> None:
    """Table, picture and what follows from them."""
    rows: Rows = found["rows"]
    text = [INTRO]
    for budget in sorted({row["budget"] for row in rows}):
        here = [row for row in rows if row["budget"] == budget]
        text.append(f"## {budget:.0%} of the pixels ({_runs(found)})\n")
        text.append(table(_HEAD, [_line(row) for row in here]))
    text += ["## When what was measured\n", "![Batches on the instrument clock](idle.png)\n", _figure_words(rows)]
    text += ["## What follows\n", *_verdicts(rows)]
    (FOLDER / "idle.md").write_text("\n".join(text), encoding="utf-8")
    _draw(rows, FOLDER / "idle.png")


_HEAD = [
    "points/s",
    "while the model thinks",
    "instrument time, s",
    "of it idle",
    "decisions",
    "a decision takes, s",
    "points of a batch",
    "points that filled in",
    "wrong by > 5°",
    "coarse grid, nearest neighbour",
    "full raster, s",
]


def _runs(found: dict[str, Any]) -> str:
    seeds = len(found["seeds"])
    return f"mean of {seeds} seeds" if seeds > 1 else "one seed"


def _line(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['rate_per_s']:,}",
        "fills in" if row["fill_in"] else "waits",
        f"{row['instrument_s']:.3g}",
        f"{row['idle_share']:.1%}",
        f"{row['decisions']:.3g}",
        f"{row['decision_s']:.2g}" if row["decisions"] else "–",
        _sizes(row),
        f"{row['stop_gap_points'] / row['points']:.0%}",
        f"{row['error_over_5deg']:.1%}",
        f"{row['grid_error_over_5deg']:.1%}",
        f"{row['full_raster_s']:.3g}",
    ]


def _sizes(row: dict[str, Any]) -> str:
    decided = [
        points for points, kind in zip(row["batch_points"], row["batch_kinds"], strict=True) if kind == "decided"
    ]
    return f"{min(decided):,}–{max(decided):,}" if decided else "–"


def _figure_words(rows: Rows) -> str:
    smallest = min(row["budget"] for row in rows)
    return (
        f"{smallest:.0%} of the pixels, first seed. Each bar is a batch; grey is the first pass, blue what the model "
        "asked for, orange what filled in while it was thinking; white is an instrument that waits.\n"
    )


def _verdicts(rows: Rows) -> list[str]:
    filled = [row for row in rows if row["fill_in"]]
    worst = max(row["idle_share"] for row in filled)
    kept = "is kept" if worst <= TOLERATED else "is not kept"
    lines = [f"- The instrument waits {worst:.1%} of its time at most; the limit of {TOLERATED:.0%} {kept}."]
    for row in filled:
        waits = _partner(rows, row)
        if waits is None:
            continue
        case = f"{row['rate_per_s']:,} points/s, {row['budget']:.0%}"
        waiting = f"waiting {waits['error_over_5deg']:.1%} after {waits['instrument_s']:.3g} s"
        lines.append(
            f"- {case}: filling in leaves {row['error_over_5deg']:.1%} wrong after {row['instrument_s']:.3g} s, "
            f"{waiting} ({waits['idle_share']:.0%} idle)."
        )
    return [*lines, "", _HONEST]


_HONEST = """\
Where all points take less time than a few decisions there is hardly anything to decide, and the map is that of points
spread evenly, reconstructed by the same model. A full raster then takes seconds and leaves nothing to be guessed.
Who wants the better map at a high rate lets the instrument wait (`fill_in = false` in the plan).
"""


def _partner(rows: Rows, row: dict[str, Any]) -> dict[str, Any] | None:
    same = ("rate_per_s", "budget")
    return next((one for one in rows if not one["fill_in"] and all(one[key] == row[key] for key in same)), None)


def _draw(rows: Rows, path: Path) -> None:
    smallest = min(row["budget"] for row in rows)
    shown = [row for row in rows if row["budget"] == smallest]
    rates = sorted({row["rate_per_s"] for row in shown})
    with house_style():
        figure = Figure(figsize=(7.2, 1.15 * len(rates) + 0.9), layout="constrained")
        for axes, rate in zip(figure.subplots(len(rates), 1, squeeze=False)[:, 0], rates, strict=True):
            _bars(axes, [row for row in shown if row["rate_per_s"] == rate], rate)
        handles = [figure.axes[0].barh([0], [0], color=colour, label=kind) for kind, colour in COLOURS.items()]
        figure.legend(handles=handles, loc="outside upper right", ncols=3, frameon=False)
        figure.axes[-1].set_xlabel("instrument time from the first point, s")
        figure.savefig(path, dpi=180)


def _bars(axes: Axes, rows: Rows, rate: int) -> None:
    for y, row in enumerate(rows):
        begin = row["timeline"][0][0]
        for (started, ended), kind in zip(row["timeline"], row["batch_kinds"], strict=False):
            axes.barh(
                y, ended - started, left=started - begin, height=0.7, color=COLOURS[kind], edgecolor="white", lw=0.4
            )
        share = f"{row['idle_share']:.1%} idle, {row['error_over_5deg']:.1%} wrong"
        axes.annotate(share, (1.01, (y + 0.5) / len(rows)), xycoords="axes fraction", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), ["fills in" if row["fill_in"] else "waits" for row in rows])
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_title(f"{rate:,} points/s", loc="left", fontsize=9)


if __name__ == "__main__":
    write_page(json.loads(RESULTS.read_text(encoding="utf-8")))
