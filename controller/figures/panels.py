"""The panels: each draws one map into axes it is given. What goes beside what is the business of the package."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from grainloop.controller.figures import style
from grainloop.controller.session import Requested, Session
from grainloop.model.crystal.ipf import add_ipf_key, ipf_colours
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages import REASON_CODES
from grainloop.protocols.values import Grid, LightImages, Phase

_SHOWN_SHARE = 99.0
_SHOWN_DEG = 30.0
_LIGHT_DIMMED = 0.45
_LIGHT_GAMMA = 0.6
_DISC_ROOM = 0.02
"""From the centre of a numbered disc to the frame, as a share of the longer edge."""
_KEY_INCH = 2.0
_KEY_DPI = 400


def draw_ipf(
    axes: Axes, orientation: NDArray[np.float32], phase_id: NDArray[np.uint8], capabilities: Capabilities, title: str
) -> None:
    """IPF-Z colours of a map (h, w, 4); pixels of no phase are grey."""
    colours = np.full((*phase_id.shape, 3), to_rgb(style.NOT_INDEXED), np.float64)
    for phase in capabilities.phases:
        here = phase_id == phase.phase_id
        if here.any():
            colours[here] = ipf_colours(orientation[here], phase.point_group, "z", phase.hexagonal_axis.value)
    _show(axes, colours, capabilities, title)


def draw_degrees(
    axes: Axes, degrees: NDArray[np.float32], capabilities: Capabilities, title: str, highest: float
) -> ScalarMappable:
    """A map of angles from 0 to `highest`; NaN is grey."""
    colours = colormaps[style.ERROR_COLOURS].with_extremes(bad=style.NOT_INDEXED)
    return _show(axes, degrees, capabilities, title, cmap=colours, vmin=0.0, vmax=highest)


def draw_probability(axes: Axes, share: NDArray[np.float32], capabilities: Capabilities, title: str) -> ScalarMappable:
    """A map of probabilities from 0 to 1."""
    return _show(axes, share, capabilities, title, cmap="viridis", vmin=0.0, vmax=1.0)


def draw_light(
    axes: Axes, light: LightImages | None, grid: Grid, title: str, corner: style.Corner = style.LOWER_LEFT
) -> None:
    """The mean PL image, as taken and not registered, dimmed so that points stand out; plain grey without PL."""
    height_um, width_um = (n * grid.step_um for n in grid.shape_px)
    axes.set_facecolor("#404040")
    if light is not None:
        image = light.images.mean(axis=0)
        low, high = (float(edge) for edge in np.percentile(image, (0.5, 99.5)))
        extent = style.extent_um((image.shape[0], image.shape[1]), light.pixel_um)
        norm = PowerNorm(_LIGHT_GAMMA, low, low + max(high - low, 1e-6) / _LIGHT_DIMMED, clip=True)
        axes.imshow(image, cmap="gray", norm=norm, extent=extent)
    style.as_map(axes, title, width_um, height_um, corner)


def scatter_reasons(axes: Axes, session: Session) -> None:
    """The measured points, coloured by why they were asked for, with a legend of counts and of what they promised."""
    asked = session.requested
    reasons = _aligned(session, asked.reason)
    where, size = _points(session)
    for code in np.unique(reasons):
        reason, here = REASON_CODES[int(code)], reasons == code
        label = f"{style.REASON_WORDS[reason]} ({here.sum():,}{_promise(asked, asked.reason == code)})"
        colour = style.REASON_COLOURS[reason]
        axes.scatter(*where[here].T, s=size, c=colour, linewidths=0, label=label, zorder=3)
    legend = axes.legend(loc="upper left", bbox_to_anchor=(0, -0.01), ncols=2, markerscale=2.2, handletextpad=0.2)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set(edgecolor=style.INK, linewidth=0.4)


def _promise(asked: Requested, here: NDArray[np.bool_]) -> str:
    """What points were forecast to put right each, and how far apart the grains were that competed for them."""
    gain = float(asked.gain[here].mean())
    words = f"; {gain:.2g} px to gain each" if gain > 0 else ""
    if asked.misorientation_deg is not None and np.isfinite(asked.misorientation_deg[here]).any():
        words += f", grains {np.nanmedian(asked.misorientation_deg[here]):.0f}° apart"
    return words


def number_points(axes: Axes, position_px: NDArray[np.int32], reason: NDArray[np.uint8], grid: Grid) -> None:
    """Discs at pixels (N, 2), numbered from 1, in the colours of the reasons (N,); none stands over the frame."""
    size_um = np.array(grid.shape_px[::-1]) * grid.step_um
    room_um = _DISC_ROOM * size_um.max()
    centres = np.clip(_centres_um(position_px, grid), room_um, size_um - room_um)
    colours = [style.REASON_COLOURS[REASON_CODES[int(code)]] for code in reason]
    axes.scatter(*centres.T, s=78, c=colours, edgecolors=style.INK, linewidths=0.6, zorder=4)
    for number, (x, y) in enumerate(centres, start=1):
        axes.text(x, y, f"{number}", ha="center", va="center_baseline", fontsize=7, zorder=5)


def scatter_order(axes: Axes, session: Session) -> ScalarMappable:
    """The measured points, coloured by the instrument time at which they were measured."""
    where, size = _points(session)
    time_s = session.points.time_s
    return axes.scatter(*where.T, s=size, c=time_s, cmap="plasma", linewidths=0, zorder=3)


def scatter_points(axes: Axes, position_px: NDArray[np.int32], grid: Grid, colour: str) -> None:
    """Measured points (N, 2) in one colour."""
    axes.scatter(*_centres_um(position_px, grid).T, s=_size(len(position_px), grid), c=colour, linewidths=0, zorder=3)


def shown_degrees(*maps: NDArray[np.float32]) -> float:
    """A common upper end of the colour scale: nearly everything fits, at most 30°, a multiple of 5°."""
    highest = max(float(np.nanpercentile(one, _SHOWN_SHARE)) for one in maps)
    return max(5.0, 5.0 * float(np.ceil(min(highest, _SHOWN_DEG) / 5.0)))


@cache
def ipf_key_image(point_group: str) -> NDArray[np.uint8]:
    """(h, w, 4) picture of the IPF-Z colour key; drawing it costs a second, so it is drawn once."""
    figure = Figure(figsize=(_KEY_INCH, _KEY_INCH), dpi=_KEY_DPI)
    canvas = FigureCanvasAgg(figure)
    add_ipf_key(figure, (0.16, 0.14, 0.66, 0.66), point_group, "z", 11)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def draw_ipf_key(axes: Axes, point_group: str) -> None:
    """The IPF-Z colour key."""
    axes.imshow(ipf_key_image(point_group), interpolation="antialiased")
    axes.axis("off")


def shown_groups(capabilities: Capabilities, phase_id: NDArray[np.uint8]) -> list[str]:
    """The point groups of a map, that of most pixels first."""
    counts = np.bincount(phase_id.ravel(), minlength=256)
    shown = sorted((p for p in capabilities.phases if counts[p.phase_id]), key=lambda p: -int(counts[p.phase_id]))
    return list(dict.fromkeys(phase.point_group for phase in shown))


def main_phase(capabilities: Capabilities, phase_id: NDArray[np.uint8]) -> Phase:
    """The phase of most pixels."""
    counts = np.bincount(phase_id.ravel(), minlength=256)
    return max(capabilities.phases, key=lambda phase: int(counts[phase.phase_id]))


def _aligned(session: Session, column: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A column of the points asked for, in the order in which they were measured."""
    order = np.argsort(session.requested.point_id)
    found = np.searchsorted(session.requested.point_id[order], session.points.point_id)
    return column[order][found]


def _points(session: Session) -> tuple[NDArray[Any], float]:
    """Centres of the measured pixels and the size of their markers."""
    grid, position = session.capabilities.grid, session.points.position_px
    return _centres_um(position, grid), _size(len(position), grid)


def _centres_um(position_px: NDArray[np.int32], grid: Grid) -> NDArray[Any]:
    """(N, 2) x, y of the centres of pixels (N, 2) in µm."""
    return (position_px[:, ::-1] + 0.5) * grid.step_um


def _size(points: int, grid: Grid) -> float:
    """Marker area in points² that leaves the image between the points visible."""
    spacing = (grid.size / max(1, points)) ** 0.5
    return float(np.clip(spacing * 260 / max(grid.shape_px) * 0.45, 1.0, 6.0) ** 2 / 2)


def _show(axes: Axes, values: NDArray[Any], capabilities: Capabilities, title: str, **how: Any) -> AxesImage:
    grid = capabilities.grid
    image = axes.imshow(values, extent=style.extent_um(grid.shape_px, grid.step_um), **how)
    style.as_map(axes, title, grid.shape_px[1] * grid.step_um, grid.shape_px[0] * grid.step_um)
    return image
