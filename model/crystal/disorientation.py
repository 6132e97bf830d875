"""Disorientation angles, the fundamental zone, and the split of an error into c-axis and rotation about c.

The disorientation of a and b is the smallest rotation angle of conj(a)·b·s over the proper rotations s of the group.
Maps and their neighbours are in `neighbours`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.errors import ShapeMismatch, UnsupportedSymmetry
from grainloop.model.crystal.quaternions import FloatArray, c_axis, check_orientations, conjugate, multiply
from grainloop.model.crystal.symmetry import LaueGroup, laue_group

BLOCK = 1 << 16
"""Orientations worked on at a time; as float64 they take 2 MB."""


def disorientation_deg(a: ArrayLike, b: ArrayLike, group: LaueGroup | str) -> FloatArray:
    """Disorientation of `a` (..., 4) and `b` (..., 4) in degrees, broadcast to (...).

    Computed in float64 within 1e-6° of the operator-by-operator result; float32 only if both inputs are.

    Raises:
        BadOrientation, ShapeMismatch, UnknownPointGroup: see `check_orientations` and `laue_group`.
    """
    group = laue_group(group)
    first, second = check_orientations(a), check_orientations(b)
    try:
        shape = np.broadcast_shapes(first.shape, second.shape)
    except ValueError as error:
        raise ShapeMismatch(f"shapes {first.shape} and {second.shape} do not broadcast") from error
    out = np.empty(int(np.prod(shape[:-1])), dtype=np.result_type(first, second))
    flat = [np.broadcast_to(q, shape).reshape(-1, 4) for q in (first, second)]
    for part in blocks(len(out)):
        _angles_deg(flat[0][part], flat[1][part], group, out[part])
    return out.reshape(shape[:-1])


def disorientation_of_pairs_deg(q: ArrayLike, pairs: NDArray[np.integer[Any]], group: LaueGroup | str) -> FloatArray:
    """(P,) disorientation in degrees between the two orientations of `q` (N, 4) that each of `pairs` (P, 2) names.

    The same numbers as `disorientation_deg` of what they name, without a copy of it all.

    Raises:
        BadOrientation, ShapeMismatch, UnknownPointGroup: as `disorientation_deg`.
    """
    group, array = laue_group(group), check_orientations(q)
    out = np.empty(len(pairs), dtype=array.dtype)
    for part in blocks(len(pairs)):
        first, second = pairs[part].T
        _angles_deg(array[first], array[second], group, out[part])
    return out


def blocks(count: int) -> list[slice]:
    """Parts of so many orientations that are worked on one after the other, so that copies of them stay small."""
    return [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]


def _angles_deg(first: FloatArray, second: FloatArray, group: LaueGroup, out: FloatArray) -> None:
    from grainloop.model.crystal import _disorientation_kernels as kernels

    kernels.angles_deg(planes_of(first), planes_of(second), 0, kernel_kind(group), group.operators, out)


def planes_of(q: FloatArray) -> FloatArray:
    """(..., 4) quaternions as contiguous float64 planes (4, n)."""
    return np.ascontiguousarray(q.reshape(-1, 4).T, dtype=np.float64)


def kernel_kind(group: LaueGroup) -> int:
    """Which closed form the compiled loops use: 1 for 6/mmm, 2 for m-3m, 0 for a loop over the operators."""
    return int(group.is_hexagonal) + 2 * int(group.is_cubic)


def reduce_to_fundamental_zone(q: ArrayLike, group: LaueGroup | str) -> FloatArray:
    """The equivalent q·s of each `q` (..., 4) that is nearest to the identity, w ≥ 0.

    On the faces of the zone, where equivalents tie, the first operator wins: compare reduced orientations by
    `disorientation_deg`, not by component.

    Raises:
        BadOrientation, ShapeMismatch, UnknownPointGroup: see `check_orientations` and `laue_group`.
    """
    from grainloop.model.crystal import _disorientation_kernels as kernels

    array = check_orientations(q)
    out = np.empty((array.size // 4, 4), array.dtype)
    kernels.nearest_to_identity(np.ascontiguousarray(array.reshape(-1, 4)), laue_group(group).operators, out)
    return out.reshape(array.shape)


def c_axis_error_deg(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Angle between the c-axes of `a` and `b` (..., 4) as lines, 0 … 90°: the part of an error that PL can see."""
    first, second = c_axis(check_orientations(a)), c_axis(check_orientations(b))
    first, second = np.broadcast_arrays(first, second)
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    along = np.abs(np.einsum("...i,...i->...", first, second))
    return np.degrees(np.arctan2(across, along))


def rotation_about_c_error_deg(a: ArrayLike, b: ArrayLike, group: LaueGroup | str) -> FloatArray:
    """Rotation about c that is left once the c-axes are laid on each other by the shortest arc: invisible to PL.

    Swing-twist split of conj(a)·b: the twist about c, modulo the order of the axis (0 … 30° for 6/mmm).

    Raises:
        UnsupportedSymmetry: c is not unique, or +c and −c differ (only 6/mmm, 4/mmm and -3m qualify).
    """
    group = laue_group(group)
    fold = group.uniaxial_fold
    if fold == 0:
        raise UnsupportedSymmetry(f"rotation about c is defined for 6/mmm, 4/mmm and -3m, not for {group.name}")
    w, x, y, z = np.moveaxis(multiply(conjugate(check_orientations(a)), check_orientations(b)), -1, 0)
    flipped = np.hypot(x, y) > np.hypot(w, z)  # c-axes more than 90° apart: first turn 180° about the two-fold x-axis
    twist = 2 * np.degrees(np.where(flipped, np.arctan2(y, x), np.arctan2(z, w)))
    return np.abs(np.mod(twist + 180 / fold, 360 / fold) - 180 / fold)
