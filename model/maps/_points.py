"""From a list of scan points in any order to arrays on a square grid; shared by the readers.

Points are placed by their coordinates, never by their line number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal.quaternions import quaternion_from_euler
from grainloop.model.maps._text import STEPS_UM
from grainloop.model.maps.errors import MapFileError
from grainloop.model.maps.orientation_map import MapPhase, OrientationMap

Column = NDArray[np.float64]
MIN_FILLED = 0.05
"""A grid of which less is filled is no grid but a list of points."""
MAX_MISSING = 0.95
"""A header that declares more missing rows or columns than this share is not believed."""

MOST_PIXELS = 2**25
"""Of a map; the maps of a larger one fit in no message."""
_MOST_UM, _MOST_RAD, _MOST_PHASE = 1e9, 1e6, 255
"""What lies beyond is no position, angle or phase."""
_NO_FIT_DEG = 180.0


@dataclass(frozen=True)
class PointList:
    """Columns of equal length N as a file holds them.

    Attributes:
        x_um, y_um: positions; y runs down.
        euler_rad: (N, 3) Bunge angles.
        phase_id: 0 where not indexed.
        line: line or record number of each point, for messages.
        measured: whether each point was measured, where the file says so.
    """

    x_um: Column
    y_um: Column
    euler_rad: Column
    phase_id: NDArray[np.int64]
    confidence: Column
    fit_deg: Column
    line: NDArray[np.int64]
    measured: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class DeclaredGrid:
    """What a header says of the grid; 0 where it says nothing."""

    columns: int = 0
    rows: int = 0
    step_x_um: float = 0.0
    step_y_um: float = 0.0


def to_map(
    path: Path, points: PointList, declared: DeclaredGrid, phases: tuple[MapPhase, ...], frame: str
) -> OrientationMap:
    """The map of these points; pixels without a point are not indexed.

    Raises:
        MapFileError: points off the grid, two at one place, unknown phases, or angles that are no numbers.
    """
    _check_values(path, points, phases)
    columns, width, step_x = _place(path, "x", points.x_um, points.line, declared.columns, declared.step_x_um)
    rows, height, step_y = _place(path, "y", points.y_um, points.line, declared.rows, declared.step_y_um)
    step = _one_step(path, step_x, step_y, declared)
    if width * height > MOST_PIXELS:
        raise MapFileError(path, f"a grid of {width}×{height} is larger than {MOST_PIXELS} pixels.")
    if len(points.line) < MIN_FILLED * width * height:
        raise MapFileError(path, f"{len(points.line)} points do not fill a grid of {width}×{height}; is it a map?")
    _check_single(path, rows * width + columns, points)
    shape, at = (height, width), (rows, columns)
    indexed = points.phase_id > 0
    quaternions = quaternion_from_euler(np.where(indexed[:, None], points.euler_rad, 0.0))
    measured = None if points.measured is None else _scatter(shape, at, points.measured, np.bool_, False)
    return OrientationMap(
        orientation=_scatter(shape, at, quaternions, np.float32, (1, 0, 0, 0)),
        phase_id=_scatter(shape, at, points.phase_id, np.uint8, 0),
        confidence=_scatter(
            shape, at, np.where(indexed, np.clip(np.nan_to_num(points.confidence), 0, 1), 0), np.float32, 0
        ),
        fit_deg=_scatter(
            shape,
            at,
            np.where(indexed, np.minimum(np.abs(points.fit_deg), _NO_FIT_DEG), _NO_FIT_DEG),
            np.float32,
            _NO_FIT_DEG,
        ),
        step_um=step,
        phases=phases,
        frame=frame,
        source=path,
        measured=measured,
    )


def _scatter(
    shape: tuple[int, int], at: tuple[NDArray[np.int64], NDArray[np.int64]], values: NDArray[Any], dtype: Any, fill: Any
) -> NDArray[Any]:
    target = np.empty((*shape, *values.shape[1:]), dtype)
    target[...] = fill
    target[at] = values
    return target


def check_phase_column(path: Path, phase: Column, line: Sequence[int]) -> None:
    """Refuse phases that are no numbers, before they are made whole ones.

    Raises:
        MapFileError: the first of them.
    """
    if (bad := _first(~np.isfinite(phase))) is not None:
        raise MapFileError(path, f"line {line[bad]}: the phase is not a number.")
    if (bad := _first(np.abs(phase) > _MOST_PHASE)) is not None:
        raise MapFileError(path, f"line {line[bad]}: {phase[bad]:g} is the number of no phase.")


def _check_values(path: Path, points: PointList, phases: tuple[MapPhase, ...]) -> None:
    if not len(points.line):
        raise MapFileError(path, "holds no scan points.")
    known = [0, *(phase.phase_id for phase in phases)]
    if (stranger := _first(~np.isin(points.phase_id, known))) is not None:
        number, line = points.phase_id[stranger], points.line[stranger]
        raise MapFileError(path, f"line {line}: phase {number} is not among the phases of the header {known[1:]}.")
    unusable = (points.phase_id > 0) & ~np.isfinite(points.euler_rad).all(axis=1)
    if (bad := _first(unusable | ~np.isfinite(points.x_um) | ~np.isfinite(points.y_um))) is not None:
        raise MapFileError(path, f"line {points.line[bad]}: a position or Euler angle is not a number.")
    far = (np.abs(points.x_um) > _MOST_UM) | (np.abs(points.y_um) > _MOST_UM)
    if (bad := _first(far)) is not None:
        place = f"x = {points.x_um[bad]:g}, y = {points.y_um[bad]:g}"
        raise MapFileError(path, f"line {points.line[bad]}: {place} lies beyond {_MOST_UM:g} µm.")
    turned = (points.phase_id > 0) & (np.abs(points.euler_rad) > _MOST_RAD).any(axis=1)
    if (bad := _first(turned)) is not None:
        raise MapFileError(path, f"line {points.line[bad]}: an Euler angle is beyond {_MOST_RAD:g} rad.")


def _place(
    path: Path, axis: str, position: Column, line: NDArray[np.int64], declared: int, declared_step: float
) -> tuple[NDArray[np.int64], int, float]:
    """Index of each point along one axis, number of cells, and step (0 where there is only one cell).

    A header that declares more cells than the points span (rows missing at an end) is believed if the first cell lies
    at 0.
    """
    start, extent = float(position.min()), float(np.ptp(position))
    rough = _rough_step(position, declared_step)
    cells = round(extent / rough) + 1 if rough > 0 else 1
    step = extent / (cells - 1) if cells > 1 else 0.0
    index = np.rint((position - start) / step).astype(np.int64) if step > 0 else np.zeros(len(position), np.int64)
    if step > 0 and (off := _first(np.abs(position - start - index * step) > 0.3 * step)) is not None:
        place = f"{axis} = {position[off]:g}"
        raise MapFileError(path, f"line {line[off]}: {place} is not on a square grid of step {step:g}.")
    before = round(start / step) if step > 0 else 0
    if 0 < declared - cells <= MAX_MISSING * declared and 0 <= before <= declared - cells:
        return index + before, declared, step
    return index, cells, step


def _rough_step(position: Column, declared: float) -> float:
    """From the gaps between coordinates, since the step of a header is often rounded; 0 where there is no gap."""
    gaps = np.diff(np.unique(position))
    gaps = gaps[gaps > 1e-6 * max(float(np.ptp(position)), 1e-12)]
    if not len(gaps):
        return 0.0
    near = gaps[np.abs(gaps - declared) < 0.2 * declared]
    if len(near):
        return float(near.mean())
    usual = np.median(gaps)
    gap = float(gaps[np.abs(gaps - usual) < 0.2 * usual].mean())
    return gap / max(round(gap / declared), 1) if declared > 0 else gap


def _one_step(path: Path, step_x: float, step_y: float, declared: DeclaredGrid) -> float:
    """The step of both axes; of a single row or column the header says it, if the points do not."""
    step = step_x or step_y or declared.step_x_um or declared.step_y_um
    if not step > 0:
        raise MapFileError(path, "a single point without a step size is no map.")
    if step_x > 0 and step_y > 0 and abs(step_x - step_y) > 0.01 * step:
        raise MapFileError(
            path, f"steps of {step_x:g} µm in x and {step_y:g} µm in y differ; square pixels are needed."
        )
    if not STEPS_UM[0] <= step <= STEPS_UM[1]:
        raise MapFileError(path, f"a step of {step:g} µm lies beyond {STEPS_UM[0]:g} to {STEPS_UM[1]:g} µm.")
    return float(f"{step:.9g}")  # coordinates carry about as many digits; 0.4999, not 0.49989999999999996


def _check_single(path: Path, cell: NDArray[np.int64], points: PointList) -> None:
    order = np.argsort(cell, kind="stable")
    repeats = np.flatnonzero(np.diff(cell[order]) == 0)
    if len(repeats):
        first = order[repeats[0] + 1]
        place = f"x = {points.x_um[first]:g}, y = {points.y_um[first]:g}"
        raise MapFileError(path, f"line {points.line[first]}: the position {place} occurs twice.")


def _first(faulty: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(faulty)) if faulty.any() else None
