"""A beam path while it is made shorter: what the path kernels know of it, and the room that they work in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Numbers = Any
"""An array of uint32, of nodes or positions: compiled code looks at signed ones for counting from the end."""

LONGEST_SEGMENT = 3


class Tour(NamedTuple):
    """A path and what follows from it; a node is a row of the points, a position a place in the path.

    Attributes:
        nodes: (N, 2) positions of the points.
        near: (N, k) neighbours of each node, nearest first.
        apart: (N, k) how far away they are.
        path: (N,) nodes in order.
        place: (N,) position of each node in `path`.
        edge: (N + 1,) length of the way to each position from the one before it; 0 at both free ends.
    """

    nodes: Floats
    near: Numbers
    apart: Floats
    path: Numbers
    place: Numbers
    edge: Floats


class Room(NamedTuple):
    """Where the path is worked on.

    Attributes:
        queue: (2 N,) nodes worth looking at, the next one last; then a flag for each node, whether it is among them.
        path, edge: those of the tour before a kick.
        aside, aside_edge: (L,) a segment that moves, and its edges.
    """

    queue: Numbers
    path: Numbers
    edge: Floats
    aside: Numbers
    aside_edge: Floats


def tour_of(nodes: Floats, near: Ints, path: Ints) -> Tour:
    """A path (N,) through nodes (N, 2) with neighbours (N, k), and room for what follows from it."""
    n = len(path)
    numbers = near.astype(np.uint32), path.astype(np.uint32)
    return Tour(nodes, numbers[0], np.empty(near.shape), numbers[1], np.empty(n, np.uint32), np.empty(n + 1))


def room_for(count: int, longest_segment: int) -> Room:
    """Room for a path of `count` nodes whose kicks move segments of so many."""
    length = max(longest_segment, LONGEST_SEGMENT)
    numbers = (np.empty(size, np.uint32) for size in (count, length))
    return Room(np.zeros(2 * count, np.uint32), next(numbers), np.empty(count + 1), next(numbers), np.empty(length))
