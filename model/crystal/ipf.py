"""Inverse pole figure (IPF) colours and their colour key, by orix, which is imported on first use.

Colours follow the TSL scheme of orix, so figures agree with those of the orientation community.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.errors import UnknownFrame
from grainloop.model.crystal.frames import convert_hexagonal_axis
from grainloop.model.crystal.quaternions import check_orientations, conjugate, multiply
from grainloop.model.crystal.symmetry import LaueGroup, laue_group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEY_PIXELS = 200
_DIRECTIONS = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}
_SCHOENFLIES = {"-1": "Ci", "2/m": "C2h", "12/m1": "C2h", "mmm": "D2h", "4/m": "C4h", "4/mmm": "D4h"} | {
    "-3": "S6",
    "-3m": "D3d",
    "6/m": "C6h",
    "6/mmm": "D6h",
    "m-3": "Th",
    "m-3m": "Oh",
}
# The key of 2/m has its two-fold axis along z: a quarter turn about x brings b there.
_B_TO_Z = (sqrt(0.5), -sqrt(0.5), 0.0, 0.0)


def ipf_colours(
    q: ArrayLike, group: LaueGroup | str, direction: str = "z", hexagonal_axis: str = "a"
) -> NDArray[np.float64]:
    """RGB (..., 3), 0 … 1: the crystal direction along the sample `direction` x, y or z of the frame of `q`.

    A crystal frame with x along a* (`hexagonal_axis`) is turned to a first, where the key has its prism colours.
    Costs about 1 s for 512×512.

    Raises:
        UnknownFrame: no such direction or axis.
        BadOrientation, ShapeMismatch, UnknownPointGroup: see `check_orientations` and `laue_group`.
    """
    from orix.plot import IPFColorKeyTSL
    from orix.quaternion import Orientation

    known = laue_group(group)
    symmetry = _orix_symmetry(known)
    array = check_orientations(q).astype(np.float64)
    if known.name == "12/m1":
        array = multiply(array, _B_TO_Z)
    if hexagonal_axis != "a":
        array = convert_hexagonal_axis(array, hexagonal_axis, "a")
    passive = Orientation(conjugate(array.reshape(-1, 4)), symmetry=symmetry)
    colours = IPFColorKeyTSL(symmetry, _orix_direction(direction)).orientation2color(passive)
    return np.asarray(colours, dtype=np.float64).reshape(*array.shape[:-1], 3)


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
    import matplotlib as mpl
    from orix.plot import InversePoleFigurePlot

    known = laue_group(group)
    symmetry = _orix_symmetry(known)
    options: dict[str, Any] = {"symmetry": symmetry, "direction": _orix_direction(direction)}
    with mpl.rc_context({"font.size": max(font_size - 4, 1)}):  # orix writes its labels 4 pt larger
        axes: Any = figure.add_axes(rectangle, projection=InversePoleFigurePlot.name, **options)
    axes.stereographic_grid(False)
    sector = next(patch for patch in axes.patches if "sector" in str(patch.get_label()))
    sector.set_linewidth(1.2)
    _paint(axes, sector, symmetry)
    axes.set_title(f"IPF-{direction.upper()}  {known.name}", fontsize=font_size, loc="left", pad=1.8 * font_size)
    return axes


def _paint(axes: Any, sector: Any, symmetry: Any) -> None:
    """Fill the sector of a stereographic plot; orix interpolates its key from scattered points, which takes seconds."""
    from orix.plot import IPFColorKeyTSL
    from orix.vector import Vector3d

    low, high = sector.get_path().vertices.min(axis=0), sector.get_path().vertices.max(axis=0)
    x, y = np.meshgrid(np.linspace(low[0], high[0], KEY_PIXELS), np.linspace(low[1], high[1], KEY_PIXELS))
    squared = x**2 + y**2
    directions = np.stack([2 * x, 2 * y, 1 - squared], axis=-1) / (1 + squared)[..., None]
    colours = IPFColorKeyTSL(symmetry).direction_color_key.direction2color(Vector3d(directions.reshape(-1, 3)))
    image = np.clip(colours, 0, 1).reshape(*x.shape, 3)
    painted = axes.imshow(image, extent=(low[0], high[0], low[1], high[1]), origin="lower", zorder=0)
    painted.set_clip_path(sector)


def ipf_key_figure(group: LaueGroup | str, direction: str = "z", size_inch: float = 3.0) -> Figure:
    """A figure that holds nothing but the colour key. Raises as `add_ipf_key`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size_inch, size_inch))
    add_ipf_key(figure, (0.12, 0.12, 0.74, 0.72), group, direction)
    return figure


def _orix_symmetry(group: LaueGroup) -> Any:
    from orix.quaternion import symmetry

    return getattr(symmetry, _SCHOENFLIES[group.name])


def _orix_direction(direction: str) -> Any:
    from orix.vector import Vector3d

    if direction not in _DIRECTIONS:
        raise UnknownFrame(f"unknown sample direction {direction!r}; known: x, y, z")
    return Vector3d(_DIRECTIONS[direction])
