"""Compiled loop of `gate`: how far the state of each pixel lies from each of its candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import kernel

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
BLOCK = 256
"""Pixels whose states are laid out one after the other at a time; planes of a map often lie powers of two apart."""


@kernel
def sums_of_squares(each: Floats, table: Floats, rows: Ints, weight: Floats, weighs: bool, out: Floats) -> None:
    """Σ_c weight · (each − table row)² into `out` (B, K, P).

    `each` and `weight` are (B, C, P), the latter looked at only if it `weighs`, `table` (M, C), `rows` (B, K, P).
    """
    batch, count, pixels = rows.shape
    channels = table.shape[1]
    state, scale = np.empty((BLOCK, channels), each.dtype), np.ones((BLOCK, channels), each.dtype)
    for b in range(batch):
        for start in range(0, pixels, BLOCK):
            width = min(BLOCK, pixels - start)
            for c in range(channels):
                for i in range(width):
                    state[i, c] = each[b, c, start + i]
                    if weighs:
                        scale[i, c] = weight[b, c, start + i]
            for k in range(count):
                for i in range(width):
                    row, total = rows[b, k, start + i], each.dtype.type(0)
                    for c in range(channels):
                        away = state[i, c] - table[row, c]
                        total += scale[i, c] * away * away
                    out[b, k, start + i] = total
