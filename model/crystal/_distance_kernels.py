"""Compiled distance transform of `score`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import kernel


@kernel
def chessboard(mask: NDArray[np.bool_], far: int, out: NDArray[np.integer[Any]]) -> None:
    """Chessboard distance of every pixel to the nearest set one, `far` where none is set (two passes, exact)."""
    h, w = mask.shape
    for r in range(h):
        for c in range(w):
            best = 0 if mask[r, c] else far
            if r > 0:
                for k in range(max(c - 1, 0), min(c + 2, w)):
                    best = min(best, out[r - 1, k] + 1)
            if c > 0:
                best = min(best, out[r, c - 1] + 1)
            out[r, c] = best
    for r in range(h - 1, -1, -1):
        for c in range(w - 1, -1, -1):
            best = out[r, c]
            if r + 1 < h:
                for k in range(max(c - 1, 0), min(c + 2, w)):
                    best = min(best, out[r + 1, k] + 1)
            if c + 1 < w:
                best = min(best, out[r, c + 1] + 1)
            out[r, c] = best
