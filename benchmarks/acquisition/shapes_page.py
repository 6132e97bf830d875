"""The page and the pictures of docs/results/shapes.md, from what `shapes` measured; only the maps are made anew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.acquisition.shapes import CASES, METHOD, NEAREST, RESULTS, SAME_MODEL, Run, adaptive
from benchmarks.acquisition.shapes_live import RESULTS as LIVE_RESULTS
from grainloop.cli.bench.tables import markdown_table as table
from grainloop.controller.figures import NOTE_INCH, bar, draw_keys, house_style, panels, place, save, sheet
from grainloop.model.crystal import disorientation_deg
from grainloop.protocols.shapes import ScanShape

FOLDER = Path(__file__).parents[2] / "docs" / "results"
MAPS = {"ti64": "Ti-6Al-4V (macrozones)", "mg-twins": "Mg (twins)"}
LOOKS = {
    NEAREST: ("#8a8a8a", "-", "o"),
    SAME_MODEL: ("#000000", "-", "s"),
    "points": ("#d55e00", "-", "o"),
    "lines": ("#0072b2", "-", "^"),
    "rectangles": ("#009e73", "-", "D"),
    "whatever pays": ("#cc79a7", "--", "x"),
}
"""Colours that colour-blind readers tell apart (Okabe & Ito)."""
SHOWN_MAP, SHOWN_CASE, SHOWN_STEP = "mg-twins", CASES[0], 3
_GAP_INCH, _ROW_GAP_INCH = 0.15, 0.35
Rows = Sequence[dict[str, Any]]
INTRO = """# Points, lines or rectangles

What an instrument can be asked for differs: free points where an external scan control steers the beam, line scans and
small maps where only the vendor's queue can be filled. Here all three are given the same instrument time, on the two
maps that ship. A run spends half of its time on a coarse raster of the whole map and the rest on shapes that pay most
per second by the declared costs (`model.acquire.shaped`). Where those costs are mostly waiting, the raster takes more:
half of the share of a shape's time that is no exposure is added to its half, and where what is left would not pay for
two shapes, the raster is all. The references are coarse rasters that take as long: filled by nearest neighbour, which
is today's practice, and by the same model. Points are exact; PL has 15 % noise, 15 % shading, dust and 3 px rms
misregistration, and its time is not counted: in most laboratories another microscope takes it. The costs of the
instruments are round assumptions, not measurements of a product.

`python -m benchmarks shapes` measures, `python -m benchmarks.acquisition.shapes_page` makes this page.
"""


_VERDICT = """\
*Whatever pays* may ask for all shapes that the instrument accepts. Where the beam can be steered freely and an exposure
is long against its settling, points are best by far: they go along boundaries one pixel wide, where lines and windows
also measure what is known. Where settling takes longer than an exposure, all shapes are close to a raster. In a map
queue a window costs as much to start as 50 to 500 exposures: one coarse raster is as good as anything, at short
dwells it is all that is asked for, and what the model adds is the map that it makes of it.
"""
LIVE = """## The same by whole runs

Not the choice of shapes alone, but `grainloop run`: the controller's loop with its journal, stop-gaps, queued batches
and hard limit of time (`python -m benchmarks.acquisition.shapes_live`; Mg twins, 2 seeds). Points have the noise of the
instrument, and the PL images take 36 s of the time. Decisions take no instrument time here. Pixels wrong by more than
5°, in %:
"""
LIVE_VERDICT = """No run passed its limit, and each was decided again from its journal, byte for byte. On the
external control, points leave less than half of what a coarse raster of the same time leaves wrong, whatever pays
as little, and lines and rectangles two thirds. On the queue no shape beats the raster; line scans alone are worse,
because every row of their first pass has a start of its own.
"""


def main() -> None:
    """Write the page and its pictures."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "shapes.md").write_text(page(found), encoding="utf-8")
    with house_style():
        save(curves(complete(found["rows"])), FOLDER / "shapes.png")
        save(maps(), FOLDER / "shapes_maps.png")


