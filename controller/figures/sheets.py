"""Which panels make which figure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray

from grainloop.controller.figures import panels
from grainloop.controller.figures.layout import NOTE_INCH, axes_at, bar, place, sheet
from grainloop.controller.figures.summary import GridBaseline, error_map_deg, score
from grainloop.controller.session import Inferred, Session
from grainloop.model.crystal.score import MapScore
from grainloop.model.maps import OrientationMap
from grainloop.protocols.capabilities import Capabilities


def ipf_sheet(session: Session, result: Inferred) -> Figure:
    """The reconstructed orientations with their colour key."""
    figure, width, height = sheet(*_of(session), 1, right_inch=1.9)
    axes = place(figure, 0, 0, width, height)
    title = f"Reconstruction, IPF-Z: {_points(session)}"
    panels.draw_ipf(axes, result.orientation, result.phase_id, session.capabilities, title)
    _key(figure, session, result, width + 0.15, (height - 1.6) / 2, 1.6)
    return figure


def uncertainty_sheet(session: Session, result: Inferred) -> Figure:
    """Expected error, 90 % bound on the same colour scale, probability of being wrong, probability of a boundary."""
    doubts = _doubts(result)
    columns, rows = (2, 2) if len(doubts) == 4 else (len(doubts), 1)
    gap, row_gap = 0.95, 0.4
    figure, width, height = sheet(*_of(session), columns, rows, gap_inch=gap, row_gap_inch=row_gap, right_inch=0.85)
    for number, (draw, values, title, label) in enumerate(doubts):
        row = rows - 1 - number // columns
        axes = place(figure, number % columns, row, width, height, gap, row_gap)
        bar(figure, axes, draw(axes, values, session.capabilities, title), label)
    return figure


def _doubts(result: Inferred) -> list[tuple[Callable[..., ScalarMappable], NDArray[Any], str, str]]:
    """How to draw each map of uncertainty, the map, its title and the label of its colour bar."""
    bounds = [] if result.bound90_deg is None else [result.bound90_deg]
    degrees = partial(panels.draw_degrees, highest=panels.shown_degrees(result.expected_error_deg, *bounds))
    bounded = [(degrees, bound, "Bound of the error (90 %)", "disorientation (°)") for bound in bounds]
    probability = panels.draw_probability
    return [
        (degrees, result.expected_error_deg, "Expected error", "expected disorientation (°)"),
        *bounded,
        (probability, result.p_wrong, "Probability of an error above 5°", "probability"),
        (probability, result.boundary, "Probability of a grain boundary", "probability"),
    ]


def light_sheet(session: Session) -> Figure:
    """The scan points on the PL image: why they were asked for, and in which order they came."""
    figure, width, height = sheet(*_of(session), 2, gap_inch=0.3, right_inch=0.85, bottom_inch=0.75)
    grid = session.capabilities.grid
    why, when = (place(figure, k, 0, width, height, gap_inch=0.3, bottom_inch=0.75) for k in range(2))
    panels.draw_light(why, session.light, grid, f"{_points(session)}: why they were measured")
    panels.scatter_reasons(why, session)
    panels.draw_light(when, session.light, grid, "The same points: when they were measured")
    bar(figure, when, panels.scatter_order(when, session), "instrument time (s)")
    return figure


def error_sheet(session: Session, result: Inferred, truth: OrientationMap) -> Figure:
    """The true error beside the expected one, on one colour scale."""
    error = error_map_deg(result.orientation, truth)
    highest = panels.shown_degrees(error, result.expected_error_deg)
    figure, width, height = sheet(*_of(session), 2, gap_inch=0.3, right_inch=0.85)
    left, right = (place(figure, k, 0, width, height, gap_inch=0.3) for k in range(2))
    panels.draw_degrees(left, result.expected_error_deg, session.capabilities, "Expected error", highest)
    told = f"True error: {_told(score(result.orientation, truth))}"
    bar(figure, right, panels.draw_degrees(right, error, session.capabilities, told, highest), "disorientation (°)")
    return figure


def overview_sheet(session: Session, result: Inferred, truth: OrientationMap, grid: GridBaseline) -> Figure:
    """Everything at a glance: truth, where was measured, result; error of the coarse grid, expected and true error."""
    caps, gap, row_gap = session.capabilities, 0.22, 0.95
    figure, width, height = sheet(*_of(session), 3, rows=2, gap_inch=gap, row_gap_inch=row_gap, right_inch=1.75)
    upper, lower = ([place(figure, k, row, width, height, gap, row_gap) for k in range(3)] for row in (1, 0))
    (true_map, light, found), (coarse, expected, wrong) = upper, lower
    panels.draw_ipf(true_map, truth.orientation, truth.phase_id, caps, "Truth, IPF-Z")
    shown = f"{_points(session)}" + (" on the mean PL image" if session.light else ", no PL")
    panels.draw_light(light, session.light, caps.grid, shown)
    panels.scatter_reasons(light, session)
    panels.draw_ipf(found, result.orientation, result.phase_id, caps, f"Reconstruction ({result.method}), IPF-Z")
    errors = [error_map_deg(one, truth) for one in (grid.orientation, result.orientation)]
    highest = panels.shown_degrees(*errors, result.expected_error_deg)
    told = f"Grid + nearest neighbour: {_told(grid.score)}"
    panels.draw_degrees(coarse, errors[0], caps, told, highest)
    panels.draw_degrees(expected, result.expected_error_deg, caps, "Expected error of the reconstruction", highest)
    told = f"True error: {_told(score(result.orientation, truth))}"
    bar(figure, wrong, panels.draw_degrees(wrong, errors[1], caps, told, highest), "disorientation (°)")
    _key(figure, session, result, 3 * width + 2 * gap + 0.12, NOTE_INCH + height + row_gap + (height - 1.6) / 2, 1.6)
    return figure


def _of(session: Session) -> tuple[tuple[int, int], str]:
    """Shape of the maps, and the note at the foot of the figure."""
    return session.capabilities.grid.shape_px, foot_note(session.capabilities)


def foot_note(capabilities: Capabilities) -> str:
    """Whether the data are simulated, and by what they were measured."""
    return f"Simulated data ({capabilities.name})" if capabilities.simulated else f"Instrument: {capabilities.name}"


def _key(figure: Figure, session: Session, result: Inferred, left: float, bottom: float, size: float) -> None:
    phase = panels.main_phase(session.capabilities, result.phase_id)
    panels.draw_ipf_key(axes_at(figure, left, bottom, size, size), phase.point_group)


def _points(session: Session) -> str:
    count = len(session.points)
    return f"{count:,} scan points ({count / session.capabilities.grid.size:.1%})"


def _told(errors: MapScore) -> str:
    return f"{errors.error_mean_deg:.1f}°, {errors.error_over_5deg:.0%} above 5°"
