"""Where panels lie: figures as tables of maps of one size, in inches, with slim colour bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from grainloop.controller.figures.style import DPI
from grainloop.protocols.files import open_file

PANEL_INCH = 3.6
"""Longer edge of a map."""
NOTE_INCH = 0.16
"""Height of the note at the foot."""


def sheet(
    shape_px: tuple[int, int],
    note: str,
    columns: int,
    rows: int = 1,
    gap_inch: float = 0.0,
    row_gap_inch: float = 0.0,
    right_inch: float = 0.1,
    bottom_inch: float = 0.1,
) -> tuple[Figure, float, float]:
    """A figure for a table of maps with a note at its foot, and the size of a map in inches."""
    rows_px, columns_px = shape_px
    scale = PANEL_INCH / max(rows_px, columns_px)
    width, height = columns_px * scale, rows_px * scale
    across = 0.1 + columns * width + (columns - 1) * gap_inch + right_inch
    up = NOTE_INCH + bottom_inch + rows * height + (rows - 1) * row_gap_inch + 0.3
    figure = Figure(figsize=(across, up))
    figure.text(0.1 / across, 0.05 / up, note, fontsize=7, color="#606060", va="bottom")
    return figure, width, height


def place(
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
    bottom = NOTE_INCH + bottom_inch + row * (height + row_gap_inch)
    return axes_at(figure, left, bottom, width, height)


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def column_of(figure: Figure, count: int, left: float, middle: float, size: float) -> list[Axes]:
    """Square axes of `size` inches below one another about the height `middle`."""
    highest = middle + (count / 2 - 1) * size
    return [axes_at(figure, left, highest - k * size, size, size) for k in range(count)]


def bar(figure: Figure, beside: Axes, image: ScalarMappable, label: str) -> None:
    """A slim colour bar at the right of a map, as high as the map; an arrow says that larger values exist."""
    box, (across, _) = beside.get_position(), figure.get_size_inches()
    values, (_, highest) = np.asarray(image.get_array()), image.get_clim()
    extend = "max" if np.nanmax(values) > highest else "neither"
    slot = figure.add_axes((box.x1 + 0.08 / across, box.y0, 0.11 / across, box.height))
    figure.colorbar(image, cax=slot, extend=extend, extendfrac=0.03).set_label(label)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure into a PNG file, whose folder is made."""
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_file(path, "wb") as file:
        figure.savefig(file, dpi=DPI, format="png")
    return path
