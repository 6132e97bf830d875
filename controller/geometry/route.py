"""Short open beam paths through a batch of scan points: nearest neighbour, then 2-opt, Or-opt and local kicks.

The path starts from the nearest-neighbour order and only ever gets shorter, so it is never longer than that order.
Everything is deterministic: the kicks come from a fixed sequence and their number depends on the number of points
alone. Lengths are Euclidean, in pixels; what a pixel of travel costs is the instrument's business.

Sources: Croes 1958 (2-opt), Or 1976 (moving segments of up to three), Martin, Otto & Felten 1991 (double-bridge kicks,
here with short segments), Bentley 1992 (neighbour lists and a queue of nodes worth looking at).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.controller.geometry._path_kernels import always_nearest, kick, measure, settle
from grainloop.controller.geometry.tour import Floats, Ints, room_for, tour_of

_NEIGHBOURS = 8
_KICK_SPAN = 50
_KICKS_PER_POINT = 8
_MOST_KICKS = 16_000


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
        path = _shorten(nodes, _neighbour_lists(nodes), path, int(start is not None))
    return path[1:] - 1 if start is not None else path


def warm_up() -> None:
    """Compile (or load from the cache) what `short_path` needs, so that the first batch does not wait for it."""
    short_path(np.argwhere(np.ones((3, 3))))


def _with_start(points: ArrayLike, start: ArrayLike | None) -> Floats:
    nodes = np.ascontiguousarray(points, np.float64).reshape(-1, 2)  # one layout, so that it is compiled once
    return nodes if start is None else np.vstack([np.asarray(start, np.float64)[None], nodes])


def _neighbour_lists(nodes: Floats) -> Ints:
    from scipy.spatial import KDTree

    k = min(_NEIGHBOURS + 1, len(nodes))
    found = np.asarray(KDTree(nodes).query(nodes, k)[1], np.int64)
    itself = found == np.arange(len(nodes))[:, None]
    itself[~itself.any(axis=1), -1] = True  # coincident points: the node itself may be missing from its own list
    return np.ascontiguousarray(found[~itself].reshape(len(nodes), k - 1))


def _nearest_neighbour(nodes: Floats) -> Ints:
    path = np.arange(len(nodes))
    always_nearest(nodes, path)
    return path


def _shorten(nodes: Floats, near: Ints, path: Ints, fixed: int) -> Ints:
    """Bring a path to a local optimum, then kick it and keep what pays; `fixed` positions at its beginning stay."""
    n = len(path)
    kicks, span = min(_KICKS_PER_POINT * n, _MOST_KICKS), min(_KICK_SPAN, (n - fixed) // 3)
    tour, room = tour_of(nodes, near, path), room_for(n, span)
    measure(tour)
    settle(tour, room, fixed)
    if span >= 2:
        kick_from = np.random.default_rng(n)
        firsts = kick_from.integers(fixed, n - 2 * span + 1, kicks)
        kick(tour, room, fixed, firsts, kick_from.integers(1, span + 1, (kicks, 2)))
    return tour.path.astype(np.int64)
