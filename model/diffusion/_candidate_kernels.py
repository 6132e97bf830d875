"""Compiled loops of `candidates` and of the training examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.crystal._jit import inlined, kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


@inlined
def _chord2(a: Any, b: Any) -> Any:
    total = np.float32(0.0)
    for e in range(a.shape[0]):
        d = a[e] - b[e]
        total += d * d
    return total


@kernel
def separation(slots: Ints, table: Floats) -> Floats:
    """(K, h, w): how far the rows of `table` (n, E) at `slots` (h, w, K) lie from the row of slot 0, rms over E."""
    h, w, count = slots.shape
    out = np.zeros((count, h, w), np.float32)
    width = max(1, table.shape[1])
    for r in range(h):
        for c in range(w):
            for k in range(1, count):
                out[k, r, c] = np.sqrt(_chord2(table[slots[r, c, k]], table[slots[r, c, 0]]) / width)
    return out


@kernel
def right_candidates(index: Ints, known: Bools, embedding: Floats, truth: Floats, within_chord: float) -> Bools:
    """(K, h, w): candidates whose embedding lies within a chord of the true one (h, w, E)."""
    count, h, w = index.shape
    right = np.zeros((count, h, w), np.bool_)
    for k in range(count):
        for r in range(h):
            for c in range(w):
                if known[k, r, c]:
                    chord2 = _chord2(embedding[index[k, r, c]], truth[r, c])
                    right[k, r, c] = chord2 < within_chord * within_chord
    return right
