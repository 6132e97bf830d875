"""The findings of `grainloop plan` as JSON, tables and plain sentences. Nothing here reckons."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from grainloop.cli.plan.break_even import Comparison, Material, Way
from grainloop.cli.plan.planned import Planned
from grainloop.protocols.sentences import duration
from grainloop.protocols.shapes import ScanShape

_COLUMNS = {
    "full": "full raster",
    "raster_nearest": "coarse, nearest",
    "raster_model": "coarse, model",
    "adaptive": "adaptive",
}
_WORDS = {
    "full": "the full raster",
    "raster_nearest": "a coarse raster filled by nearest neighbour",
    "raster_model": "a coarse raster filled by the model",
}
NO_FREE_POINTS = (
    "This instrument takes no free points. Lines and windows chosen by the model were measured at equal time and were "
    "hardly better than one coarse raster of the map (docs/results/shapes.md): scan one, and let the model fill it."
)


def to_json(planned: Planned) -> dict[str, Any]:
    """Everything, with what it follows from; shares are 0 … 1, None stands for what was not measured."""
    work, forecast, free = planned.work, planned.forecast, _takes_free_points(planned)
    return {
        "map": {"rows": work.shape_px[0], "columns": work.shape_px[1], "step_um": planned.options.step_um},
        "instrument": {"name": planned.instrument.words} | work.means.model_dump(mode="json"),
        "light_s": work.light_s,
        "grain_px": work.grain_px,
        "batches": work.batches,
        "first_pass": work.first_pass,
        "model": asdict(planned.calibration) | {"decision_s": work.speed.decision_s(work.pixels)},
        "curves": planned.source,
        "plan": None if forecast is None else asdict(forecast.way) | {"error_over_5deg": forecast.wrong},
        "materials": {
            material.name: {
                "words": material.words,
                "verdicts": [_comparison(one) | {"sentence": sentence(one, free)} for one in comparisons],
            }
            for material, comparisons in planned.found.items()
        },
    }


def _comparison(one: Comparison) -> dict[str, Any]:
    return asdict(one) | {"best": one.best, "pays": one.pays, "times_quicker_than_full": times_quicker(one)}


def times_quicker(one: Comparison) -> float | None:
    """How many times as long a full raster takes as the adaptive run."""
    return None if one.adaptive is None else one.full.total_s / one.adaptive.total_s


def show(planned: Planned) -> None:
    """Tables and sentences on the terminal."""
    console = Console()
    for line in _head(planned):
        console.print(line, highlight=False)
    for material, comparisons in planned.found.items():
        console.print(_table(material, comparisons))
        for one in comparisons:
            console.print(sentence(one, _takes_free_points(planned)), highlight=False)
    console.print(_foot(planned), highlight=False)


def _takes_free_points(planned: Planned) -> bool:
    return ScanShape.POINTS in planned.work.means.shapes.accepted


def _head(planned: Planned) -> list[str]:
    work, options = planned.work, planned.options
    height, width = (size * options.step_um for size in work.shape_px)
    lines = [
        f"{work.shape_px[0]} × {work.shape_px[1]} px of {options.step_um:g} µm ({height:g} × {width:g} µm), "
        f"{duration(work.means.dwell_s)} per point; {planned.instrument.words}.",
        f"The model decides in {duration(work.speed.decision_s(work.pixels))} on this computer "
        f"(measured {planned.calibration.measured}{_busy(planned)}).",
    ]
    if planned.forecast is not None:
        way, wrong = planned.forecast.way, planned.forecast.wrong
        share = ", ".join(f"{100 * value:.2g} % ({name})" for name, value in wrong.items())
        lines.append(f"This plan: {way.points:,} points in {duration(way.total_s)}; expect {share} of pixels wrong.")
    if not _takes_free_points(planned):
        lines.append(NO_FREE_POINTS)
    return lines


def _table(material: Material, comparisons: list[Comparison]) -> Table:
    table = Table("wrong", title=material.words, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for words in _COLUMNS.values():
        table.add_column(words, justify="right", no_wrap=True)
    for one in comparisons:
        table.add_row(f"{100 * one.wrong:g} %", *(_cell(getattr(one, name)) for name in _COLUMNS))
    return table


def _cell(way: Way | None) -> str:
    if way is None:
        return "–"
    return duration(way.total_s) + (f" ({100 * way.share:.2g} %)" if way.share < 1 else "")


def _foot(planned: Planned) -> str:
    light = f"PL takes {duration(planned.work.light_s)} of the instrument. " if planned.work.light_s else ""
    return (
        f"{light}Wrong: off by more than 5°. In brackets: pixels measured. A dash: not known. "
        f"Errors are those of the two maps named, which your section may not resemble ({planned.source})."
    )


def sentence(one: Comparison, free_points: bool = True) -> str:
    """Whether it pays, and by how much, as a person would say it."""
    wrong, full = f"At most {100 * one.wrong:g} % wrong", duration(one.full.total_s)
    if one.adaptive is None:
        unknown = " No adaptive run that leaves so little was measured." if free_points else ""
        return f"{wrong}: quickest is {_best(one)}.{unknown}"
    adaptive, above = duration(one.adaptive.total_s), _above(one)
    if not one.pays:
        return f"{wrong}: it does not pay, {adaptive} adaptively against {full} for the full raster. {above}"
    told = f"{wrong}: {adaptive} adaptively, {times_quicker(one):.2g} times quicker than the full raster"
    if one.best != "adaptive":
        return f"{told}, but {_best(one)}, is quicker still. {above}"
    return f"{told}{_against_nearest(one)}. {above}"


def _best(one: Comparison) -> str:
    return f"{_WORDS[one.best]}, {duration(getattr(one, one.best).total_s)}"


def _against_nearest(one: Comparison) -> str:
    if one.raster_nearest is None or one.adaptive is None:
        return ""
    return f" and {one.raster_nearest.total_s / one.adaptive.total_s:.2g} times than a coarse one"


def _above(one: Comparison) -> str:
    dwell_s, quickest_s = one.break_even_dwell_s, one.quickest_above_s
    if dwell_s is None:
        return "That holds at any dwell."
    told = f"It beats the full raster above {duration(dwell_s)} per point"
    if quickest_s is None or quickest_s == dwell_s:
        return f"{told}."
    return f"{told}, and every raster above {duration(quickest_s)}."


def _busy(planned: Planned) -> str:
    return (
        ", while other things kept this computer busy: the next plan measures again"
        if planned.calibration.disturbed
        else ""
    )
