"""Compiled loops of `readout`: heaviest candidates, disorientations of pairs of seeds, agreement, error, boundaries.

Disorientations are computed by `readout`, once per pair that occurs; the loops look them up in a hash table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import inlined, kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_EMPTY = -1
_MIX = np.int64(0x9E3779B97F4A7C1)
_APART = np.float32(180.0)


class Pairs(NamedTuple):
    """Open-addressing table: `key` holds low · 2³² + high or −1, `angle` the degrees between the two; sizes are 2ⁿ."""

    key: NDArray[np.int64]
    angle: Floats
    used: NDArray[np.int64]


@kernel
def new_pairs(size: int) -> Pairs:
    """An empty table; `size` is a power of 2."""
    return Pairs(np.full(size, _EMPTY, np.int64), np.full(size, np.nan, np.float32), np.zeros(1, np.int64))


@inlined
def _pair(a: Any, b: Any) -> Any:
    return (np.int64(min(a, b)) << 32) + np.int64(max(a, b))


@inlined
def _slot(key: Any, wanted: Any) -> Any:
    """Where a pair is, or where it belongs."""
    last = len(key) - 1
    mixed = (wanted ^ (wanted >> 31)) * _MIX
    at = (mixed >> 24) & last
    while key[at] != wanted and key[at] != _EMPTY:
        at = (at + 1) & last
    return at


@inlined
def _add(pairs: Any, a: Any, b: Any) -> None:
    """Put a pair of different seeds into the table."""
    if a >= 0 and b >= 0 and a != b:
        wanted = _pair(a, b)
        at = _slot(pairs.key, wanted)
        if pairs.key[at] == _EMPTY:
            pairs.key[at] = wanted
            pairs.used[0] += 1


@inlined
def _crowded(pairs: Any) -> Any:
    """More than half full; what one pixel adds still fits."""
    return 2 * pairs.used[0] > len(pairs.key)


@kernel
def enlarged(pairs: Pairs) -> Pairs:
    """The same table with four times the room."""
    larger = new_pairs(4 * len(pairs.key))
    for i in range(len(pairs.key)):
        if pairs.key[i] != _EMPTY:
            to = _slot(larger.key, pairs.key[i])
            larger.key[to], larger.angle[to] = pairs.key[i], pairs.angle[i]
    larger.used[0] = pairs.used[0]
    return larger


@inlined
def _angle(key: Any, angle: Any, a: Any, b: Any) -> Any:
    """Degrees between two seeds by the columns of the table; 180 where one of them is −1."""
    degrees = _APART
    if a >= 0 and b >= 0:
        degrees = angle[_slot(key, _pair(a, b))] if a != b else np.float32(0.0)
    return degrees


@kernel
def heaviest(seed: Ints, weight: Floats, kept_seed: Ints, kept: Floats) -> None:
    """The first candidates (h, w, k) of (h, w, K) by weight, of equals the first."""
    h, w, count = seed.shape
    most = kept.shape[2]
    for r in range(h):
        for c in range(w):
            for k in range(count):
                value = weight[r, c, k]
                if k >= most and value <= kept[r, c, most - 1]:
                    continue
                at = min(k, most - 1)
                while at > 0 and kept[r, c, at - 1] < value:
                    kept[r, c, at], kept_seed[r, c, at] = kept[r, c, at - 1], kept_seed[r, c, at - 1]
                    at -= 1
                kept[r, c, at], kept_seed[r, c, at] = value, seed[r, c, k]


@kernel
def add_within(pairs: Pairs, seed: Ints) -> bool:
    """Add the pairs of candidates of each pixel of (h, w, K); false if the table must be `enlarged` to go on."""
    h, w, count = seed.shape
    for r in range(h):
        for c in range(w):
            for i in range(1, count):
                for j in range(i):
                    _add(pairs, seed[r, c, i], seed[r, c, j])
            if _crowded(pairs):
                return False
    return True


@kernel
def add_between(pairs: Pairs, first: Ints, second: Ints) -> bool:
    """Likewise the pairs of `first` (n,) with each of `second` (n, K)."""
    for x in range(len(first)):
        for k in range(second.shape[1]):
            _add(pairs, first[x], second[x, k])
        if _crowded(pairs):
            return False
    return True


@kernel
def add_neighbours(pairs: Pairs, seed: Ints, weight: Floats, negligible: float) -> bool:
    """Likewise the pairs of candidates of adjacent pixels that together have more than `negligible` probability."""
    h, w, count = seed.shape
    for r in range(h):
        for c in range(w):
            for y, x in ((r + 1, c), (r, c + 1)):
                if y == h or x == w:
                    continue
                for i in range(count):
                    for j in range(count):
                        if weight[r, c, i] * weight[y, x, j] > negligible:
                            _add(pairs, seed[r, c, i], seed[y, x, j])
            if _crowded(pairs):
                return False
    return True


@kernel
def agreed(pairs: Pairs, seed: Ints, weight: Floats, within_deg: float, chosen: Ints) -> None:
    """Write the candidate within an angle of which most weight lies to (h, w); of equals the first."""
    h, w, count = seed.shape
    key, angle = pairs.key, pairs.angle
    support = np.empty(count, np.float32)
    for r in range(h):
        for c in range(w):
            for k in range(count):
                support[k] = weight[r, c, k]
            for i in range(1, count):
                for j in range(i):
                    if _angle(key, angle, seed[r, c, i], seed[r, c, j]) <= within_deg:
                        support[i] += weight[r, c, j]
                        support[j] += weight[r, c, i]
            best = 0
            for k in range(1, count):
                if support[k] > support[best]:
                    best = k
            chosen[r, c] = seed[r, c, best]


@kernel
def angles(pairs: Pairs, first: Ints, second: Ints, out: Floats) -> None:
    """Write the degrees between `first` (n,) and each of `second` (n, K) to (n, K)."""
    key, angle = pairs.key, pairs.angle
    for x in range(len(first)):
        for k in range(second.shape[1]):
            out[x, k] = _angle(key, angle, first[x], second[x, k])


@inlined
def _quantile(table: Any, share: Any) -> Any:
    """Interpolated in a table of equidistant quantiles; ∞ beyond 1."""
    last = len(table) - 1
    if share > 1:
        return np.float32(np.inf)
    at = min(int(share * last), last - 1)
    part = share * last - at
    return table[at] + part * (table[at + 1] - table[at])


@kernel
def bounds(angle: Floats, weight: Floats, unlike: Floats, level: float, out: Floats) -> None:
    """Write the angle that the error stays below with probability `level` to (n,).

    The error is one of the angles (n, K) by weight (n, K), or with what is missing to 1 distributed as `unlike`, a
    table of equidistant quantiles.
    """
    count = angle.shape[1]
    order = np.empty(count, np.int64)
    for x in range(len(out)):
        for k in range(count):
            at = k
            while at > 0 and angle[x, order[at - 1]] > angle[x, k]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = k
        rest = np.float32(level)
        free = max(np.float32(1) - weight[x].sum(), np.float32(1e-6))
        found = _quantile(unlike, rest / free)
        for k in order:
            if found <= angle[x, k]:
                break
            rest -= weight[x, k]
            found = max(angle[x, k], _quantile(unlike, max(rest, np.float32(0)) / free))
        out[x] = min(found, unlike[-1]) if rest > 0 else found


@kernel
def boundaries(pairs: Pairs, seed: Ints, weight: Floats, limits: tuple[float, float, float], out: Floats) -> None:
    """Write the larger probability of a step to the lower and to the right neighbour to (h, w).

    `limits` are the angle of a step in degrees, the joint probability up to which pairs of unlike candidates are taken
    to differ, and the odds of one grain against independent neighbours.
    """
    h, w, count = seed.shape
    within_deg, negligible, shared = limits
    key, angle = pairs.key, pairs.angle
    free = np.empty((h, w), np.float32)
    for r in range(h):
        for c in range(w):
            free[r, c] = 1
            for k in range(count):
                free[r, c] -= weight[r, c, k]
    for r in range(h):
        for c in range(w):
            out[r, c] = 0
            for y, x in ((r + 1, c), (r, c + 1)):
                if y == h or x == w:
                    continue
                same = free[r, c] * free[y, x]
                for i in range(count):
                    for j in range(count):
                        joint = weight[r, c, i] * weight[y, x, j]
                        a, b = seed[r, c, i], seed[y, x, j]
                        if a == b or (joint > negligible and _angle(key, angle, a, b) <= within_deg):
                            same += joint
                same = min(max(same, np.float32(0)), np.float32(1))
                out[r, c] = max(out[r, c], (1 - same) / (1 - same + shared * same))
