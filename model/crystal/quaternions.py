"""Unit quaternions (w, x, y, z) as arrays (..., 4): active rotations that turn crystal vectors into sample vectors.

Bunge angles (φ1, Φ, φ2) stand for R = Rz(φ1) Rx(Φ) Rz(φ2), crystal → sample. orix keeps the inverse, sample → crystal:
``orix.Orientation(conjugate(q))`` is the same orientation. Knows no symmetry; see `disorientation`.

Functions keep float32 and compute everything else in float64. The algebra does not check its input, so that it can be
used on intermediate values; `check_orientations` does, and every function of this package that takes maps calls it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.errors import BadOrientation, ShapeMismatch

FloatArray = NDArray[np.floating[Any]]

UNIT_TOLERANCE = 1e-3


def as_floats(values: ArrayLike, last_axis: int) -> FloatArray:
    """`values` as float32 (kept) or float64 (all else), its last axis checked.

    Raises:
        ShapeMismatch: the last axis does not have `last_axis` entries.
    """
    array = np.asarray(values)
    if array.dtype != np.float32:
        array = array.astype(np.float64, copy=False)
    if array.ndim == 0 or array.shape[-1] != last_axis:
        raise ShapeMismatch(f"last axis of {last_axis} expected, got shape {array.shape}")
    return array


def check_orientations(q: ArrayLike, tolerance: float = UNIT_TOLERANCE) -> FloatArray:
    """`q` (..., 4) as a float array, after a check that costs 1 ms for 512×512 quaternions.

    Raises:
        ShapeMismatch: the last axis is not 4.
        BadOrientation: a quaternion is NaN or infinite, or its length differs from 1 by more than `tolerance`.
    """
    array = as_floats(q, 4)
    if array.size == 0:
        return array
    squared = np.einsum("...i,...i->...", array, array)
    lowest, highest = float(squared.min()), float(squared.max())
    if not ((1 - tolerance) ** 2 <= lowest and highest <= (1 + tolerance) ** 2):
        raise BadOrientation(_first_fault(squared, tolerance))
    return array


def _first_fault(squared: FloatArray, tolerance: float) -> str:
    with np.errstate(invalid="ignore"):
        length = np.atleast_1d(np.sqrt(squared))
        faulty = ~(np.abs(length - 1) <= tolerance)
    where = tuple(int(i) for i in np.argwhere(faulty)[0])
    return (
        f"{int(faulty.sum())} quaternions are not of unit length, the first at {where} with length {length[where]:.6g}"
    )


def normalise(q: ArrayLike) -> FloatArray:
    """`q` (..., 4) scaled to unit length.

    Raises:
        BadOrientation: a quaternion is zero or not finite.
    """
    array = as_floats(q, 4)
    length = np.linalg.norm(array, axis=-1, keepdims=True)
    if not np.all((length > 0) & np.isfinite(length)):
        raise BadOrientation("a quaternion of zero or infinite length has no direction to keep")
    return array / length


def multiply(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Hamilton product a·b: the rotation b, then a. Broadcasts."""
    a, b = as_floats(a, 4), as_floats(b, 4)
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def conjugate(q: ArrayLike) -> FloatArray:
    """The inverse rotation, sample → crystal."""
    array = as_floats(q, 4).copy()
    array[..., 1:] *= -1
    return array


def rotate_vectors(q: ArrayLike, v: ArrayLike) -> FloatArray:
    """Vectors `v` (..., 3) turned by `q` (..., 4): crystal coordinates in, sample coordinates out. Broadcasts."""
    array, vector = as_floats(q, 4), as_floats(v, 3)
    scalar, axis = array[..., :1], array[..., 1:]
    twice = 2 * np.cross(axis, vector)
    return vector + scalar * twice + np.cross(axis, twice)


