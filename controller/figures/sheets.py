"""Which panels make which figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from controller.figures import panels
from controller.session_reader import Inferred, Session
from controller.summary import GridBaseline, error_map_deg, score
from model.crystal.score import MapScore
from model.maps import OrientationMap

_PANEL_INCH = 3.6
_NOTE_INCH = 0.16


def ipf_sheet(session: Session, result: Inferred) -> Figure:
    """The reconstructed orientations with their colour key."""
    figure, width, height = _sheet(session, 1, right_inch=1.9)
    axes = _place(figure, 0, 0, width, height)
    title = f"Reconstruction, IPF-Z: {_points(session)}"
    panels.draw_ipf(axes, result.orientation, result.phase_id, session.capabilities, title)
    _key(figure, session, result, width + 0.15, (height - 1.6) / 2, 1.6)
    return figure


def uncertainty_sheet(session: Session, result: Inferred) -> Figure:
    """Expected error, probability of being wrong, and probability of a boundary."""
    figure, width, height = _sheet(session, 3, gap_inch=0.95, right_inch=0.85)
    first, second, third = (_place(figure, k, 0, width, height, gap_inch=0.95) for k in range(3))
    highest = panels.shown_degrees(result.expected_error_deg)
    image = panels.draw_degrees(first, result.expected_error_deg, session.capabilities, "Expected error", highest)
    _bar(figure, first, image, "expected disorientation (°)")
    image = panels.draw_probability(second, result.p_wrong, session.capabilities, "Probability of an error above 5°")
    _bar(figure, second, image, "probability")
    image = panels.draw_probability(third, result.boundary, session.capabilities, "Probability of a grain boundary")
    _bar(figure, third, image, "probability")
    return figure


def light_sheet(session: Session) -> Figure:
    """The scan points on the PL image: why they were asked for, and in which order they came."""
    figure, width, height = _sheet(session, 2, gap_inch=0.3, right_inch=0.85, bottom_inch=0.75)
    why, when = (_place(figure, k, 0, width, height, gap_inch=0.3, bottom_inch=0.75) for k in range(2))
    panels.draw_light(why, session, f"{_points(session)}: why they were measured")
    panels.scatter_reasons(why, session)
    panels.draw_light(when, session, "The same points: when they were measured")
    _bar(figure, when, panels.scatter_order(when, session), "instrument time (s)")
    return figure


def error_sheet(session: Session, result: Inferred, truth: OrientationMap) -> Figure:
    """The true error beside the expected one, on one colour scale."""
    error = error_map_deg(result.orientation, truth)
    highest = panels.shown_degrees(error, result.expected_error_deg)
    figure, width, height = _sheet(session, 2, gap_inch=0.3, right_inch=0.85)
    left, right = (_place(figure, k, 0, width, height, gap_inch=0.3) for k in range(2))
    panels.draw_degrees(left, result.expected_error_deg, session.capabilities, "Expected error", highest)
    told = f"True error: {_told(score(result.orientation, truth))}"
    _bar(figure, right, panels.draw_degrees(right, error, session.capabilities, told, highest), "disorientation (°)")
    return figure


def overview_sheet(session: Session, result: Inferred, truth: OrientationMap, grid: GridBaseline) -> Figure:
    """Everything at a glance: truth, where was measured, result; error of the coarse grid, expected and true error."""
    caps, gap, row_gap = session.capabilities, 0.22, 0.95
    figure, width, height = _sheet(session, 3, rows=2, gap_inch=gap, row_gap_inch=row_gap, right_inch=1.75)
    upper, lower = ([_place(figure, k, row, width, height, gap, row_gap) for k in range(3)] for row in (1, 0))
    (true_map, light, found), (coarse, expected, wrong) = upper, lower
    panels.draw_ipf(true_map, truth.orientation, truth.phase_id, caps, "Truth, IPF-Z")
    panels.draw_light(light, session, f"{_points(session)}" + (" on the mean PL image" if session.light else ", no PL"))
    panels.scatter_reasons(light, session)
    panels.draw_ipf(found, result.orientation, result.phase_id, caps, f"Reconstruction ({result.method}), IPF-Z")
    errors = [error_map_deg(one, truth) for one in (grid.orientation, result.orientation)]
    highest = panels.shown_degrees(*errors, result.expected_error_deg)
    told = f"Grid + nearest neighbour: {_told(grid.score)}"
    panels.draw_degrees(coarse, errors[0], caps, told, highest)
    panels.draw_degrees(expected, result.expected_error_deg, caps, "Expected error of the reconstruction", highest)
    told = f"True error: {_told(score(result.orientation, truth))}"
    _bar(figure, wrong, panels.draw_degrees(wrong, errors[1], caps, told, highest), "disorientation (°)")
    _key(figure, session, result, 3 * width + 2 * gap + 0.12, _NOTE_INCH + height + row_gap + (height - 1.6) / 2, 1.6)
    return figure


def _sheet(
    session: Session,
    columns: int,
    rows: int = 1,
    gap_inch: float = 0.0,
    row_gap_inch: float = 0.0,
    right_inch: float = 0.1,
    bottom_inch: float = 0.1,
) -> tuple[Figure, float, float]:
    """A figure for a table of maps, and the size of a map in inches."""
    rows_px, columns_px = session.capabilities.grid.shape_px
    scale = _PANEL_INCH / max(rows_px, columns_px)
    width, height = columns_px * scale, rows_px * scale
    across = 0.1 + columns * width + (columns - 1) * gap_inch + right_inch
    up = _NOTE_INCH + bottom_inch + rows * height + (rows - 1) * row_gap_inch + 0.3
    figure = Figure(figsize=(across, up))
    caps = session.capabilities
    note = f"Simulated data ({caps.name})" if caps.simulated else f"Instrument: {caps.name}"
    figure.text(0.1 / across, 0.05 / up, note, fontsize=7, color="#606060", va="bottom")
    return figure, width, height


def _place(
    figure: Figure,
    column: int,
    row: int,
    width: float,
    height: float,
    gap_inch: float = 0.0,
    row_gap_inch: float = 0.0,
    bottom_inch: float = 0.1,
) -> Axes:
    """Axes for the map in this column and row (rows count from the bottom)."""
    left = 0.1 + column * (width + gap_inch)
    bottom = _NOTE_INCH + bottom_inch + row * (height + row_gap_inch)
    return _axes(figure, left, bottom, width, height)


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _bar(figure: Figure, beside: Axes, image: ScalarMappable, label: str) -> None:
    """A slim colour bar at the right of a map, as high as the map; an arrow says that larger values exist."""
    box, (across, _) = beside.get_position(), figure.get_size_inches()
    values, (_, highest) = np.asarray(image.get_array()), image.get_clim()
    extend = "max" if np.nanmax(values) > highest else "neither"
    slot = figure.add_axes((box.x1 + 0.08 / across, box.y0, 0.11 / across, box.height))
    figure.colorbar(image, cax=slot, extend=extend, extendfrac=0.03).set_label(label)


def _key(figure: Figure, session: Session, result: Inferred, left: float, bottom: float, size: float) -> None:
    axes = _axes(figure, left, bottom, size, size)
    axes.imshow(
        panels.ipf_key_image(panels.main_phase(session, result.phase_id).point_group), interpolation="antialiased"
    )
    axes.axis("off")


def _points(session: Session) -> str:
    count = len(session.points)
    return f"{count:,} scan points ({count / session.capabilities.grid.size:.1%})"


def _told(errors: MapScore) -> str:
    return f"{errors.error_mean_deg:.1f}°, {errors.error_over_5deg:.0%} above 5°"
