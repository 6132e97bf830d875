"""In which order, and from which end, to scan lines, rectangles and free points: little travel between them.

The order starts from a short path through their middles (`controller.geometry.route`), then each shape is given the
entry that suits its neighbours, and stretches of the order are turned round as long as that pays. Ends are chosen only
where the instrument allows it. What to scan was chosen before, by the model service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.controller.geometry.route import short_path
from grainloop.model.jit import free
from grainloop.protocols.capabilities import ShapeLimits
from grainloop.protocols.shapes import Piece, ScanShape, parts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ROUNDS = 4
_ANYWHERE = (np.nan, np.nan)
_REACH = 300
"""Shapes further apart in the order than this are not tried as ends of a stretch to turn round."""


@dataclass(frozen=True, eq=False)
class ShapeRoute:
    """A batch of shapes in the order to scan them.

    Attributes:
        pieces: free points that follow each other are one piece.
        position_px: (N, 2) pixels in the order of exposure.
        index: (N,) where each of them stood in the list that was given.
    """

    pieces: list[Piece]
    position_px: NDArray[np.int32]
    index: Ints


def short_shape_route(
    pieces: Sequence[Piece], position_px: NDArray[np.int32], limits: ShapeLimits, start: ArrayLike | None = None
) -> ShapeRoute:
    """The same shapes and pixels with little travel between the end of one and the start of the next.

    Args:
        pieces: in any order, each free point or stretch of them a piece.
        position_px: (N, 2) pixels of all pieces, one after the other.
        limits: what the instrument accepts.
        start: (row, column) where the beam stands.
    """
    entries = [_entries(piece, position_px[where], where.start, limits) for piece, where in _single(pieces)]
    if not entries:
        return ShapeRoute([], position_px, np.empty(0, np.int64))
    order, chosen = _order(entries, start)
    return _joined([entries[i][chosen[i]] for i in order.tolist()])


def between_px(pieces: Sequence[Piece], position_px: NDArray[np.int32], start: ArrayLike | None = None) -> float:
    """Travel in pixels from shape to shape; that within lines and rectangles does not count."""
    ends = [position_px[where][[0, -1]] for _, where in _single(pieces)]
    stops = np.array(ends, np.float64).reshape(-1, 2, 2)
    away = np.linalg.norm(stops[1:, 0] - stops[:-1, 1], axis=1).sum()
    return float(away) + (0.0 if start is None else float(np.linalg.norm(stops[0, 0] - np.asarray(start))))


@dataclass(frozen=True, eq=False)
class _Entry:
    """A shape entered in one of the possible ways."""

    piece: Piece
    position_px: NDArray[np.int32]
    index: Ints


def _single(pieces: Sequence[Piece]) -> list[tuple[Piece, slice]]:
    """Pieces with their stretches of the list, every free point on its own."""
    found: list[tuple[Piece, slice]] = []
    for piece, where in parts(pieces):
        if piece.shape is ScanShape.POINTS:
            found += [(replace(piece, points=1), slice(i, i + 1)) for i in range(where.start, where.stop)]
        else:
            found.append((piece, where))
    return found


def _entries(piece: Piece, listed: NDArray[np.int32], first: int, limits: ShapeLimits) -> list[_Entry]:
    """The ways to scan a piece; the pixels listed are all of its raster, or some where others are left out."""
    index = np.arange(first, first + len(listed), dtype=np.int64)
    asked = _Entry(piece, listed, index)
    if piece.shape is ScanShape.POINTS or not limits.any_corner:
        return [asked]
    ways = [(False, True)] if piece.shape is ScanShape.LINES else list(product((False, True), repeat=2))[1:]
    number = {pixel: i for i, pixel in enumerate(map(tuple, listed.tolist()))}
    turned = [piece.turned(lines, points) for lines, points in ways]
    return [asked, *(_listed(other, number, first, limits.serpentine) for other in turned)]


def _listed(piece: Piece, number: dict[tuple[int, ...], int], first: int, serpentine: bool) -> _Entry:
    pixels = [(pixel, number.get(pixel)) for pixel in map(tuple, piece.raster(serpentine).tolist())]
    kept = [(pixel, i) for pixel, i in pixels if i is not None]
    position = np.array([pixel for pixel, _ in kept], np.int32)
    return _Entry(piece, position, np.array([first + i for _, i in kept], np.int64))


def _order(entries: list[list[_Entry]], start: ArrayLike | None) -> tuple[Ints, list[int]]:
    """The order of the shapes, and the number of the entry of each."""
    middles = np.array([ways[0].position_px.mean(axis=0) for ways in entries])
    order = short_path(middles, start)
    ends = [np.array([way.position_px[[0, -1]] for way in ways], np.float64) for ways in entries]
    for _ in range(_ROUNDS):
        chosen = _best_entries([ends[i] for i in order.tolist()], start)
        stops = np.array([ends[i][k] for i, k in zip(order.tolist(), chosen, strict=True)])
        turns = np.array([len(ends[i]) > 1 or bool((ends[i][0, 0] == ends[i][0, 1]).all()) for i in order.tolist()])
        place, gained = _improve(stops, turns, np.asarray(_ANYWHERE if start is None else start, np.float64))
        if not gained:
            break
        order = order[place]
    chosen = _best_entries([ends[i] for i in order.tolist()], start)
    return order, [k for _, k in sorted(zip(order.tolist(), chosen, strict=True))]


def _best_entries(ends: list[Floats], start: ArrayLike | None) -> list[int]:
    """The entry of each shape of an order that makes the way shortest (dynamic programming: exact for that order)."""
    way = np.zeros(len(ends[0]))
    if start is not None:
        way = np.linalg.norm(ends[0][:, 0] - np.asarray(start, np.float64), axis=1)
    came_from: list[Ints] = []
    for before, here in pairwise(ends):
        total = way[:, None] + np.linalg.norm(before[:, None, 1] - here[None, :, 0], axis=-1)
        came_from.append(total.argmin(axis=0))
        way = total.min(axis=0)
    chosen = [int(way.argmin())]
    for back in reversed(came_from):
        chosen.append(int(back[chosen[-1]]))
    return chosen[::-1]


@free
def _improve(stops: Floats, turns: NDArray[np.bool_], start: Floats) -> tuple[Ints, bool]:
    """Turn round stretches of an order while that shortens the way; which shape is where then, and whether it helped.

    Args:
        stops: (n, 2, 2) first and last pixel of each shape, in order; changed.
        turns: (n,) whether a shape may be scanned backwards.
        start: (2,) where the way begins; NaN for anywhere.
    """
    n = len(stops)
    place, helped, better = np.arange(n), False, True
    while better:
        better = False
        for i in range(n):
            came = start if i == 0 else stops[i - 1, 1]
            for j in range(i, min(n, i + _REACH)):
                if not turns[j]:
                    break
                change = _apart(came, stops[j, 1]) - _apart(came, stops[i, 0])
                if j + 1 < n:
                    change += _apart(stops[i, 0], stops[j + 1, 0]) - _apart(stops[j, 1], stops[j + 1, 0])
                if change < -1e-9:
                    _turn_round(stops, turns, place, i, j)
                    helped = better = True
    return place, helped


@free
def _apart(a: Floats, b: Floats) -> float:
    if np.isnan(a[0]):
        return 0.0
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)


@free
def _turn_round(stops: Floats, turns: NDArray[np.bool_], place: Ints, i: int, j: int) -> None:
    """Element by element: assigning to slices takes five seconds more to compile."""
    for m in range((j - i) // 2 + 1):
        low, high = i + m, j - m
        for k in range(2):
            first, last = stops[low, 0, k], stops[low, 1, k]
            stops[low, 0, k], stops[low, 1, k] = stops[high, 1, k], stops[high, 0, k]
            stops[high, 0, k], stops[high, 1, k] = last, first
        turns[low], turns[high] = turns[high], turns[low]
        place[low], place[high] = place[high], place[low]


def _joined(entries: list[_Entry]) -> ShapeRoute:
    pieces: list[Piece] = []
    for shape, stretch in groupby((entry.piece for entry in entries), lambda piece: piece.shape):
        run = list(stretch)
        pieces += [Piece(ScanShape.POINTS, len(run))] if shape is ScanShape.POINTS else run
    position = np.concatenate([entry.position_px for entry in entries])
    return ShapeRoute(pieces, position, np.concatenate([entry.index for entry in entries]))
