"""Smooth random fields: cubic B-splines over a coarse lattice of normal random numbers.

They bend boundaries, carry orientation gradients, shade images and place stains. A field is defined in the volume, so
that neighbouring sections of a stack cut the same field. What a field is used for belongs to the callers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_UNIT_POWER = 0.4794
"""Mean over one knot interval of the summed squares of the four cubic B-spline weights: 1 / std² of a 1-D field."""


@dataclass(frozen=True)
class SmoothField:
    """A smooth random vector field with unit variance per component.

    Attributes:
        coefficients: (components, nz, ny, nx) B-spline coefficients.
        knot_px: distance of the knots; details are about twice as large.
        origin_px: (x, y, z) of the first knot.
    """

    coefficients: Floats
    knot_px: float
    origin_px: tuple[float, float, float]

    def section(self, shape: tuple[int, int], depth_px: float = 0.0) -> Floats:
        """(components, h, w) values on the pixel centres of the section at `depth_px`."""
        rows = spline_basis(np.arange(shape[0], dtype=np.float64), self.origin_px[1], self.knot_px)
        columns = spline_basis(np.arange(shape[1], dtype=np.float64), self.origin_px[0], self.knot_px)
        weights = spline_basis(np.array([depth_px]), self.origin_px[2], self.knot_px)[0]
        rows = np.ascontiguousarray(rows[:, : self.coefficients.shape[2]])
        columns = np.ascontiguousarray(columns[:, : self.coefficients.shape[3]].T)
        plane = np.tensordot(weights, self.coefficients[:, : weights.size], axes=(0, 1))
        return rows @ plane @ columns


def smooth_field(
    rng: np.random.Generator,
    shape: tuple[int, int],
    knot_px: float,
    components: int = 1,
    depth_px: float = 0.0,
) -> SmoothField:
    """A field that covers the sections 0 … `depth_px` of a map of `shape`, its knots placed at random."""
    extent = (shape[1] - 1.0, shape[0] - 1.0, depth_px)
    origin = -knot_px * rng.random(3)
    nx, ny, nz = (int((extent[axis] - origin[axis]) / knot_px) + 4 for axis in range(3))
    coefficients = rng.standard_normal((components, nz, ny, nx)) * _UNIT_POWER**-1.5
    return SmoothField(coefficients, knot_px, (float(origin[0]), float(origin[1]), float(origin[2])))


def smooth_image(rng: np.random.Generator, shape: tuple[int, int], knot_px: float, components: int = 1) -> Floats:
    """(components, h, w) smooth unit-variance images, each with its own zero."""
    return smooth_field(rng, shape, knot_px, components).section(shape)


@njit(cache=True)
def spline_basis(position: Any, origin: float, knot: float) -> Any:  # pragma: no cover - compiled
    """(n, k) weights of the k uniform cubic B-splines at n positions; each row sums to one."""
    last = int((position[-1] - origin) / knot)
    basis = np.zeros((position.size, last + 4))
    for i in range(position.size):
        u = (position[i] - origin) / knot
        k = int(u)
        t = u - k
        basis[i, k] = (1 - t) ** 3 / 6
        basis[i, k + 1] = (3 * t**3 - 6 * t**2 + 4) / 6
        basis[i, k + 2] = (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6
        basis[i, k + 3] = t**3 / 6
    return basis
