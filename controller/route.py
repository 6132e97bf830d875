"""Short open beam paths through a batch of scan points: nearest neighbour, then 2-opt, Or-opt and local kicks.

The path starts from the nearest-neighbour order and only ever gets shorter, so it is never longer than that order.
Everything is deterministic: the kicks come from a fixed sequence and their number depends on the number of points
alone. Lengths are Euclidean, in pixels; what a pixel of travel costs is the instrument's business.

Sources: Croes 1958 (2-opt), Or 1976 (moving segments of up to three), Martin, Otto & Felten 1991 (double-bridge kicks,
here with short segments), Bentley 1992 (neighbour lists and a queue of nodes worth looking at).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NEIGHBOURS = 8
_LONGEST_SEGMENT = 3
_KICK_SPAN = 50
_KICKS_PER_POINT = 8
_MOST_KICKS = 16_000
_CLEAR_GAIN = 1e-9

_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(function: _F) -> _F:
    return cast("_F", numba.njit(cache=True, nogil=True)(function))


def path_length(points: ArrayLike, order: ArrayLike | None = None, start: ArrayLike | None = None) -> float:
    """Length in pixels of the open path through `points` (N, 2) in `order`, from `start` (2,) if there is one."""
    way = np.asarray(points, np.float64).reshape(-1, 2)
    if order is not None:
        way = way[np.asarray(order, np.int64)]
    return float(np.nansum(_ways(way, start)))


def way_lengths(points: ArrayLike, start: ArrayLike | None = None) -> NDArray[np.float32]:
    """(N,) length in pixels of the way to each point (N, 2), from `start` to the first, NaN without it."""
    return _ways(np.asarray(points, np.float64).reshape(-1, 2), start).astype(np.float32)


def _ways(way: Floats, start: ArrayLike | None) -> Floats:
    first = np.full((1, 2), np.nan) if start is None else np.asarray(start, np.float64)[None]
    return np.hypot(*np.diff(np.vstack([first, way]), axis=0).T)


def nearest_neighbour(points: ArrayLike, start: ArrayLike | None = None) -> Ints:
    """(N,) order that always goes to the nearest point left, from `start` or from the first point."""
    nodes = _with_start(points, start)
    return _nearest_neighbour(nodes)[1:] - 1 if start is not None else _nearest_neighbour(nodes)


def short_path(points: ArrayLike, start: ArrayLike | None = None) -> Ints:
    """A short open path.

    Args:
        points: (N, 2) positions in pixels.
        start: (2,) where the beam stands; the path begins near it. Without it both ends are free.

    Returns:
        (N,) int64 permutation; its path is never longer than that of `nearest_neighbour` with the same arguments.
    """
    nodes = _with_start(points, start)
    path = _nearest_neighbour(nodes)
    if len(nodes) > 2:
        _shorten(nodes, _neighbour_lists(nodes), path, int(start is not None))
    return path[1:] - 1 if start is not None else path


def warm_up() -> None:
    """Compile (or load from the cache) what `short_path` needs, so that the first batch does not wait for it."""
    short_path(np.array([[0, 0], [3, 1], [1, 0], [2, 2]]))


def _with_start(points: ArrayLike, start: ArrayLike | None) -> Floats:
    nodes = np.asarray(points, np.float64).reshape(-1, 2)
    return nodes if start is None else np.vstack([np.asarray(start, np.float64)[None], nodes])


def _neighbour_lists(nodes: Floats) -> Ints:
    from scipy.spatial import KDTree

    k = min(_NEIGHBOURS + 1, len(nodes))
    found = np.asarray(KDTree(nodes).query(nodes, k)[1], np.int64)
    itself = found == np.arange(len(nodes))[:, None]
    itself[~itself.any(axis=1), -1] = True  # coincident points: the node itself may be missing from its own list
    return np.ascontiguousarray(found[~itself].reshape(len(nodes), k - 1))


@_compiled
def _nearest_neighbour(nodes: Floats) -> Ints:
    n = len(nodes)
    path = np.arange(n)
    for i in range(1, n):
        here = nodes[path[i - 1]]
        best, best_at = np.inf, i
        for j in range(i, n):
            node = path[j]
            d = (nodes[node, 0] - here[0]) ** 2 + (nodes[node, 1] - here[1]) ** 2
            if d < best or (d == best and node < path[best_at]):
                best, best_at = d, j
        path[i], path[best_at] = path[best_at], path[i]
    return path


@_compiled
def _gap(nodes: Floats, path: Ints, i: int, j: int) -> float:
    """Distance between the nodes at positions i and j; nothing beyond the free ends."""
    if i < 0 or j < 0 or i >= len(path) or j >= len(path):
        return 0.0
    a, b = path[i], path[j]
    return np.sqrt((nodes[a, 0] - nodes[b, 0]) ** 2 + (nodes[a, 1] - nodes[b, 1]) ** 2)


@_compiled
def _reverse(path: Ints, place: Ints, i: int, j: int) -> None:
    while i < j:
        a, b = path[i], path[j]
        path[i], path[j] = b, a
        place[b], place[a] = i, j
        i += 1
        j -= 1


@_compiled
def _best_reversal(nodes: Floats, near: Ints, path: Ints, place: Ints, node: int, fixed: int) -> tuple[float, int, int]:
    """The reversal that puts `node` next to one of its neighbours and gains most (2-opt)."""
    i = int(place[node])
    best, first, last = _CLEAR_GAIN, -1, -1
    to_next, to_last = _gap(nodes, path, i, i + 1), _gap(nodes, path, i - 1, i)
    for k in range(near.shape[1]):
        j = int(place[near[node, k]])
        between = _gap(nodes, path, i, j)
        if between >= to_next and between >= to_last:
            break  # the neighbours further away are no better
        gain = to_next + _gap(nodes, path, j, j + 1) - between - _gap(nodes, path, i + 1, j + 1)
        if gain > best:
            best, first, last = gain, min(i, j) + 1, max(i, j)
        gain = to_last + _gap(nodes, path, j - 1, j) - between - _gap(nodes, path, i - 1, j - 1)
        if gain > best and min(i, j) >= fixed:
            best, first, last = gain, min(i, j), max(i, j) - 1
    return best, first, last


@_compiled
def _best_shift(
    nodes: Floats, near: Ints, path: Ints, place: Ints, node: int, fixed: int
) -> tuple[float, int, int, int, bool]:
    """The segment of up to three, `node` at one end, that gains most by moving next to a neighbour of `node` (Or-opt).

    Returns gain, first and last position of the segment, the position after which it goes, and whether it turns over.
    """
    i = int(place[node])
    best, first, last, after, turned = _CLEAR_GAIN, -1, -1, -1, False
    for length in range(1, _LONGEST_SEGMENT + 1):
        for forward in (True, False):
            a, b = (i, i + length - 1) if forward else (i - length + 1, i)
            if a < fixed or b >= len(path):
                continue
            freed = _gap(nodes, path, a - 1, a) + _gap(nodes, path, b, b + 1)
            freed -= _gap(nodes, path, a - 1, b + 1) if a > 0 and b + 1 < len(path) else 0.0
            far_end = b if forward else a
            for k in range(near.shape[1]):
                j = int(place[near[node, k]])
                if a <= j <= b:
                    continue
                between = _gap(nodes, path, i, j)
                if between >= freed:
                    break
                for side in (0, 1):  # between j and j + 1, or between j - 1 and j
                    left, right = j - side, j - side + 1
                    if left == b or right == a or left < fixed - 1:
                        continue
                    beyond = right if side == 0 else left
                    added = between + _gap(nodes, path, far_end, beyond)
                    gain = freed - added + _gap(nodes, path, left, right)
                    if gain > best:
                        best, first, last, after = gain, a, b, left
                        turned = forward == (side == 1)
    return best, first, last, after, turned


@_compiled
def _apply_shift(path: Ints, place: Ints, shift: tuple[int, int, int, bool], log: Ints, logged: int) -> int:
    """Move a segment by reversals and log them; the log is what undoes a kick that did not pay."""
    first, last, after, turned = shift
    low, high = (first, after) if after > last else (after + 1, last)
    length = last - first + 1
    middle = high - length if after > last else low + length - 1
    steps = ((low, high), (low, middle), (middle + 1, high))
    for k in range(3):
        i, j = steps[k]
        is_segment = (k == 2) if after > last else (k == 1)
        if is_segment and turned:
            continue
        _reverse(path, place, i, j)
        log[logged, 0], log[logged, 1] = i, j
        logged += 1
    return logged


@_compiled
def _wake(path: Ints, positions: tuple[int, ...], queue: Ints, n_queued: int) -> int:
    """Queue the nodes at `positions` that are not queued yet; `queue` holds nodes first, then a flag for each node."""
    n = len(path)
    for position in positions:
        if 0 <= position < n and not queue[n + path[position]]:
            queue[n + path[position]] = 1
            queue[n_queued] = path[position]
            n_queued += 1
    return n_queued


@_compiled
def _settle(
    nodes: Floats, near: Ints, path: Ints, place: Ints, fixed: int, queue: Ints, log: Ints, kick: tuple[int, int, int]
) -> None:
    """Bring `path` to a local optimum in place; after a kick, only if that makes it shorter than it was.

    Args:
        nodes: (N, 2) positions.
        near: (N, k) neighbours of each node, nearest first.
        path: (N,) nodes in order; changed.
        place: (N,) position of each node in `path`; changed.
        fixed: how many positions at the beginning must stay.
        queue: (2 N,) room for nodes worth looking at.
        log: (L, 2) room for the reversals made, to undo them.
        kick: first, middle and last position of two neighbouring segments to swap (a double bridge); first < 0: none.
    """
    first, middle, last = kick
    n_queued, logged, gained = 0, 0, 0.0
    queue[:] = 0
    if first < 0:
        for i in range(len(path) - 1, -1, -1):
            n_queued = _wake(path, (i, i, i, i, i, i), queue, n_queued)
    else:
        joint = first + last - middle - 1
        gained += _gap(nodes, path, first - 1, first) + _gap(nodes, path, middle, middle + 1)
        gained += _gap(nodes, path, last, last + 1)
        logged = _apply_shift(path, place, (first, middle, last, False), log, logged)
        gained -= _gap(nodes, path, first - 1, first) + _gap(nodes, path, joint, joint + 1)
        gained -= _gap(nodes, path, last, last + 1)
        n_queued = _wake(path, (first - 1, first, joint, joint + 1, last, last + 1), queue, n_queued)
    while n_queued > 0:
        node = queue[n_queued - 1]
        gain, i, j = _best_reversal(nodes, near, path, place, node, fixed)
        shift_gain, a, b, after, turned = _best_shift(nodes, near, path, place, node, fixed)
        if (i < 0 and a < 0) or logged + 3 > len(log):
            n_queued -= 1
            queue[len(path) + node] = 0
        elif gain >= shift_gain:
            _reverse(path, place, i, j)
            log[logged, 0], log[logged, 1] = i, j
            logged += 1
            gained += gain
            n_queued = _wake(path, (i - 1, i, j, j + 1, i, j), queue, n_queued)
        else:
            logged = _apply_shift(path, place, (a, b, after, turned), log, logged)
            gained += shift_gain
            n_queued = _wake(path, (a - 1, a, b, b + 1, after, after + 1), queue, n_queued)
    if gained < _CLEAR_GAIN:
        for k in range(logged - 1, -1, -1):
            _reverse(path, place, log[k, 0], log[k, 1])


def _shorten(nodes: Floats, near: Ints, path: Ints, fixed: int) -> None:
    """Bring `path` to a local optimum in place, then kick it and keep what pays."""
    n = len(path)
    kicks = min(_KICKS_PER_POINT * n, _MOST_KICKS)
    place, queue, log = np.empty(n, np.int64), np.empty(2 * n, np.int64), np.empty((64 * n + 1024, 2), np.int64)
    place[path] = np.arange(n)
    _settle(nodes, near, path, place, fixed, queue, log, (-1, -1, -1))
    span = min(_KICK_SPAN, (n - fixed) // 3)
    if span < 2:
        return
    kick_from = np.random.default_rng(n)
    firsts = kick_from.integers(fixed, n - 2 * span + 1, kicks)
    lengths = kick_from.integers(1, span + 1, (kicks, 2))
    _kick(nodes, near, path, place, fixed, queue, log, firsts, lengths)


@_compiled
def _kick(
    nodes: Floats,
    near: Ints,
    path: Ints,
    place: Ints,
    fixed: int,
    queue: Ints,
    log: Ints,
    firsts: Ints,
    lengths: Ints,
) -> None:
    """Swap neighbouring segments (first, lengths) one pair after the other, and settle after each."""
    for k in range(len(firsts)):
        middle = firsts[k] + lengths[k, 0] - 1
        _settle(nodes, near, path, place, fixed, queue, log, (firsts[k], middle, middle + lengths[k, 1]))
