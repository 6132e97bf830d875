"""Compiled union-find of `grains`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import inlined, kernel

Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]


@inlined
def _root(parent: Ints, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@inlined
def _join(parent: Ints, i: int, j: int) -> None:
    a, b = _root(parent, i), _root(parent, j)
    parent[max(a, b)] = min(a, b)


@kernel
def label(right: Bools, down: Bools, valid: Bools, min_size: int, labels: Ints) -> int:
    """Number the components of `valid` that no boundary cuts into `labels` (h, w), in raster order; return how many."""
    h, w = valid.shape
    parent = np.arange(h * w)
    for r in range(h):
        for c in range(w):
            i = r * w + c
            if not valid[r, c]:
                continue
            if c + 1 < w and valid[r, c + 1] and not right[r, c]:
                _join(parent, i, i + 1)
            if r + 1 < h and valid[r + 1, c] and not down[r, c]:
                _join(parent, i, i + w)
    size = np.zeros(h * w, np.int64)
    for i in range(h * w):
        size[_root(parent, i)] += 1
    number = np.zeros(h * w, np.int32)
    count = 0
    for r in range(h):
        for c in range(w):
            root = _root(parent, r * w + c)
            if not valid[r, c] or size[root] < min_size:
                labels[r, c] = 0
                continue
            if number[root] == 0:
                count += 1
                number[root] = count
            labels[r, c] = number[root]
    return count
