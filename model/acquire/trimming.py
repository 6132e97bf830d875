"""Trimming a line or rectangle: it is moved, grown and shrunk as long as that gains more per second.

The start is the best of a coarse catalogue of sizes and places (`model.acquire.shaped`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grainloop.model.acquire._shape_kernels import covered
from grainloop.model.acquire.templates import Template
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.shapes import Piece, Pixel, ScanShape

_ROUNDS = 12
_CLEAR_GAIN = 1.002
_AWAY: tuple[Pixel, ...] = ((-1, 0), (1, 0), (0, -1), (0, 1))


class Board(Protocol):
    """What trimming needs to know of a choice in the making."""

    left: NDArray[np.float32]
    taken: NDArray[np.bool_]
    shape: Pixel
    means: ScanMeans
    way_s: float
    left_s: float
    left_points: int

    def template(self, piece: Piece) -> Template:
        """The template of a piece."""
        ...

    def closed(self, pixels: NDArray[np.int32]) -> bool:
        """Whether a raster over these pixels (n, 2) is not wanted."""
        ...


def trimmed(board: Board, piece: Piece) -> Piece:
    """The best piece that small changes of `piece` lead to."""
    best = worth(board, piece)
    for _ in range(_ROUNDS):
        found = [(worth(board, other), other) for other in _changes(piece)]
        better, other = max(found, key=lambda one: one[0], default=(0.0, piece))
        if better < best * _CLEAR_GAIN:
            break
        best, piece = better, other
    return piece


def worth(board: Board, piece: Piece) -> float:
    """Gain per second, in pixels put right; 0 where the piece may not be."""
    if not _allowed(board, piece):
        return 0.0
    template = board.template(piece)
    cover, corner, cost_s = template.coverage, piece.corner_px, template.seconds + board.way_s
    if cost_s > board.left_s or len(template.pixels) > board.left_points:
        return 0.0
    if board.closed(template.pixels + np.array(corner, np.int32)):
        return 0.0
    return covered(board.left, cover.ravel(), cover.shape[1], *corner) / cost_s


def _allowed(board: Board, piece: Piece) -> bool:
    limits, least = board.means.shapes, (1, board.means.shapes.shortest_line_points)
    if piece.shape is ScanShape.RECTANGLES:
        least = (max(2, limits.smallest_rectangle_points[0]), max(2, limits.smallest_rectangle_points[1]))
    large_enough = piece.lines >= least[0] and piece.points_per_line >= least[1]
    return large_enough and piece.fits(board.shape)


def _changes(piece: Piece) -> Iterator[Piece]:
    """Moved by a pixel, or longer or shorter at one end of its lines or of their sequence."""
    row, column = piece.first_px
    for down, across in _AWAY:
        yield replace(piece, first_px=(row + down, column + across))
    yield from _resized(piece, "points_per_line", piece.point_step_px)
    if piece.shape is ScanShape.RECTANGLES:
        yield from _resized(piece, "lines", piece.line_step_px)


def _resized(piece: Piece, name: str, step: Pixel) -> Iterator[Piece]:
    count = getattr(piece, name)
    for by in {1, max(1, count // 4)}:
        for change in (by, -by):
            here = (piece.first_px[0] - change * step[0], piece.first_px[1] - change * step[1])
            yield replace(piece, **{name: count + change})
            yield replace(piece, **{name: count + change, "first_px": here})
