"""Slow trends of a PL image: a cubic over the field, and steps between stitched tiles.

The basis, and its plain fit to an image. What the measured points say of trends is fitted by `calibrate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainloop.model.light.warp import grid_positions, normalised

TREND_TERMS = 9
DETREND_POINTS = 20_000


@dataclass(frozen=True, eq=False)
class Shading:
    """Zero-mean basis of slow trends over a PL image.

    Attributes:
        light_shape: rows and columns of the PL image.
        tiles: (h, w) int labels 0 … t − 1 of stitched tiles, or nothing.
    """

    light_shape: tuple[int, int]
    tiles: NDArray[np.int32] | None = None

    @property
    def n_tiles(self) -> int:
        """Number of tiles; 0 where the image is not stitched."""
        return 0 if self.tiles is None else int(self.tiles.max()) + 1

    def trend(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, 9) polynomial terms at (n, 2) PL positions."""
        return cubic(np.clip(np.nan_to_num(normalised(positions, self.light_shape)), -1.2, 1.2))

    def steps(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, t) indicator of the tile at (n, 2) PL positions; no column where there are no tiles."""
        if self.tiles is None:
            return np.empty((len(positions), 0))
        index = np.rint(np.nan_to_num(positions)).astype(int)
        rows, columns = (np.clip(index[:, k], 0, self.light_shape[k] - 1) for k in (0, 1))
        return np.eye(self.n_tiles)[self.tiles[rows, columns]]


def cubic(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 9) terms of a cubic surface without its constant, nearly orthogonal over (n, 2) positions in −1 … 1."""
    x, y = positions.T
    square_x, square_y = x * x - 1 / 3, y * y - 1 / 3
    third = [x * (x * x - 0.6), y * (y * y - 0.6), square_x * y, x * square_y]
    return np.stack([x, y, x * y, square_x, square_y, *third], axis=1)


def detrended(images: NDArray[np.floating], tiles: NDArray[np.int32] | None = None) -> NDArray[np.float64]:
    """(c, h, w) channels less their cubic trend, fitted to the pixels with the loss of least absolute values.

    Uneven light on a bright background would otherwise drown the contrast of the grains. Grains that follow the trend
    lose some contrast with it; the trend terms of the calibration give it back. A stitched mosaic repeats the shading
    of the microscope in every tile: there the trend is that of the tile, with a level of its own for each.
    """
    shape = (images.shape[1], images.shape[2])
    terms = _tile_terms(tiles) if tiles is not None else _field_terms(shape)
    every = max(1, int(np.sqrt(shape[0] * shape[1] / DETREND_POINTS)))
    some = terms.reshape(*shape, -1)[::every, ::every].reshape(-1, terms.shape[1])
    flat = np.empty(images.shape)
    for channel, target in zip(images, flat, strict=True):
        values = channel[::every, ::every].ravel().astype(np.float64)
        seen = np.isfinite(values)
        target[:] = channel - (terms @ _least_absolute(some[seen], values[seen])).reshape(shape)
    return flat


def tile_positions(tiles: NDArray[np.int32]) -> NDArray[np.float64]:
    """(h, w, 2) row and column of every pixel within its tile, −1 … 1 over a whole tile.

    Tiles are rectangles of one size; those that the edge of the mosaic cuts keep their inner edges.
    """
    boxes = [box for box in ndimage.find_objects(tiles + 1) if box is not None]
    size = np.max([[side.stop - side.start for side in box] for box in boxes], axis=0)
    position = np.zeros((*tiles.shape, 2))
    for box in boxes:
        for axis, side in enumerate(box):
            start = side.stop - size[axis] if side.start == 0 else side.start
            scaled = (np.arange(side.start, side.stop) - start - (size[axis] - 1) / 2) / max((size[axis] - 1) / 2, 0.5)
            position[(*box, axis)] = np.clip(scaled, -1, 1).reshape((-1, 1) if axis == 0 else (1, -1))
    return position


def _tile_terms(tiles: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.hstack([np.eye(int(tiles.max()) + 1)[tiles.ravel()], cubic(tile_positions(tiles).reshape(-1, 2))])


def _field_terms(shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.hstack([np.ones((shape[0] * shape[1], 1)), Shading(shape).trend(grid_positions(shape))])


def _least_absolute(basis: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients by a few iteratively reweighted least squares; 0 where there are no values."""
    solution = np.zeros(basis.shape[1])
    if len(values) == 0:
        return solution
    weight, floor = np.ones(len(values)), 0.1 * float(np.std(values)) + 1e-12
    for _ in range(5):
        weighted = basis * weight[:, None]
        normal = weighted.T @ basis
        normal += 1e-9 * np.trace(normal) * np.eye(len(solution))
        solution = np.asarray(np.linalg.solve(normal, weighted.T @ values), dtype=np.float64)
        weight = 1 / np.maximum(np.abs(values - basis @ solution), floor)
        weight /= weight.max()
    return solution
