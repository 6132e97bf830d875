"""Compiled search for the nearest seed of each group near a pixel, exact and single-threaded.

Seeds lie in square buckets. What a tile of pixels may need is looked up once: if R is the distance of the n-th nearest
seed from its centre, the n nearest of every pixel lie within R plus the diameter of the tile. Of seeds equally far away
the one with the lower number is nearer.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import inlined, kernel

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]

_NUMBER = np.int64(0xFFFFFFFF)


class Buckets(NamedTuple):
    """Seeds sorted by bucket: those of bucket (i, j) are `start[i · across + j]` up to the next `start`.

    `seed` holds their numbers, `side` is in pixels.
    """

    side: int
    down: int
    across: int
    start: Longs
    seed: Ints
    row: Ints
    column: Ints
    group: Ints


class Desk(NamedTuple):
    """Where a search works: seeds picked for a tile, sorted by group, and what it computes of them."""

    pick: Longs
    key: Longs
    local: Ints
    bound: Longs
    best: Longs
    seed: Longs
    row: Longs
    column: Longs


@kernel
def buckets(position: Ints, group: Ints, rows: int, columns: int, side: int) -> Buckets:
    """Seeds at (N, 2) `position` with (N,) `group` labels from 0, in buckets of `side` px."""
    down, across = (rows + side - 1) // side, (columns + side - 1) // side
    count = len(position)
    start, free = np.zeros(down * across + 1, np.int64), np.empty(down * across, np.int64)
    seed, row = np.empty(count, np.int32), np.empty(count, np.int32)
    column, label = np.empty(count, np.int32), np.empty(count, np.int32)
    for i in range(count):
        start[(position[i, 0] // side) * across + position[i, 1] // side + 1] += 1
    for c in range(down * across):
        free[c] = start[c]
        start[c + 1] += start[c]
    for i in range(count):
        c = (position[i, 0] // side) * across + position[i, 1] // side
        to = free[c]
        free[c] += 1
        seed[to], row[to], column[to], label[to] = i, position[i, 0], position[i, 1], group[i]
    return Buckets(side, down, across, start, seed, row, column, label)


@inlined
def _largest(values: Any, count: Any) -> Any:
    """Of the first `count`; quicker to compile than `max` of an array."""
    top = values[0]
    for k in range(1, count):
        top = max(top, values[k])
    return top


@kernel
def _desk(grid: Buckets, groups: int) -> Desk:
    count = len(grid.seed)
    return Desk(
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        np.full(_largest(grid.group, count) + 1, -1, np.int32),
        np.empty(count + 2, np.int64),
        np.empty(groups, np.int64),
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        np.empty(count, np.int64),
    )


@inlined
def _clip(value: Any, limit: Any) -> Any:
    return min(max(value, 0), limit)


@kernel
def _collect(grid: Buckets, box: tuple[int, int, int, int], pick: Longs) -> int:
    """Write the seeds of the buckets from `box` (top, left) to (bottom, right) to `pick`, return their number."""
    count = 0
    for i in range(box[0], box[2] + 1):
        for s in range(grid.start[i * grid.across + box[1]], grid.start[i * grid.across + box[3] + 1]):
            pick[count] = s
            count += 1
    return count


@kernel
def _around(grid: Buckets, y2: int, x2: int, near: int, desk: Desk) -> int:
    """Seeds of the smallest square of buckets around (y2, x2) half pixels that holds `near`, picked; their number."""
    i, j = y2 // (2 * grid.side), x2 // (2 * grid.side)
    reach = 0
    while True:
        top, bottom = _clip(i - reach, grid.down - 1), _clip(i + reach, grid.down - 1)
        left, right = _clip(j - reach, grid.across - 1), _clip(j + reach, grid.across - 1)
        count = 0
        for row in range(top, bottom + 1):
            count += grid.start[row * grid.across + right + 1] - grid.start[row * grid.across + left]
        if count >= near:
            return _collect(grid, (top, left, bottom, right), desk.pick)
        reach += 1


@kernel
def _radius2(grid: Buckets, y2: int, x2: int, near: int, desk: Desk) -> int:
    """An upper bound of the squared distance of the `near`-th nearest seed from (y2, x2), in half pixels.

    It is that of the `near`-th nearest of the seeds `_around`, found by bisection.
    """
    count, key = _around(grid, y2, x2, near, desk), desk.key
    high = 0
    for i in range(count):
        s = desk.pick[i]
        dy, dx = 2 * grid.row[s] - y2, 2 * grid.column[s] - x2
        key[i] = dy * dy + dx * dx
        high = max(high, key[i])
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        if _up_to(key, count, middle) >= near:
            high = middle
        else:
            low = middle
    return high


@inlined
def _up_to(key: Any, count: Any, limit: Any) -> Any:
    """How many of the first `count` keys are at most `limit`."""
    total = 0
    for i in range(count):
        total += key[i] <= limit
    return total


@kernel
def _lay_out(grid: Buckets, y2: int, x2: int, radius2: float, desk: Desk) -> int:
    """Lay the seeds within a radius of (y2, x2) half pixels on the desk, sorted by group; return how many groups."""
    reach = ceil(sqrt(radius2) / 2) + 1
    side = grid.side
    top, bottom = _clip((y2 // 2 - reach) // side, grid.down - 1), _clip((y2 // 2 + reach) // side, grid.down - 1)
    left, right = _clip((x2 // 2 - reach) // side, grid.across - 1), _clip((x2 // 2 + reach) // side, grid.across - 1)
    total = _collect(grid, (top, left, bottom, right), desk.pick)
    count, groups = 0, 0
    desk.bound[0] = 0
    for i in range(total):
        s = desk.pick[i]
        dy, dx = 2 * grid.row[s] - y2, 2 * grid.column[s] - x2
        if dy * dy + dx * dx > radius2:
            continue
        desk.pick[count] = s
        count += 1
        g = grid.group[s]
        if desk.local[g] < 0:
            desk.local[g] = groups
            groups += 1
            desk.bound[groups] = 0
        desk.bound[desk.local[g] + 1] += 1
    _sort_picks(grid, count, groups, desk)
    return groups


@kernel
def _sort_picks(grid: Buckets, count: int, groups: int, desk: Desk) -> None:
    """Write the picked seeds group by group and leave in `bound` where each group begins; clear `local`."""
    for g in range(groups):
        desk.bound[g + 1] += desk.bound[g]
    for i in range(count - 1, -1, -1):
        s = desk.pick[i]
        g = desk.local[grid.group[s]]
        desk.bound[g + 1] -= 1
        to = desk.bound[g + 1]
        desk.seed[to], desk.row[to], desk.column[to] = grid.seed[s], grid.row[s], grid.column[s]
    for g in range(groups):  # each bound has gone down to where its group begins
        desk.bound[g] = desk.bound[g + 1]
    desk.bound[groups] = count
    for i in range(count):
        desk.local[grid.group[desk.pick[i]]] = -1


@kernel
def _rank_groups(y: int, x: int, groups: int, near: int, desk: Desk) -> int:
    """Write the nearest seed of each group to `best`, nearest first, as distance² · 2³² + number; return how many.

    A group counts only if that seed is among the `near` nearest.
    """
    key, best, count = desk.key, desk.best, desk.bound[groups]
    for i in range(count):
        dy, dx = desk.row[i] - y, desk.column[i] - x
        key[i] = ((dy * dy + dx * dx) << 32) + desk.seed[i]
    found = 0
    for g in range(groups):
        nearest = key[desk.bound[g]]
        for i in range(desk.bound[g] + 1, desk.bound[g + 1]):
            nearest = min(nearest, key[i])
        if found == len(best) and nearest > best[found - 1]:
            continue
        found = min(found + 1, len(best))
        at = found - 1
        while at > 0 and best[at - 1] > nearest:
            best[at] = best[at - 1]
            at -= 1
        best[at] = nearest
    while _up_to(key, count, best[found - 1]) > near:
        found -= 1
    return found


@kernel
def _write(found: int, best: Longs, seed: Ints, distance: Floats) -> None:
    for k in range(len(seed)):
        seed[k] = best[k] & _NUMBER if k < found else -1
        distance[k] = np.sqrt(float(best[k] >> 32)) if k < found else np.inf


@kernel
def _open_tile(grid: Buckets, corner: tuple[int, int], size: tuple[int, int], near: int, desk: Desk) -> int:
    """Lay out what the pixels of a tile may need; return how many groups."""
    y2, x2 = 2 * corner[0] + size[0] - 1, 2 * corner[1] + size[1] - 1
    diameter = 2 * sqrt((size[0] - 1) ** 2 + (size[1] - 1) ** 2)
    radius = sqrt(_radius2(grid, y2, x2, near, desk)) + diameter + 0.01
    return _lay_out(grid, y2, x2, radius * radius, desk)


@kernel
def search_band(grid: Buckets, top: int, near: int, seed: Ints, distance: Floats) -> None:
    """Nearest seed of each group around every pixel of the rows from `top`, written to (h, w, K) arrays.

    A group counts if one of the `near` nearest seeds belongs to it; −1 and ∞ where there are fewer than K. Tiles are as
    large as buckets.
    """
    h, w, groups = seed.shape
    desk = _desk(grid, groups)
    for r in range(0, h, grid.side):
        for c in range(0, w, grid.side):
            tall, wide = min(grid.side, h - r), min(grid.side, w - c)
            count = _open_tile(grid, (top + r, c), (tall, wide), near, desk)
            for y in range(r, r + tall):
                for x in range(c, c + wide):
                    found = _rank_groups(top + y, x, count, near, desk)
                    _write(found, desk.best, seed[y, x], distance[y, x])


@kernel
def search_at_seeds(grid: Buckets, near: int, seed: Ints, distance: Floats) -> None:
    """As `search_band` for the pixels of the seeds, into (N, K) arrays. Each bucket is a tile."""
    desk, side = _desk(grid, seed.shape[1]), grid.side
    for b in range(grid.down * grid.across):
        if grid.start[b] == grid.start[b + 1]:
            continue
        corner = (b // grid.across * side, b % grid.across * side)
        count = _open_tile(grid, corner, (side, side), near, desk)
        for s in range(grid.start[b], grid.start[b + 1]):
            found = _rank_groups(int(grid.row[s]), int(grid.column[s]), count, near, desk)
            _write(found, desk.best, seed[grid.seed[s]], distance[grid.seed[s]])
