"""Slow trends of a PL image: a low-order polynomial over the field, and steps between stitched tiles.

The basis only; its coefficients are fitted by `calibrate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.light.warp import normalised

TREND_TERMS = 5


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
        """(n, 5) polynomial terms at (n, 2) PL positions."""
        x, y = np.clip(np.nan_to_num(normalised(positions, self.light_shape)), -1.2, 1.2).T
        return np.stack([x, y, x * y, x * x - 1 / 3, y * y - 1 / 3], axis=1)

    def steps(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, t) indicator of the tile at (n, 2) PL positions; no column where there are no tiles."""
        if self.tiles is None:
            return np.empty((len(positions), 0))
        index = np.rint(np.nan_to_num(positions)).astype(int)
        rows, columns = (np.clip(index[:, k], 0, self.light_shape[k] - 1) for k in (0, 1))
        return np.eye(self.n_tiles)[self.tiles[rows, columns]]
