"""The map from EBSD pixels to PL pixels: nominal scale about the common centre plus a smooth displacement.

The displacement is affine + bilinear (8 parameters), optionally with a low-order smooth field on top. Finding it is
the business of `coarse` and `refine`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from grainloop.model.light.checks import check_pairs

Positions = NDArray[np.float64]

BILINEAR = 4
"""Basis functions of the affine + bilinear part: 1, u, v, uv, for each of the two coordinates."""
MAX_ORDER = 3


@dataclass(frozen=True, eq=False)
class Warp:
    """Where each EBSD pixel lies in the PL image.

    PL position = centre of the PL image + scale · (p − centre of the grid + D(p)), all in (row, column).

    Attributes:
        grid_shape: rows and columns of the EBSD grid.
        light_shape: rows and columns of the PL image.
        scale: PL pixels per EBSD pixel by the declared sizes.
        coefficients: (2, b) displacement D in EBSD pixels per basis function, first of rows, then of columns.
    """

    grid_shape: tuple[int, int]
    light_shape: tuple[int, int]
    scale: float
    coefficients: NDArray[np.float64]

    @classmethod
    def nominal(cls, grid_shape: tuple[int, int], light_shape: tuple[int, int], scale: float) -> Warp:
        """No displacement: both fields share their centre."""
        return cls(grid_shape, light_shape, scale, np.zeros((2, BILINEAR)))

    def __call__(self, points_px: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
        """(n, 2) PL positions (row, column) of (n, 2) EBSD positions."""
        return self.at(points_px, self.basis(points_px))

    def at(self, points_px: NDArray[np.floating] | NDArray[np.integer], functions: NDArray[np.float64]) -> Positions:
        """The same, with the basis functions (n, b) at the points already known."""
        points, shift = np.asarray(points_px, dtype=np.float64), functions @ self.coefficients.T
        return centre(self.light_shape) + self.scale * (points - centre(self.grid_shape) + shift)

    def basis(self, points_px: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
        """(n, b) basis functions at EBSD positions."""
        return basis(points_px, self.grid_shape, self.coefficients.shape[1])

    def with_basis(self, size: int) -> Warp:
        """The same map with `size` basis functions: padded with zeros or cut."""
        kept = min(size, self.coefficients.shape[1])
        padded = np.zeros((2, size))
        padded[:, :kept] = self.coefficients[:, :kept]
        return replace(self, coefficients=padded)

    def moved(self, step: NDArray[np.float64]) -> Warp:
        """The map after adding `step` (2, b) to the coefficients."""
        return replace(self, coefficients=self.coefficients + step)

    @property
    def stretch(self) -> float:
        """By how much the sizes of the map and of the PL image disagree along any direction, beyond those declared.

        The largest factor, up or down, of the affine part, plus the twist at the border; a turn is no stretch.
        """
        half = np.maximum(centre(self.grid_shape), 0.5)
        factors = np.linalg.svd(np.eye(2) + self.coefficients[:, 1:3] / half, compute_uv=False)
        twist = float(np.abs(self.coefficients[:, 3] / half).max())
        return float(max(factors.max(), 1 / max(factors.min(), 1e-9))) - 1 + twist

    def displacement_px(self) -> NDArray[np.float64]:
        """(h, w, 2) displacement D of every pixel of the grid, in EBSD pixels."""
        grid = grid_positions(self.grid_shape)
        return (self.basis(grid) @ self.coefficients.T).reshape(*self.grid_shape, 2)


def centre(shape: tuple[int, int]) -> NDArray[np.float64]:
    """(row, column) of the centre of an image."""
    return (np.asarray(shape, dtype=np.float64) - 1) / 2


def grid_positions(shape: tuple[int, int]) -> NDArray[np.float64]:
    """(h·w, 2) row and column of every pixel."""
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float64)


def normalised(points_px: NDArray[np.floating] | NDArray[np.integer], shape: tuple[int, int]) -> NDArray[np.float64]:
    """(n, 2) positions scaled so that the image spans −1 … 1."""
    half = np.maximum(centre(shape), 0.5)
    return (np.asarray(points_px, dtype=np.float64) - centre(shape)) / half


def basis(
    points_px: NDArray[np.floating] | NDArray[np.integer], shape: tuple[int, int], size: int
) -> NDArray[np.float64]:
    """(n, size) displacement basis: 1, u, v, uv, then products of cosines by rising order."""
    u, v = normalised(points_px, shape).T
    columns = [np.ones_like(u), u, v, u * v]
    if size > BILINEAR:
        x, y = np.pi * (u + 1) / 2, np.pi * (v + 1) / 2
        columns += [np.cos(i * x) * np.cos(j * y) for i, j in smooth_orders()]
    return np.stack(columns[:size], axis=1)


def smooth_orders() -> list[tuple[int, int]]:
    """Cosine orders of the smooth field; those that the bilinear part nearly holds are left out."""
    orders = [(i, j) for i in range(MAX_ORDER + 1) for j in range(MAX_ORDER + 1) if max(i, j) > 1]
    return sorted(orders, key=lambda ij: (ij[0] ** 2 + ij[1] ** 2, ij))


def fit_affine(pairs_grid: NDArray[np.floating], pairs_light: NDArray[np.floating], start: Warp) -> Warp:
    """The affine warp that takes homologous EBSD positions to their PL positions, by least squares.

    Args:
        pairs_grid: (n, 2) EBSD positions (row, column), n ≥ 3.
        pairs_light: (n, 2) the same places in the PL image.
        start: gives shapes and scale.

    Raises:
        UnfitPoints: fewer than three pairs, all on one line, or not numbers.
    """
    check_pairs(np.asarray(pairs_grid), np.asarray(pairs_light))
    nominal = Warp.nominal(start.grid_shape, start.light_shape, start.scale)
    wanted = (np.asarray(pairs_light, dtype=np.float64) - nominal(pairs_grid)) / start.scale
    solution = np.linalg.lstsq(basis(pairs_grid, start.grid_shape, 3), wanted, rcond=None)[0]
    return replace(nominal, coefficients=np.vstack([solution, np.zeros((1, 2))]).T)
