"""Inverse pole figure (IPF) colours of orientations, and their colour key as part of a figure.

Colours are those of `ipf_sectors`; matplotlib is imported by those who draw.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.errors import UnknownFrame
from grainloop.model.crystal.frames import convert_hexagonal_axis
from grainloop.model.crystal.ipf_sectors import Sector, direction_colours, sector
from grainloop.model.crystal.quaternions import check_orientations, conjugate, multiply, rotate_vectors
from grainloop.model.crystal.symmetry import LaueGroup, laue_group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEY_PIXELS = 200
_DIRECTIONS = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
# The key of 2/m has its two-fold axis along z: a quarter turn about x brings b there.
_B_TO_Z = (sqrt(0.5), -sqrt(0.5), 0.0, 0.0)


def ipf_colours(
    q: ArrayLike, group: LaueGroup | str, direction: str = "z", hexagonal_axis: str = "a"
) -> NDArray[np.float64]:
    """RGB (..., 3), 0 … 1: the crystal direction along the sample `direction` x, y or z of the frame of `q`.

    A crystal frame with x along a* (`hexagonal_axis`) is turned to a first, where the key has its prism colours.

    Raises:
        UnknownFrame: no such direction or axis.
        BadOrientation, ShapeMismatch, UnknownPointGroup: see `check_orientations` and `laue_group`.
    """
    known = laue_group(group)
    array = check_orientations(q).astype(np.float64)
    if known.name == "12/m1":
        array = multiply(array, _B_TO_Z)
    if hexagonal_axis != "a":
        array = convert_hexagonal_axis(array, hexagonal_axis, "a")
    seen = rotate_vectors(conjugate(array), _sample_direction(direction))
    return direction_colours(seen, _of_key(known))


def add_ipf_key(
    figure: Figure,
    rectangle: tuple[float, float, float, float],
    group: LaueGroup | str,
    direction: str = "z",
    font_size: float = 9,
) -> Axes:
    """Draw the colour key of `ipf_colours` into `figure` at (left, bottom, width, height) in figure fractions.

    The title names the sample direction and the Laue group; leave a tenth of the figure free around the rectangle.

    Raises:
        UnknownFrame: no such direction.
    """
    _sample_direction(direction)
    known = laue_group(group)
    within = sector(_of_key(known))
    axes = figure.add_axes(rectangle)
    axes.set_axis_off()
    axes.set_aspect("equal")
    outline = _stereographic(within.edge())
    _paint(axes, outline, within.group)
    _label(axes, within, outline, font_size)
    axes.set_title(f"IPF-{direction.upper()}  {known.name}", fontsize=font_size, loc="left", pad=1.8 * font_size)
    return axes


def _paint(axes: Axes, outline: NDArray[np.float64], group: str) -> None:
    """Fill the outline (n, 2) of a sector in the stereographic plane with its colours."""
    from matplotlib.patches import Polygon

    low, high = outline.min(axis=0), outline.max(axis=0)
    x, y = np.meshgrid(np.linspace(low[0], high[0], KEY_PIXELS), np.linspace(low[1], high[1], KEY_PIXELS))
    squared = x**2 + y**2
    directions = np.stack([2 * x, 2 * y, 1 - squared], axis=-1) / (1 + squared)[..., None]
    border = Polygon(outline, facecolor="none", edgecolor="k", linewidth=1.2)
    axes.add_patch(border)
    extent = (low[0], high[0], low[1], high[1])
    painted = axes.imshow(direction_colours(directions, group), extent=extent, origin="lower", zorder=0)
    painted.set_clip_path(border)
    margin = 0.01 * (high - low).max()
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)


def _label(axes: Axes, within: Sector, outline: NDArray[np.float64], font_size: float) -> None:
    """Write the indices of the corners beside them, outside the sector."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    middle, pad = _stereographic(within.centre)[1], 0.02 * (high - low)
    for (x, y), label in zip(_stereographic(within.corners), within.labels, strict=True):
        if not label:
            continue
        if abs(y - middle) < 0.01:
            axes.text(x - pad[0], y, _indices(label), ha="right", va="center", fontsize=font_size)
        elif y > middle:  # a slanted or round edge goes on above
            axes.text(x, y + pad[1] + 0.2 * (high[1] - y), _indices(label), ha="center", fontsize=font_size)
        else:
            axes.text(x, y - pad[1], _indices(label), ha="center", va="top", fontsize=font_size)


def _indices(label: str) -> str:
    """Miller indices with a bar over what is negative."""
    shown = (f"\\bar{{{index[1:]}}}" if index.startswith("-") else index for index in label.split())
    return f"[${' '.join(shown)}$]"


def _stereographic(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, 2) places of unit vectors (…, 3) of the upper half."""
    return directions[..., :2] / (1 + directions[..., 2:])


def ipf_key_figure(group: LaueGroup | str, direction: str = "z", size_inch: float = 3.0) -> Figure:
    """A figure that holds nothing but the colour key. Raises as `add_ipf_key`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size_inch, size_inch))
    add_ipf_key(figure, (0.12, 0.12, 0.74, 0.72), group, direction)
    return figure


def _of_key(group: LaueGroup) -> str:
    return "2/m" if group.name == "12/m1" else group.name


def _sample_direction(direction: str) -> tuple[float, float, float]:
    if direction not in _DIRECTIONS:
        raise UnknownFrame(f"unknown sample direction {direction!r}; known: x, y, z")
    return _DIRECTIONS[direction]
