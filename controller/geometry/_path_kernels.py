"""Compiled improvement of an open path in place: 2-opt, Or-opt and local kicks; nothing else is known here.

A position is a place in the path, a node a row of the points. What makes it quick is that lengths of edges go along
with the path, and that a kick which did not pay is undone by copying the part that it touched; leaving moves early that
cannot win costs more in guessed branches than it saves. Sums are built in one fixed order and nothing is contracted, so
that a path is the same wherever it is found: decisions of a run are made again from its journal, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from grainloop.controller.geometry.tour import LONGEST_SEGMENT, Floats, Ints, Numbers, Room, Tour
from grainloop.model.jit import cached

CLEAR_GAIN = 1e-9

_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(function: _F) -> _F:
    # Nothing here makes an array, and counting references to those passed on takes as long as the work itself.
    return cast("_F", cached(function, nogil=True, _nrt=False))


@_compiled
def always_nearest(nodes: Floats, path: Ints) -> None:
    """Order `path` (N,) in place so that it always goes to the nearest of the nodes (N, 2) that are left."""
    n = len(path)
    for i in range(1, n):
        here = path[i - 1]
        best, best_at = np.inf, i
        for j in range(i, n):
            node = path[j]
            d = (nodes[node, 0] - nodes[here, 0]) ** 2 + (nodes[node, 1] - nodes[here, 1]) ** 2
            if d < best or (d == best and node < path[best_at]):
                best, best_at = d, j
        path[i], path[best_at] = path[best_at], path[i]


@_compiled
def measure(tour: Tour) -> None:
    """Fill in what follows from nodes, neighbours and path."""
    nodes, near, path = tour.nodes, tour.near, tour.path
    for node in range(len(nodes)):
        for k in range(near.shape[1]):
            tour.apart[node, k] = _distance(nodes, node, near[node, k])
    for i in range(len(path)):
        tour.place[path[i]] = i
        tour.edge[i] = _gap(tour, i - 1, i)
    tour.edge[len(path)] = 0.0


@_compiled
def _distance(nodes: Floats, a: int, b: int) -> float:
    return np.sqrt((nodes[a, 0] - nodes[b, 0]) ** 2 + (nodes[a, 1] - nodes[b, 1]) ** 2)


@_compiled
def _gap(tour: Tour, i: int, j: int) -> float:
    """Distance between the nodes at positions i and j; nothing beyond the free ends."""
    path = tour.path
    if i < 0 or j < 0 or i >= len(path) or j >= len(path):
        return 0.0
    return _distance(tour.nodes, path[i], path[j])


@_compiled
def _best_reversal(tour: Tour, node: int, fixed: int) -> tuple[float, int, int]:
    """The reversal that puts `node` next to one of its neighbours and gains most (2-opt)."""
    near, apart, place, edge = tour.near, tour.apart, tour.place, tour.edge
    i = place[node]
    best, first, last = CLEAR_GAIN, -1, -1
    to_next, to_last = edge[i + 1], edge[i]
    for k in range(near.shape[1]):
        between = apart[node, k]
        if between >= to_next and between >= to_last:
            break  # the neighbours further away are no better
        j = place[near[node, k]]
        gain = to_next + edge[j + 1] - between - _gap(tour, i + 1, j + 1)
        if gain > best:
            best, first, last = gain, min(i, j) + 1, max(i, j)
        gain = to_last + edge[j] - between - _gap(tour, i - 1, j - 1)
        if gain > best and min(i, j) >= fixed:
            best, first, last = gain, min(i, j), max(i, j) - 1
    return best, first, last


@_compiled
def _best_shift(tour: Tour, node: int, fixed: int, least: float) -> tuple[float, int, int, int, bool]:
    """The segment of up to three, `node` at one end, that gains most by moving next to a neighbour of `node` (Or-opt).

    Returns gain, first and last position of the segment, the position after which it goes, and whether it turns over;
    a first position below 0 where nothing gains more than `least`.
    """
    near, apart, place, edge = tour.near, tour.apart, tour.place, tour.edge
    n, i = len(tour.path), place[node]
    best, first, last, after, turned = least, -1, -1, -1, False
    for segment in range(1, 2 * LONGEST_SEGMENT):  # one node; then two, three, … from it on, and up to it
        length, forward = segment // 2 + 1, segment % 2 == 0 or segment == 1
        a, b = (i, i + length - 1) if forward else (i - length + 1, i)
        if a < fixed or b >= n:
            continue
        freed = edge[a] + edge[b + 1] - _gap(tour, a - 1, b + 1)
        far_end = b if forward else a
        for k in range(near.shape[1]):
            between = apart[node, k]
            if between >= freed:
                break
            j = place[near[node, k]]
            if a <= j <= b:
                continue
            for side in (0, 1):  # between j and j + 1, or between j - 1 and j
                left, right = j - side, j - side + 1
                if left == b or right == a or left < fixed - 1:
                    continue
                added = between + _gap(tour, far_end, right if side == 0 else left)
                gain = freed - added + edge[right]
                if gain > best:
                    best, first, last, after = gain, a, b, left
                    turned = forward == (side == 1)
    return best, first, last, after, turned


@_compiled
def _reverse(tour: Tour, i: int, j: int) -> None:
    """Turn the positions from i to j over."""
    path, place, edge = tour.path, tour.place, tour.edge
    low, high = i, j
    while low < high:
        a, b = path[low], path[high]
        path[low], path[high] = b, a
        place[b], place[a] = low, high
        low += 1
        high -= 1
    low, high = i + 1, j
    while low < high:
        edge[low], edge[high] = edge[high], edge[low]
        low += 1
        high -= 1
    edge[i], edge[j + 1] = _gap(tour, i - 1, i), _gap(tour, j, j + 1)


@_compiled
def _shift(tour: Tour, room: Room, first: int, last: int, after: int, turned: bool) -> None:
    """Move the segment from `first` to `last` behind position `after`, turned over or not."""
    path, place, edge, aside, aside_edge = tour.path, tour.place, tour.edge, room.aside, room.aside_edge
    length = last - first + 1
    for k in range(length):
        aside[k], aside_edge[k] = path[first + k], edge[first + k]
    if after > last:
        for i in range(last + 1, after + 1):
            path[i - length], edge[i - length] = path[i], edge[i]
            place[path[i]] = i - length
        low, high, to = first, after, after - length + 1
    else:
        for i in range(first - 1, after, -1):
            path[i + length], edge[i + length] = path[i], edge[i]
            place[path[i]] = i + length
        low, high, to = after + 1, last, after + 1
    for k in range(length):
        path[to + k] = aside[length - 1 - k if turned else k]
        place[path[to + k]] = to + k
        if k > 0:
            edge[to + k] = aside_edge[length - k if turned else k]
    joint = to if after > last else to + length
    for i in (low, joint, high + 1):
        edge[i] = _gap(tour, i - 1, i)


@_compiled
def _wake(path: Numbers, queue: Numbers, positions: tuple[int, ...], n_queued: int) -> int:
    """Queue the nodes at `positions` that are not queued yet."""
    n = len(path)
    for position in positions:
        if 0 <= position < n and not queue[n + path[position]]:
            queue[n + path[position]] = 1
            queue[n_queued] = path[position]
            n_queued += 1
    return n_queued


@_compiled
def settle(tour: Tour, room: Room, fixed: int) -> None:
    """Bring the path to a local optimum in place; `fixed` positions at its beginning must stay."""
    path, queue, n_queued = tour.path, room.queue, 0
    n = len(path)
    for i in range(n - 1, -1, -1):
        n_queued = _wake(path, queue, (i, i, i, i, i, i), n_queued)
    _settle(tour, room, fixed, n_queued, 0.0, (n, -1), 0)


@_compiled
def _settle(
    tour: Tour, room: Room, fixed: int, n_queued: int, gained: float, touched: tuple[int, int], turns: int
) -> tuple[float, int, int]:
    """Improve what is queued until nothing more gains.

    Args:
        tour: changed.
        room: with the queue.
        fixed: how many positions at the beginning must stay.
        n_queued: how many nodes are worth looking at.
        gained: so far, in pixels.
        touched: first and last position changed so far.
        turns: reversals made so far; their number is limited, whatever rounding does.

    Returns:
        What is gained in all, first and last position changed.
    """
    path, queue = tour.path, room.queue
    n = len(path)
    low, high = touched
    while n_queued > 0:
        node = queue[n_queued - 1]
        gain, i, j = _best_reversal(tour, node, fixed)
        shift_gain, a, b, after, turned = _best_shift(tour, node, fixed, gain)
        if (i < 0 and a < 0) or turns + 3 > 64 * n + 1024:
            n_queued -= 1
            queue[n + node] = 0
        elif a < 0:
            _reverse(tour, i, j)
            gained += gain
            turns += 1
            low, high = min(low, i), max(high, j)
            n_queued = _wake(path, queue, (i - 1, i, j, j + 1, i, j), n_queued)
        else:
            _shift(tour, room, a, b, after, turned)
            gained += shift_gain
            turns += 2 if turned else 3
            low, high = min(low, a, after + 1), max(high, b, after)
            n_queued = _wake(path, queue, (a - 1, a, b, b + 1, after, after + 1), n_queued)
    return gained, low, high


@_compiled
def kick(tour: Tour, room: Room, fixed: int, firsts: Ints, lengths: Ints) -> None:
    """Swap neighbouring segments (first, lengths) one pair after the other, settle after each, and keep what pays."""
    path, edge, queue = tour.path, tour.edge, room.queue
    _keep(tour, room, 0, len(path) - 1)
    for k in range(len(firsts)):
        first = int(firsts[k])
        middle = first + int(lengths[k, 0]) - 1
        last = middle + int(lengths[k, 1])
        joint = first + last - middle - 1
        gained = edge[first] + edge[middle + 1]
        gained += edge[last + 1]
        _shift(tour, room, first, middle, last, False)
        gained -= edge[first] + edge[joint + 1]
        gained -= edge[last + 1]
        n_queued = _wake(path, queue, (first - 1, first, joint, joint + 1, last, last + 1), 0)
        gained, low, high = _settle(tour, room, fixed, n_queued, gained, (first, last), 3)
        if gained < CLEAR_GAIN:
            _undo(tour, room, low, high)
        else:
            _keep(tour, room, low, high)


@_compiled
def _keep(tour: Tour, room: Room, low: int, high: int) -> None:
    """Remember the positions from low to high."""
    for i in range(low, high + 1):
        room.path[i] = tour.path[i]
    for i in range(low, high + 2):
        room.edge[i] = tour.edge[i]


@_compiled
def _undo(tour: Tour, room: Room, low: int, high: int) -> None:
    """Put the positions from low to high back as they were kept."""
    for i in range(low, high + 1):
        tour.path[i] = room.path[i]
        tour.place[room.path[i]] = i
    for i in range(low, high + 2):
        tour.edge[i] = room.edge[i]