# --- the page --------------------------------------------------------------------------------------------------------
def page(found: dict[str, Any]) -> str:
    """The text."""
    rows = complete(found["rows"])
    text = [INTRO, "![Wrong pixels over instrument time](shapes.png)\n", judgement(rows)]
    text.append(f"## Costs\n\n{costs(found['presets'])}")
    text.append("## Wrong pixels at equal time\n\nShare of pixels wrong by more than 5°, in %, mean over the seeds.\n")
    for name, title in MAPS.items():
        for case in CASES:
            seeds = len({row["seed"] for row in rows if row["map"] == name and row["case"] == case.name})
            full = f"full raster {found['full_raster_seconds'][name][case.name]:.0f} s"
            about = f"{full}, {seeds} seed" + "s" * (seeds > 1)
            text.append(f"### {title}, {case.name} ({about})\n\n{_case_table(rows, name, case.name)}")
    text.append(live(json.loads(LIVE_RESULTS.read_text(encoding="utf-8"))["rows"]))
    text.append("## Where they went\n\n![Points, lines and rectangles on one map](shapes_maps.png)\n")
    text.append("The same time for each. Above: exposures on the map. Below: what is wrong then, and by how much.\n")
    return "\n".join(text)


def live(rows: Rows) -> str:
    """Whole runs, as means over their seeds."""
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    lines = [["instrument", "limit", *shapes]]
    for preset, dwell_s in dict.fromkeys((row["preset"], row["dwell_s"]) for row in rows):
        own = [row for row in rows if row["preset"] == preset]
        by_shape = [[row for row in own if row["shape"] == shape] for shape in shapes]
        lines.append([f"{preset}, {1000 * dwell_s:g} ms", f"{own[0]['limit_s']:.0f} s", *map(_live_cell, by_shape)])
    return f"{LIVE}\n{table(lines[0], lines[1:])}\n{LIVE_VERDICT}"


def _live_cell(rows: Rows) -> str:
    if not rows:
        return "–"
    wrong, exposures, again = (np.mean([row[key] for row in rows]) for key in ("wrong_percent", "exposures", "again"))
    return f"{wrong:.2f} ({exposures:,.0f} exposures, {again:.0f} again)"


def complete(rows: Rows) -> list[dict[str, Any]]:
    """The rows of those seeds of which a map and case has every run, so that all means are over the same seeds."""
    count = Counter((row["map"], row["case"], row["seed"]) for row in rows)
    most = {key[:2]: max(count[other] for other in count if other[:2] == key[:2]) for key in count}
    kept = {key for key in count if count[key] == most[key[:2]]}
    return [row for row in rows if (row["map"], row["case"], row["seed"]) in kept and "seconds" in row]


def costs(presets: dict[str, dict[str, Any]]) -> str:
    """The declared costs of each case."""
    shown = {
        "dwell_s": "dwell",
        "settle_s": "settle",
        "travel_s_per_px": "travel per px",
        "batch_overhead_s": "request",
        "line_start_s": "start of a line",
        "map_start_s": "start of a map",
        "fly_back_s": "fly-back",
    }
    body = [[case, *[f"{1e3 * one[name]:g}" for name in shown]] for case, one in presets.items()]
    return table(["ms", *shown.values()], body)


def _case_table(rows: Rows, name: str, case: str) -> str:
    own = [row for row in rows if row["map"] == name and row["case"] == case]
    steps = sorted({row["step_px"] for row in own}, reverse=True)
    seconds = [np.mean([r["seconds"] for r in own if r["step_px"] == s and r["mode"] == SAME_MODEL]) for s in steps]
    modes = [mode for mode in LOOKS if any(row["mode"] == mode for row in own)]
    body = [[mode, *[_cell(own, mode, step) for step in steps]] for mode in modes]
    return table(["", *[f"{s:.0f} s" if s >= 100 else f"{s:.3g} s" for s in seconds]], body)


def _cell(rows: Rows, mode: str, step: int) -> str:
    own = [row for row in rows if row["mode"] == mode and row["step_px"] == step]
    if not own:
        return "–"
    wrong, points = (float(np.mean([row[name] for row in own])) for name in ("wrong_percent", "points"))
    return f"{wrong:.1f} ({points:,.0f} points)"


def judgement(rows: Rows) -> str:
    """How much better than the raster of the same model each way is, as a table and in words."""
    modes = [mode for mode in LOOKS if mode not in (NEAREST, SAME_MODEL)]
    body = [[case.name, *[_change(rows, case.name, mode) for mode in modes]] for case in CASES]
    return (
        "Wrong pixels against a coarse raster of the same time by the same model, geometric mean over maps, times and "
        f"seeds; less is better:\n\n{table(['', *modes], body)}\n{_VERDICT}"
    )


def _change(rows: Rows, case: str, mode: str) -> str:
    own = [row for row in rows if row["case"] == case]
    reference = {_place(row): row["wrong_percent"] for row in own if row["mode"] == SAME_MODEL}
    ratios = [row["wrong_percent"] / reference[_place(row)] for row in own if row["mode"] == mode]
    return f"{100 * (float(np.exp(np.mean(np.log(ratios)))) - 1):+.0f} %" if ratios else "–"


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["map"], row["step_px"], row["seed"]


