"""Smooth random fields: cubic B-splines over a coarse lattice of normal random numbers.

They bend boundaries, carry orientation gradients, shade images and place stains. A field is defined in the volume, so
that neighbouring sections of a stack cut the same field. What a field is used for belongs to the callers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import cached

Floats = NDArray[np.float32]

_MEAN_POWER = 0.4794
"""Mean over a knot interval of the summed squares of the four cubic B-spline weights: the variance of a 1-D field."""


@dataclass(frozen=True)
class SmoothField:
    """A smooth random vector field with unit variance per component.

    Attributes:
        coefficients: (components, nz, ny, nx) B-spline coefficients; nz = 1 where the field does not vary with depth.
        knot_px: distance of the knots; details are about twice as large.
        origin_px: (x, y, z) of the first knot.
    """

    coefficients: Floats
    knot_px: float
    origin_px: tuple[float, float, float]

    def section(self, shape: tuple[int, int], depth_px: float = 0.0) -> Floats:
        """(components, h, w) values on the pixel centres of the section at `depth_px`."""
        x, y, z = (-origin / self.knot_px for origin in self.origin_px)
        return _evaluate(self.coefficients, 1 / self.knot_px, x, y, z + depth_px / self.knot_px, *shape)


def smooth_field(
    rng: np.random.Generator,
    shape: tuple[int, int],
    knot_px: float,
    components: int = 1,
    depth_px: float = 0.0,
) -> SmoothField:
    """A field that covers the sections 0 … `depth_px` of a map of `shape`, its knots placed at random."""
    x, y, z = (float(offset) for offset in -knot_px * rng.random(3))
    nx, ny = int((shape[1] - 1 - x) / knot_px) + 4, int((shape[0] - 1 - y) / knot_px) + 4
    nz = int((depth_px - z) / knot_px) + 4 if depth_px else 1
    coefficients = rng.standard_normal((components, nz, ny, nx), dtype=np.float32)
    coefficients *= np.float32(_MEAN_POWER ** (-1.5 if nz > 1 else -1.0))
    return SmoothField(coefficients, knot_px, (x, y, z))


def smooth_image(rng: np.random.Generator, shape: tuple[int, int], knot_px: float, components: int = 1) -> Floats:
    """(components, h, w) smooth unit-variance images."""
    return smooth_field(rng, shape, knot_px, components).section(shape)


@cached
def _evaluate(
    coefficients: Any, density: float, x0: float, y0: float, z: float, h: int, w: int
) -> Any:  # pragma: no cover - compiled
    """Contract depth, then rows, then columns; positions are in knots, pixels `density` knots apart."""
    n, nz, ny, nx = coefficients.shape
    level = int(z) if nz > 1 else 0
    depth = _weights(z - int(z))
    columns = np.empty((w, 4), np.float32)
    first = np.empty(w, np.int32)
    for j in range(w):
        x = x0 + j * density
        first[j] = int(x)
        columns[j] = _weights(x - int(x))
    out = np.empty((n, h, w), np.float32)
    row = np.empty(nx, np.float32)
    for c in range(n):
        plane = coefficients[c, 0]
        if nz > 1:
            plane = np.zeros((ny, nx), np.float32)
            for k in range(4):
                plane += depth[k] * coefficients[c, level + k]
        for i in range(h):
            y = y0 + i * density
            top = int(y)
            weight = _weights(y - top)
            for j in range(nx):
                row[j] = (
                    weight[0] * plane[top, j]
                    + weight[1] * plane[top + 1, j]
                    + weight[2] * plane[top + 2, j]
                    + weight[3] * plane[top + 3, j]
                )
            for j in range(w):
                k = first[j]
                out[c, i, j] = (
                    columns[j, 0] * row[k]
                    + columns[j, 1] * row[k + 1]
                    + columns[j, 2] * row[k + 2]
                    + columns[j, 3] * row[k + 3]
                )
    return out


@cached
def _weights(t: float) -> Any:  # pragma: no cover - compiled
    """The four uniform cubic B-splines at the fraction t of a knot interval; they sum to one."""
    weight = np.empty(4, np.float32)
    weight[0] = (1 - t) ** 3 / 6
    weight[1] = (3 * t**3 - 6 * t**2 + 4) / 6
    weight[2] = (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6
    weight[3] = t**3 / 6
    return weight
