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
def gather(
    owner: Ints, spacing: Floats, points: Floats, embedding: Floats, offsets: Floats, chord_per_deg: float
) -> tuple[Ints, Bools, Floats]:
    """Candidate slots of every pixel: point index, whether it is new, and the four static features.

    `owner` (h, w) names the nearest point of each pixel, `offsets` (K, 2) the places to look from.
    """
    h, w = owner.shape
    count = offsets.shape[0]
    index = np.empty((count, h, w), np.int32)
    unique = np.empty((count, h, w), np.bool_)
    features = np.zeros((count, 4, h, w), np.float32)
    like = np.zeros((count, count), np.float32)
    scale = 1.0 / (2.0 * (5.0 * chord_per_deg) ** 2)
    for r in range(h):
        for c in range(w):
            s = spacing[r, c]
            total = 0
            for k in range(count):
                rr = min(max(round(r + offsets[k, 0] * s), 0), h - 1)
                cc = min(max(round(c + offsets[k, 1] * s), 0), w - 1)
                i = owner[rr, cc]
                index[k, r, c] = i
                first = True
                for j in range(k):
                    if index[j, r, c] == i:
                        first = False
                        break
                unique[k, r, c] = first
                total += first
                like[k, k] = 1.0
                for j in range(k):
                    both = first and unique[j, r, c]
                    chord2 = _chord2(embedding[i], embedding[index[j, r, c]]) if both else np.float32(0.0)
                    like[k, j] = like[j, k] = np.exp(-chord2 * scale) if both else np.float32(0.0)
            for k in range(count):
                if unique[k, r, c]:
                    dr, dc = points[index[k, r, c], 0] - r, points[index[k, r, c], 1] - c
                    features[k, 0, r, c] = np.sqrt(dr * dr + dc * dc) / s
                    features[k, 1, r, c] = features[k, 0, r, c] - features[0, 0, r, c]
                    features[k, 2, r, c] = like[k, 0]
                    agree = np.float32(0.0)
                    for j in range(count):
                        if unique[j, r, c]:
                            agree += like[k, j]
                    features[k, 3, r, c] = agree / total
    return index, unique, features


@kernel
def right_candidates(index: Ints, unique: Bools, embedding: Floats, truth: Floats, within_chord: float) -> Bools:
    """(K, h, w): candidates whose embedding lies within a chord of the true one (h, w, E)."""
    count, h, w = index.shape
    right = np.zeros((count, h, w), np.bool_)
    for k in range(count):
        for r in range(h):
            for c in range(w):
                if unique[k, r, c]:
                    chord2 = _chord2(embedding[index[k, r, c]], truth[r, c])
                    right[k, r, c] = chord2 < within_chord * within_chord
    return right