# --- the pictures ----------------------------------------------------------------------------------------------------
def curves(rows: Rows) -> Figure:
    """Wrong pixels over instrument time: one row of panels per map, one column per case."""
    figure = Figure(figsize=(3.1 * len(CASES) + 0.6, 5.9), layout="constrained")
    grid: Any = figure.subplots(len(MAPS), len(CASES), squeeze=False, sharey="row", sharex="col")
    for axes_of_row, (name, title) in zip(grid, MAPS.items(), strict=True):
        for axes, case in zip(axes_of_row, CASES, strict=True):
            _panel(axes, [row for row in rows if row["map"] == name and row["case"] == case.name])
        axes_of_row[0].set_ylabel(f"{title}\npixels wrong by more than 5° (%)")
    for axes, case in zip(grid[0], CASES, strict=True):
        axes.set_title(case.name, fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("instrument time (s)")
    found = [pair for axes in grid.flat for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in found}
    shown = [mode for mode in LOOKS if mode in handles]
    figure.legend([handles[mode] for mode in shown], shown, loc="outside lower center", ncols=6)
    return figure


def _panel(axes: Axes, rows: Rows) -> None:
    for mode, (colour, line, marker) in LOOKS.items():
        steps = sorted({row["step_px"] for row in rows if row["mode"] == mode})
        own = [[row for row in rows if row["mode"] == mode and row["step_px"] == step] for step in steps]
        if own:
            seconds = [float(np.mean([row["seconds"] for row in one])) for one in own]
            wrong = [float(np.mean([row["wrong_percent"] for row in one])) for one in own]
            look: Any = {"color": colour, "linestyle": line, "marker": marker, "fillstyle": "none"}
            axes.plot(seconds, wrong, linewidth=1.3, markersize=5, label=mode, **look)
    axes.set(xscale="log", yscale="log")
    axes.grid(visible=True, which="both", linewidth=0.3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def maps() -> Figure:
    """Exposures of the three shapes on one map at equal time, and the errors that are left."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    own = {"map": SHOWN_MAP, "case": SHOWN_CASE.name, "step_px": SHOWN_STEP, "mode": SAME_MODEL}
    budget_s = next(row["seconds"] for row in rows if all(row[name] == value for name, value in own.items()))
    runs = {shape.value: adaptive(SHOWN_MAP, SHOWN_CASE, (shape,), budget_s, 0) for shape in ScanShape}
    made = {name: run for name, run in runs.items() if run is not None}
    note = f"{MAPS[SHOWN_MAP]}, {SHOWN_CASE.name}, {budget_s:.0f} s each; white: first raster, black: shapes after it"
    shape = next(iter(made.values())).bench.shape
    figure, width, height = sheet(shape, note, len(made), 2, _GAP_INCH, _ROW_GAP_INCH, right_inch=1.8)
    errors = {name: _error(run) for name, run in made.items()}
    highest = panels.shown_degrees(*errors.values())
    for column, (name, run) in enumerate(made.items()):
        above, below = (place(figure, column, row, width, height, _GAP_INCH, _ROW_GAP_INCH) for row in (1, 0))
        _exposures(above, run, name)
        inside = run.bench.truth.indexed
        title = f"{100 * float((errors[name][inside] > 5).mean()):.2f} % off by more than 5°"
        image = panels.draw_degrees(below, errors[name], run.bench.instrument.capabilities, title, highest)
        if column == len(made) - 1:
            bar(figure, below, image, "disorientation (°)")
            left, middle = len(made) * (width + _GAP_INCH) + 0.2, NOTE_INCH + _ROW_GAP_INCH + 1.5 * height
            draw_keys(figure, run.bench.instrument.capabilities, run.bench.truth.phase_id, left, middle)
    return figure


def _exposures(axes: Axes, run: Run, name: str) -> None:
    caps, truth = run.bench.instrument.capabilities, run.bench.truth
    panels.draw_ipf(axes, truth.orientation, truth.phase_id, caps, f"{name}: {len(run.points):,} exposures")
    first, later = run.points.position_px[: run.first], run.points.position_px[run.first :]
    panels.scatter_points(axes, first, caps.grid, "#ffffff")
    panels.scatter_points(axes, later, caps.grid, "#000000")


def _error(run: Run) -> Any:
    found, truth = run.posterior(METHOD), run.bench.truth
    error = disorientation_deg(found.orientation, truth.orientation, truth.main_phase.laue_group)
    return np.where(truth.indexed, error, np.nan).astype(np.float32)


if __name__ == "__main__":
    main()
