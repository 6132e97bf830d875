"""Pictures of a benchmark: wrong pixels over the share measured, and the maps behind one row of the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grainloop.controller.figures import (
    NOTE_INCH,
    POINT_COLOUR,
    bar,
    draw_keys,
    house_style,
    panels,
    place,
    save,
    sheet,
)
from grainloop.evaluate.cases import NOISE, OURS, WITHOUT, WRONG
from grainloop.evaluate.figures_of_merit import error_map_deg
from grainloop.evaluate.runs import MapRuns, Plan, Row, Sight

CURVES = "wrong_pixels.png"
STYLES = {
    "nn": ("#8a8a8a", "-", "o"),
    "pl_watershed": ("#009e73", "-", "o"),
    "pl_candidates": ("#0072b2", "-", "s"),
    OURS: ("#d55e00", "-", "o"),
    WITHOUT: ("#d55e00", "--", "s"),
    WRONG: ("#cc79a7", ":", "x"),
    NOISE: ("#000000", ":", "+"),
}
"""Colours that colour-blind readers tell apart (Okabe & Ito); what is no method of its own is broken."""
_GAP_INCH, _ROW_GAP_INCH = 0.22, 0.4
_SHOWN = ("nn", "pl_watershed", OURS)


def write_pictures(maps: Sequence[MapRuns], plan: Plan, folder: Path) -> list[Path]:
    """Draw everything into PNG files of a folder."""
    with house_style():
        drawn = {CURVES: curves_figure(maps, plan)}
        drawn |= {f"maps_{_safe(runs.name)}.png": maps_figure(runs.sight, runs.name) for runs in maps}
        return [save(figure, folder / name) for name, figure in drawn.items()]


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in Path(name).name)


def curves_figure(maps: Sequence[MapRuns], plan: Plan) -> Figure:
    """Wrong pixels of every case over the share of the pixels measured, one panel per map, error bars of one sd."""
    figure = Figure(figsize=(1.2 + 4.2 * len(maps), 4.6), layout="constrained")
    all_axes: Any = figure.subplots(1, len(maps), squeeze=False)
    for axes, runs in zip(all_axes[0], maps, strict=True):
        for case in plan.whole:
            _curve(axes, [row for row in runs.rows if row.case == case.name])
        axes.set(xscale="log", yscale="log", xlabel="pixels measured (%)", title=Path(runs.name).name)
        _plain_percent(axes, [100 * row.fraction_measured for row in runs.rows])
        axes.grid(visible=True, which="both", linewidth=0.3)
    all_axes[0][0].set_ylabel("pixels wrong by more than 5° (%)")
    handles, labels = all_axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def _curve(axes: Axes, rows: Sequence[Row]) -> None:
    colour, line, marker = STYLES.get(rows[0].case, ("#56b4e9", "-.", "D"))
    measured = [100 * row.fraction_measured for row in rows]
    wrong = [100 * row.mean("error_over_5deg") for row in rows]
    spread = [100 * row.sd("error_over_5deg") for row in rows]
    look: Any = {"color": colour, "linestyle": line, "marker": marker, "markersize": 6, "fillstyle": "none"}
    axes.errorbar(measured, wrong, spread, linewidth=1.3, capsize=3, label=rows[0].case, **look)


def _plain_percent(axes: Axes, measured: Sequence[float]) -> None:
    """Plain numbers on logarithmic axes, ticks where was measured."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xticks(sorted(set(measured)), [f"{value:.3g}" for value in sorted(set(measured))])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def maps_figure(sight: Sight, name: str) -> Figure:
    """Truth, points on PL and the map above; the true errors of up to three cases below, on one colour scale."""
    scene, caps, replies = sight.scene, sight.scene.capabilities, sight.replies
    shown = [case for case in _SHOWN if case in replies] or list(replies)[:3]
    best = replies[shown[-1]]
    note = f"{Path(name).name}: points of a map on a grid, simulated PL; grey: not indexed"
    gaps = (_GAP_INCH, _ROW_GAP_INCH)
    figure, width, height = sheet(scene.truth.shape_px, note, 3, 2, *gaps, right_inch=1.75)
    true_map, light, found = (place(figure, k, 1, width, height, *gaps) for k in range(3))
    panels.draw_ipf(true_map, scene.truth.orientation, scene.truth.phase_id, caps, "Truth, IPF-Z")
    points = len(scene.points)
    seen = "on PL as taken" if scene.light else "without PL"
    panels.draw_light(light, scene.light, caps.grid, f"{points:,} points ({scene.fraction_measured:.1%}) {seen}")
    panels.scatter_points(light, scene.points.position_px, caps.grid, POINT_COLOUR)
    panels.draw_ipf(found, best.orientation, best.phase_id, caps, f"{shown[-1]}, IPF-Z")
    middle = NOTE_INCH + _ROW_GAP_INCH + 1.5 * height
    draw_keys(figure, caps, scene.truth.phase_id, 3 * width + 2 * _GAP_INCH + 0.2, middle)
    _draw_errors(figure, sight, shown, (width, height))
    return figure


def _draw_errors(figure: Figure, sight: Sight, shown: Sequence[str], size: tuple[float, float]) -> None:
    truth, caps = sight.scene.truth, sight.scene.capabilities
    errors = [error_map_deg(r.orientation, r.phase_id, truth) for r in (sight.replies[case] for case in shown)]
    highest = panels.shown_degrees(*errors)
    for column, (case, error) in enumerate(zip(shown, errors, strict=True)):
        axes = place(figure, column, 0, *size, _GAP_INCH, _ROW_GAP_INCH)
        wrong = float((error[truth.indexed] > 5).mean())
        image = panels.draw_degrees(axes, error, caps, f"Error of {case}: {wrong:.1%} above 5°", highest)
        if column == len(shown) - 1:
            bar(figure, axes, image, "disorientation (°)")
