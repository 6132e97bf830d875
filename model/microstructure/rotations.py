"""Rotation builders that specimens need beyond `model.crystal`: rotation vectors, axis onto axis, small scatter.

Quaternions are (w, x, y, z), active, crystal → sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def unit(v: Floats) -> Floats:
    """Vectors (..., n) scaled to length one."""
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def from_vector(vector: Floats) -> Floats:
    """(..., 4) quaternions of (..., 3) rotation vectors in radians."""
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.concatenate([np.cos(angle / 2), vector * (0.5 * np.sinc(angle / (2 * np.pi)))], axis=-1)


def scatter(rng: np.random.Generator, n: int, rms_deg: float) -> Floats:
    """(n, 4) small rotations about random axes with `rms_deg` as root mean square angle."""
    return from_vector(rng.standard_normal((n, 3)) * np.radians(rms_deg) / np.sqrt(3))


def onto(source: Floats, target: Floats) -> Floats:
    """(n, 4) shortest rotations of one unit vector `source` (3,) onto unit vectors `target` (n, 3)."""
    scalar = 1 + target @ source
    x, y, z = source
    axis = target @ np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]).T
    opposite = scalar < 1e-9  # half a turn about any direction across
    if np.any(opposite):
        aside = np.array([1.0, 0, 0]) if abs(x) < 0.9 else np.array([0.0, 1, 0])
        axis[opposite] = np.cross(source, aside)
    return unit(np.concatenate([scalar[:, None], axis], axis=1))
