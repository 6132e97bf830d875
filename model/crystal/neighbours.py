"""Disorientation between neighbouring pixels of a map, and the boundary map made from it.

Maps are (h, w, 4), rows run down. Grains are in `grains`, comparison with a true map in `score`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.disorientation import kernel_kind, planes_of
from grainloop.model.crystal.errors import ShapeMismatch
from grainloop.model.crystal.quaternions import FloatArray, as_floats, check_orientations
from grainloop.model.crystal.symmetry import LaueGroup, laue_group

BoolMap = NDArray[np.bool_]

GRAIN_THRESHOLD_DEG = 5.0


def checked_map(q_map: ArrayLike, valid: ArrayLike | None) -> tuple[FloatArray, BoolMap | None]:
    """An orientation map (h, w, 4) and its mask (h, w); pixels outside the mask may hold anything.

    Raises:
        ShapeMismatch: not a map, or the mask has another shape.
        BadOrientation: see `check_orientations`, for the pixels of the mask.
    """
    q = as_floats(q_map, 4)
    if q.ndim != 3:
        raise ShapeMismatch(f"an orientation map (h, w, 4) expected, got shape {q.shape}")
    if valid is None:
        return check_orientations(q), None
    mask = np.asarray(valid, dtype=bool)
    if mask.shape != q.shape[:2]:
        raise ShapeMismatch(f"mask of shape {mask.shape} on a map of {q.shape[:2]}")
    check_orientations(q[mask])
    return q, mask


def neighbour_disorientation_deg(q_map: ArrayLike, group: LaueGroup | str) -> tuple[FloatArray, FloatArray]:
    """Disorientation of every pixel with its right (h, w−1) and its lower (h−1, w) neighbour, in degrees.

    Raises:
        BadOrientation, ShapeMismatch, UnknownPointGroup: see `checked_map` and `laue_group`.
    """
    q, _ = checked_map(q_map, None)
    return _neighbours(q, laue_group(group))


def _neighbours(q: FloatArray, group: LaueGroup) -> tuple[FloatArray, FloatArray]:
    h, w = q.shape[:2]
    planes = planes_of(q)
    # One loop over the whole map also compares the end of a row with the start of the next; the slice drops that.
    right = np.zeros(h * w, q.dtype)
    _shifted(planes, 1, group, right[:-1])
    down = np.empty((max(h - 1, 0), w), q.dtype)
    _shifted(planes, w, group, down.reshape(-1))
    return right.reshape(h, w)[:, :-1], down


def _shifted(planes: FloatArray, shift: int, group: LaueGroup, out: FloatArray) -> None:
    from grainloop.model.crystal import _disorientation_kernels as kernels

    kernels.angles_deg(planes, planes, shift, kernel_kind(group), group.operators, out)


def boundaries_between(
    q_map: ArrayLike,
    group: LaueGroup | str,
    threshold_deg: float = GRAIN_THRESHOLD_DEG,
    valid: ArrayLike | None = None,
) -> tuple[BoolMap, BoolMap]:
    """Whether a boundary lies between a pixel and its right (h, w−1) and lower (h−1, w) neighbour.

    A boundary is a disorientation above `threshold_deg` between two pixels that are both in `valid` (default: all).

    Raises:
        BadOrientation, ShapeMismatch, UnknownPointGroup: see `checked_map` and `laue_group`.
    """
    q, mask = checked_map(q_map, valid)
    right_deg, down_deg = _neighbours(q, laue_group(group))
    right, down = right_deg > threshold_deg, down_deg > threshold_deg
    if mask is not None:
        right &= mask[:, :-1] & mask[:, 1:]
        down &= mask[:-1] & mask[1:]
    return right, down


def boundary_map(
    q_map: ArrayLike,
    group: LaueGroup | str,
    threshold_deg: float = GRAIN_THRESHOLD_DEG,
    valid: ArrayLike | None = None,
) -> BoolMap:
    """(h, w) bool: pixels with a boundary to their right or lower neighbour, as `boundaries_between` defines it."""
    return mark_pixels(*boundaries_between(q_map, group, threshold_deg, valid))


def mark_pixels(right: BoolMap, down: BoolMap) -> BoolMap:
    """(h, w) bool from what lies between pixels: `right` (h, w−1) and `down` (h−1, w) mark the left and upper one."""
    marked = np.zeros((right.shape[0], down.shape[1]), dtype=bool)
    marked[:, :-1] |= right
    marked[:-1] |= down
    return marked
