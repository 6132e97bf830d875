"""The figure of one reconstructed map: points on PL, orientations, expected error, true error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from grainloop.controller.figures import panels
from grainloop.controller.figures.layout import NOTE_INCH, bar, column_of, place, save, sheet
from grainloop.controller.figures.style import house_style
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.values import LightImages

POINT_COLOUR = "#ffb000"
KEY_INCH = 1.5
_GAP_INCH, _ROW_GAP_INCH = 0.22, 0.4
_MOST_KEYS = 2


@dataclass(frozen=True, eq=False)
class Shown:
    """What the figure shows.

    Attributes:
        capabilities: grid and phases.
        position_px: (N, 2) measured points.
        light: mean PL on the scan grid, or as taken; None without PL.
        light_title: what of PL is shown.
        orientation: (h, w, 4) map.
        phase_id: (h, w).
        expected_error_deg: (h, w).
        error_deg: (h, w) true error; NaN where the truth is not indexed.
        method: what made the map.
        told: the true error in words.
        note: what was measured and what simulated, at the foot.
    """

    capabilities: Capabilities
    position_px: NDArray[np.int32]
    light: LightImages | None
    light_title: str
    orientation: NDArray[np.float32]
    phase_id: NDArray[np.uint8]
    expected_error_deg: NDArray[np.float32]
    error_deg: NDArray[np.float32]
    method: str
    told: str
    note: str


def write_reconstruction_figure(shown: Shown, path: Path) -> None:
    """Draw it into a PNG file."""
    with house_style():
        save(reconstruction_sheet(shown), path)


def reconstruction_sheet(shown: Shown) -> Figure:
    """Two by two maps; both errors on one colour scale."""
    caps = shown.capabilities
    shape, gaps = caps.grid.shape_px, (_GAP_INCH, _ROW_GAP_INCH)
    figure, width, height = sheet(shape, shown.note, 2, 2, *gaps, right_inch=1.75)
    light, found = (place(figure, k, 1, width, height, *gaps) for k in range(2))
    expected, true = (place(figure, k, 0, width, height, *gaps) for k in range(2))
    count = len(shown.position_px)
    title = f"{count:,} points ({count / caps.grid.size:.1%}) {shown.light_title}"
    panels.draw_light(light, shown.light, caps.grid, title)
    panels.scatter_points(light, shown.position_px, caps.grid, POINT_COLOUR)
    panels.draw_ipf(found, shown.orientation, shown.phase_id, caps, f"Reconstruction ({shown.method}), IPF-Z")
    highest = panels.shown_degrees(shown.error_deg, shown.expected_error_deg)
    panels.draw_degrees(expected, shown.expected_error_deg, caps, "Expected error", highest)
    image = panels.draw_degrees(true, shown.error_deg, caps, f"True error: {shown.told}", highest)
    bar(figure, true, image, "disorientation (°)")
    draw_keys(figure, caps, shown.phase_id, 2 * width + _GAP_INCH + 0.2, NOTE_INCH + _ROW_GAP_INCH + 1.5 * height)
    return figure


def draw_keys(
    figure: Figure, capabilities: Capabilities, phase_id: NDArray[np.uint8], left: float, middle: float
) -> None:
    """The colour keys of up to two symmetries, about the middle of the upper maps."""
    groups = panels.shown_groups(capabilities, phase_id)[:_MOST_KEYS]
    for axes, group in zip(column_of(figure, len(groups), left, middle, KEY_INCH), groups, strict=True):
        panels.draw_ipf_key(axes, group)