def quaternion_from_axis_angle(axis: ArrayLike, angle_rad: ArrayLike) -> FloatArray:
    """Right-handed turn by `angle_rad` (...) about `axis` (..., 3), which need not be of unit length."""
    direction = as_floats(axis, 3)
    half = np.asarray(angle_rad, dtype=direction.dtype)[..., None] / 2
    unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    half, unit = np.broadcast_arrays(half, unit)
    return np.concatenate([np.cos(half[..., :1]), np.sin(half) * unit], axis=-1)


def quaternion_from_euler(euler_rad: ArrayLike) -> FloatArray:
    """Bunge angles (..., 3) = (φ1, Φ, φ2) in rad as crystal → sample quaternions, w ≥ 0.

    R = Rz(φ1) Rx(Φ) Rz(φ2), so c = R ẑ = (sin Φ sin φ1, −sin Φ cos φ1, cos Φ).
    """
    angles = as_floats(euler_rad, 3)
    phi1, half_tilt, phi2 = angles[..., 0], angles[..., 1] / 2, angles[..., 2]
    total, difference = (phi1 + phi2) / 2, (phi1 - phi2) / 2
    cos_tilt, sin_tilt = np.cos(half_tilt), np.sin(half_tilt)
    q = np.stack(
        [
            cos_tilt * np.cos(total),
            sin_tilt * np.cos(difference),
            sin_tilt * np.sin(difference),
            cos_tilt * np.sin(total),
        ],
        axis=-1,
    )
    return np.where(q[..., :1] < 0, -q, q)


def euler_from_quaternion(q: ArrayLike) -> FloatArray:
    """Bunge angles (..., 3) in rad, φ1 and φ2 in [0, 2π), Φ in [0, π]; φ2 = 0 where only φ1 ± φ2 is defined."""
    w, x, y, z = np.moveaxis(as_floats(q, 4), -1, 0)
    along, across = np.hypot(w, z), np.hypot(x, y)
    total, difference = np.arctan2(z, w), np.arctan2(y, x)
    degenerate = np.minimum(along, across) <= 4 * np.finfo(along.dtype).eps
    lone = np.where(across < along, 2 * total, 2 * difference)
    phi1 = np.where(degenerate, lone, total + difference)
    phi2 = np.where(degenerate, 0, total - difference)
    turn = 2 * np.pi
    wrapped = [np.where(np.mod(angle, turn) >= turn, 0, np.mod(angle, turn)) for angle in (phi1, phi2)]
    return np.stack([wrapped[0], 2 * np.arctan2(across, along), wrapped[1]], axis=-1).astype(w.dtype, copy=False)


def matrix_from_quaternion(q: ArrayLike) -> FloatArray:
    """Rotation matrices (..., 3, 3); their columns are the crystal axes in sample coordinates."""
    array = as_floats(q, 4)
    return np.stack([rotate_vectors(array, axis) for axis in np.eye(3, dtype=array.dtype)], axis=-1)


def random_quaternions(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """`n` rotations uniform on SO(3), (n, 4) float64: normalised Gaussian 4-vectors."""
    q = rng.standard_normal((n, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def c_axis(q: ArrayLike) -> FloatArray:
    """The crystal z-axis in the sample frame, (..., 3)."""
    w, x, y, z = np.moveaxis(as_floats(q, 4), -1, 0)
    return np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), w * w - x * x - y * y + z * z], axis=-1)


def tilt_deg(q: ArrayLike) -> FloatArray:
    """Angle between the c-axis (an axis, not an arrow) and the section normal, 0 … 90°."""
    c = c_axis(q)
    return np.degrees(np.arctan2(np.hypot(c[..., 0], c[..., 1]), np.abs(c[..., 2])))


def azimuth_deg(q: ArrayLike) -> FloatArray:
    """Direction of the c-axis in the section plane, from x towards y, 0 ≤ φ < 180°; 0 where c is along the normal."""
    c = c_axis(q)
    angle = np.mod(np.degrees(np.arctan2(c[..., 1], c[..., 0])), 180)
    return np.where(angle >= 180, 0, angle).astype(c.dtype, copy=False)
