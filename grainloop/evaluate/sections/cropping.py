"""The centre of a posed section, for methods too slow for the whole: same points, same registered PL, smaller map.

Also maps cut out of maps, or turned.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.evaluate.sections.given import Given
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import Problem, RegisteredLight, SparsePoints
from grainloop.model.service.phases import PhaseMap
from grainloop.protocols.values import Grid

Window = tuple[slice, slice]


def centre_window(shape_px: tuple[int, int], edge_px: int) -> Window:
    """Rows and columns of a centred square of this edge, smaller where the map is."""
    starts = [max(0, (n - edge_px) // 2) for n in shape_px]
    rows, columns = (slice(at, min(at + edge_px, n)) for at, n in zip(starts, shape_px, strict=True))
    return rows, columns


def crop_map(truth: OrientationMap, window: Window) -> OrientationMap:
    """The part of a map within a window."""
    maps = {name: getattr(truth, name)[window] for name in ("orientation", "phase_id", "confidence", "fit_deg")}
    return replace(truth, **maps, measured=None if truth.measured is None else truth.measured[window])


def turned(truth: OrientationMap) -> OrientationMap:
    """A map with its pixels turned by 180° in place, orientations as they were: like another section."""
    return crop_map(truth, (slice(None, None, -1), slice(None, None, -1)))


def crop_given(given: Given, window: Window) -> Given:
    """The part of a posed section within a window; PL is not registered anew."""
    shape = given.phases.phase_id[window].shape
    grid = Grid(shape_px=(shape[0], shape[1]), step_um=given.section.declared.grid.step_um)
    declared = given.section.declared.model_copy(update={"grid": grid})
    inside = _inside(given.points.position_px, window)
    points = given.points.select(inside)
    return replace(
        given,
        section=replace(given.section, declared=declared),
        points=points.model_copy(update={"position_px": _moved(points.position_px, window)}),
        phases=PhaseMap(given.phases.phase_id[window], given.phases.probability[window]),
        problems={n: crop_problem(p, window) for n, p in given.problems.items()},
    )


def crop_problem(problem: Problem, window: Window) -> Problem:
    """The part of a problem without a prior within a window."""
    points = problem.points.select(_inside(problem.points.position_px, window))
    moved = SparsePoints(_moved(points.position_px, window), points.orientation, points.indexed)
    light = None if problem.light is None else _crop_light(problem.light, window)
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    return replace(problem, shape=shape, points=moved, light=light)


def _crop_light(light: RegisteredLight, window: Window) -> RegisteredLight:
    cut = (slice(None), *window)
    return RegisteredLight(light.features[cut].copy(), light.sigma[cut].copy(), light.residual_px)


def _inside(position_px: NDArray[np.int32], window: Window) -> NDArray[np.bool_]:
    low, high = _corners(window)
    return np.all((position_px >= low) & (position_px < high), axis=1)


def _moved(position_px: NDArray[np.int32], window: Window) -> NDArray[np.int32]:
    return (position_px - _corners(window)[0]).astype(np.int32)


def _corners(window: Window) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.array([s.start for s in window]), np.array([s.stop for s in window])
