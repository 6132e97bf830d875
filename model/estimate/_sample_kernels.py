"""Compiled loops of `samples`: smooth random fields that need no memory, and the choice of a candidate by them."""

from __future__ import annotations

from math import erfc, log, sqrt
from typing import Any

import numpy as np

from grainloop.model.jit import inlined, kernel

_ROOT_HALF = sqrt(0.5)


@inlined
def _scrambled(key: Any) -> Any:
    """SplitMix64 (Steele et al. 2014): a bijection of 64-bit integers that looks random."""
    z = key + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def _normal(key: Any) -> Any:
    """A standard normal number of a key, by the polar form of Box and Muller with two halves of one hash."""
    z = _scrambled(key)
    u = (np.float64(z >> np.uint64(40)) + 0.5) / 16777216.0
    v = np.float64(z & np.uint64(0xFFFFFF)) / 16777216.0
    return np.sqrt(-2.0 * np.log(u)) * np.cos(6.283185307179586 * v)


@inlined
def _field(key: Any, row: Any, column: Any) -> Any:
    """Unit normal field at lattice coordinates: bilinear between independent nodes, scaled to unit variance."""
    r0, c0 = np.floor(row), np.floor(column)
    fr, fc = row - r0, column - c0
    total, square = 0.0, 0.0
    for i in range(2):
        for j in range(2):
            share = (fr if i else 1.0 - fr) * (fc if j else 1.0 - fc)
            node = _scrambled(key + np.uint64(np.int64(r0) + i + 1048576))
            total += share * _normal(node + np.uint64(np.int64(c0) + j + 1048576))
            square += share * share
    return total / np.sqrt(square)


@inlined
def _gumbel(normal: Any) -> Any:
    """The standard Gumbel number at the same quantile as a standard normal one."""
    upper = min(max(0.5 * erfc(normal * _ROOT_HALF), 1e-12), 1.0 - 1e-12)
    return -log(-np.log1p(-upper))


@kernel
def choose(
    weight: Any, group: Any, free: Any, seed: Any, shift: Any, spacing: float, first_row: int, first_column: int
) -> Any:
    """(h, w) slot that wins in one sample; −1 where a grain never hit does.

    The winner of log w_k + g_k is slot k with probability w_k (Gumbel 1954); g is a field per group of candidates, so
    that neighbours choose alike.
    """
    h, w, count = weight.shape
    out = np.empty((h, w), np.int32)
    for r in range(h):
        for c in range(w):
            row = (first_row + r + shift[0]) / spacing
            column = (first_column + c + shift[1]) / spacing
            best, winner = -1e300, -1
            if free[r, c] > 1e-9:
                best = np.log(free[r, c]) + _gumbel(_field(_scrambled(np.uint64(seed)), row, column))
            for k in range(count):
                if group[r, c, k] < 0 or weight[r, c, k] <= 1e-9:
                    continue
                key = _scrambled(np.uint64(seed) + np.uint64(group[r, c, k] + 1) * np.uint64(0xD1342543DE82EF95))
                value = np.log(weight[r, c, k]) + _gumbel(_field(key, row, column))
                if value > best:
                    best, winner = value, k
            out[r, c] = winner
    return out
