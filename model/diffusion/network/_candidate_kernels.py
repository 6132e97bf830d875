"""Compiled loops of `candidates` and of the training examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import inlined, kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
BENT_DEG = np.float32(5)
"""Unit of bending: a pixel that is off by more counts as wrong."""


@inlined
def _chord2(a: Any, b: Any) -> Any:
    total = np.float32(0.0)
    for e in range(a.shape[0]):
        d = a[e] - b[e]
        total += d * d
    return total


@inlined
def _separation(table: Any, i: Any, j: Any) -> Any:
    """How far rows i and j of (n, E) lie from each other, rms over E."""
    return np.sqrt(_chord2(table[i], table[j]) / max(1, table.shape[1]))


@kernel
def describe(
    corner: tuple[int, int],
    rows: tuple[int, int],
    seed: Ints,
    distance: Floats,
    spacing: Floats,
    weighed: tuple[Floats, Floats],
    of_seed: tuple[Floats, Floats],
    tables: tuple[Floats, Floats],
    index: Ints,
    known: Bools,
    features: Floats,
) -> None:
    """Write slots, whether they are known and their features for `rows` of the window that begins at `corner`.

    `seed` and `distance` are (H, W, K) arrays of the section, `weighed` its log-probabilities (H, W, K + 1) before and
    after smoothing. `of_seed` are the size of its group and its bending (n,), `tables` its embedding (n, E) and its PL
    (n, L). Written are `index` and `known` (K, h, w) and `features` (K, F, h, w); those of an unknown slot are 0.
    """
    (top, left), (before, after), (size, bending) = corner, weighed, of_seed
    count, _, w = index.shape
    for r in range(rows[0], rows[1]):
        y = top + r
        for k in range(count):
            for c in range(w):
                x = left + c
                s, first = seed[y, x, k], seed[y, x, 0]
                known[k, r, c] = s >= 0
                index[k, r, c] = max(s, 0)
                if s < 0:
                    features[k, :, r, c] = 0
                    continue
                features[k, 0, r, c] = distance[y, x, k] / spacing[y, x]
                features[k, 1, r, c] = (distance[y, x, k] - distance[y, x, 0]) / spacing[y, x]
                features[k, 2, r, c] = _separation(tables[0], s, first)
                features[k, 3, r, c] = _separation(tables[1], s, first)
                features[k, 4, r, c] = size[s] / 3
                features[k, 5, r, c] = before[y, x, k] / 4
                features[k, 6, r, c] = after[y, x, k] / 4
                features[k, 7, r, c] = min(np.float32(3), bending[s] * distance[y, x, k] / BENT_DEG)


@kernel
def candidate_chords(index: Ints, known: Bools, embedding: Floats, truth: Floats) -> Floats:
    """(K, h, w): distance of each candidate's embedding from the true one (h, w, E); infinite for unknown slots."""
    count, h, w = index.shape
    apart = np.full((count, h, w), np.inf, np.float32)
    for k in range(count):
        for r in range(h):
            for c in range(w):
                if known[k, r, c]:
                    apart[k, r, c] = np.sqrt(_chord2(embedding[index[k, r, c]], truth[r, c]))
    return apart
