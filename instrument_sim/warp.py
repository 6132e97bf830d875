"""How the frame of the PL camera lies on the scan grid: affine and bilinear misregistration with a known truth.

Convention: the PL image at position w(p) shows the specimen at scan-grid position p. Positions are (row, column) in
pixels, pixel centres at whole numbers. Estimating w is the business of the reconstruction, which never sees this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Warp:
    """Map w from scan-grid to PL positions.

    Attributes:
        shape_px: (h, w) of the scan grid.
        coefficients: (2, 4) displacement in scan pixels of (row, column) for the terms 1, v, u, uv, where v (rows) and
            u (columns) run from −1 to 1 over the grid.
        ratio: PL pixels per scan pixel.
    """

    shape_px: tuple[int, int]
    coefficients: Reals
    ratio: float = 1.0

    @property
    def light_shape_px(self) -> tuple[int, int]:
        """(h, w) of a PL frame that covers the scan grid."""
        h, w = (max(1, round(n * self.ratio)) for n in self.shape_px)
        return h, w

    def displacement(self, position_px: ArrayLike) -> Reals:
        """(..., 2) misregistration in scan pixels at scan positions (..., 2)."""
        return self._terms(np.asarray(position_px, dtype=np.float64)) @ self.coefficients.T

    def __call__(self, position_px: ArrayLike) -> Reals:
        """(..., 2) PL positions of scan positions (..., 2)."""
        position = np.asarray(position_px, dtype=np.float64)
        return (position + self.displacement(position) + 0.5) * self.ratio - 0.5

    def field(self) -> Reals:
        """(h, w, 2) displacement at every scan pixel, in scan pixels."""
        return self.displacement(pixel_positions(self.shape_px))

    @property
    def rms_px(self) -> float:
        """Root mean square length of the displacement over the grid, in scan pixels."""
        return float(np.sqrt((self.field() ** 2).sum(axis=-1).mean()))

    def inverse(self, light_px: ArrayLike) -> Reals:
        """(..., 2) scan positions seen at PL positions (..., 2), by Newton's method."""
        target = (np.asarray(light_px, dtype=np.float64) + 0.5) / self.ratio - 0.5
        position = target.copy()
        for _ in range(8):
            position = position - self._solve(position, position + self.displacement(position) - target)
        return position

    def _half_extent(self) -> Reals:
        return np.maximum((np.array(self.shape_px, dtype=np.float64) - 1) / 2, 0.5)

    def _terms(self, position: Reals) -> Reals:
        half = self._half_extent()
        v, u = np.moveaxis(position / half - 1, -1, 0)
        return np.stack([np.ones_like(v), v, u, u * v], axis=-1)

    def _solve(self, position: Reals, residual: Reals) -> Reals:
        """J⁻¹ residual with the Jacobian J of p + displacement(p)."""
        half = self._half_extent()
        v, u = np.moveaxis(position / half - 1, -1, 0)
        (_, a_v, a_u, a_uv), (_, b_v, b_u, b_uv) = self.coefficients
        rr, rc = 1 + (a_v + a_uv * u) / half[0], (a_u + a_uv * v) / half[1]
        cr, cc = (b_v + b_uv * u) / half[0], 1 + (b_u + b_uv * v) / half[1]
        row, col = np.moveaxis(residual, -1, 0)
        determinant = rr * cc - rc * cr
        return np.stack([(cc * row - rc * col) / determinant, (rr * col - cr * row) / determinant], axis=-1)


def pixel_positions(shape_px: tuple[int, int]) -> Reals:
    """(h, w, 2) positions (row, column) of all pixels of a grid."""
    return np.stack(np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape_px), indexing="ij"), axis=-1)


def aligned(shape_px: tuple[int, int], ratio: float = 1.0) -> Warp:
    """A PL frame without misregistration."""
    return Warp(shape_px, np.zeros((2, 4)), ratio)


def misregistration(
    rng: np.random.Generator, shape_px: tuple[int, int], rms_px: float, *, bilinear: bool = True, ratio: float = 1.0
) -> Warp:
    """A random affine (and bilinear) warp whose displacement over the grid has exactly this rms length."""
    spread = np.array([1.0, 0.8, 0.8, 0.4 if bilinear else 0.0])
    drawn = Warp(shape_px, rng.normal(size=(2, 4)) * spread, ratio)
    return Warp(shape_px, drawn.coefficients * (rms_px / drawn.rms_px), ratio)


def similarity(
    shape_px: tuple[int, int], shift_px: tuple[float, float], rotation_deg: float, scale: float, ratio: float = 1.0
) -> Warp:
    """Shift (rows, columns), rotation and scaling about the centre of the grid: the gross part of a real mismatch."""
    angle = np.deg2rad(rotation_deg)
    linear = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) - np.eye(2)
    half = np.maximum((np.array(shape_px, dtype=np.float64) - 1) / 2, 0.5)
    coefficients = np.zeros((2, 4))
    coefficients[:, 0] = shift_px
    coefficients[:, 1:3] = linear * half
    return Warp(shape_px, coefficients, ratio)
