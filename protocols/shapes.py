"""Shapes of a scan: free points, line scans and small raster rectangles; how a request tells them, what they cost.

A request lists every point in the order of exposure; its pieces say which stretch of that list is which shape. This
module turns pieces into pixels and declared costs into times, for the simulator, the choice of shapes, routes and plans
alike. What an instrument accepts is declared in `protocols.capabilities` and checked in `protocols.hosting.limits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grainloop.protocols.values import Value

Seconds = Annotated[float, Field(ge=0)]
Pixel = tuple[int, int]


class ScanShape(StrEnum):
    """What an instrument can be asked to scan in one go."""

    POINTS = "points"
    LINES = "lines"
    RECTANGLES = "rectangles"


SHAPE_CODES: tuple[ScanShape, ...] = tuple(ScanShape)
"""The first column of a piece holds indices into this tuple."""
PIECE_COLUMNS = 10


class ScanTiming(Value):
    """Declared costs of a scan, for plans, shapes and routes; never used to pace a real instrument.

    Attributes:
        travel_s_per_px: of the beam, for every pixel of its way.
        settle_s: before a free point, and before a line or rectangle; never within a line.
        batch_overhead_s: of every request.
        point_overhead_s: of every exposure beyond its dwell: trigger, camera read-out.
        line_start_s: of a line scan.
        map_start_s: of a rectangle; in the map queue of a vendor seconds to tens of seconds.
        fly_back_s: from the end of one line of a rectangle to the next.
    """

    travel_s_per_px: Seconds = 0.0
    settle_s: Seconds = 0.0
    batch_overhead_s: Seconds = 0.0
    point_overhead_s: Seconds = 0.0
    line_start_s: Seconds = 0.0
    map_start_s: Seconds = 0.0
    fly_back_s: Seconds = 0.0

    def start_s(self, shape: ScanShape) -> float:
        """What one shape costs to be started."""
        return {ScanShape.LINES: self.line_start_s, ScanShape.RECTANGLES: self.map_start_s}.get(shape, 0.0)

    def approach_s(self, way_px: float, shape: ScanShape = ScanShape.POINTS) -> float:
        """What starting a batch `way_px` away from the beam costs before the first exposure."""
        beam_s = self.settle_s + self.travel_s_per_px * way_px
        return self.batch_overhead_s + beam_s + self.start_s(shape) + self.point_overhead_s


@dataclass(frozen=True)
class Piece:
    """A stretch of a scan: some free points, one line, or one rectangle.

    Attributes:
        shape: which of them.
        points: how many points of the list belong to it; fewer than the raster has where some are skipped.
        first_px: (row, column) of the first point of the first line; of no meaning for free points, nor are the rest.
        lines: how many lines, 1 for a line.
        points_per_line: how many points each line has.
        line_step_px: (rows, columns) from one line to the next, at right angles to `point_step_px`.
        point_step_px: (rows, columns) from one point to the next, in the first line.
    """

    shape: ScanShape
    points: int
    first_px: Pixel = (0, 0)
    lines: int = 1
    points_per_line: int = 1
    line_step_px: Pixel = (0, 0)
    point_step_px: Pixel = (0, 0)

    def raster(self, serpentine: bool = False) -> NDArray[np.int32]:
        """(lines · points per line, 2) pixels in the order of exposure; a serpentine turns every other line round."""
        line, point = np.divmod(np.arange(self.lines * self.points_per_line), self.points_per_line)
        if serpentine:
            point = np.where(line % 2, self.points_per_line - 1 - point, point)
        steps = np.outer(line, self.line_step_px) + np.outer(point, self.point_step_px)
        return (np.array(self.first_px) + steps).astype(np.int32)

    def line_of(self, position_px: NDArray[np.int32]) -> NDArray[np.int64]:
        """(n,) number of the line that each pixel (n, 2) of the raster lies on."""
        step = np.array(self.line_step_px, np.int64)
        return (position_px - np.array(self.first_px)) @ step // max(int(step @ step), 1)

    def turned(self, lines: bool = False, points: bool = False) -> Piece:
        """The same raster entered at another corner: from its last line, from the last point of its lines, or both."""
        piece = self
        if lines:
            first, step = _behind(piece.first_px, piece.lines, piece.line_step_px)
            piece = replace(piece, first_px=first, line_step_px=step)
        if points:
            first, step = _behind(piece.first_px, piece.points_per_line, piece.point_step_px)
            piece = replace(piece, first_px=first, point_step_px=step)
        return piece

    @property
    def corner_px(self) -> Pixel:
        """Lowest row and lowest column of the raster."""
        ends = zip(self.first_px, self.line_step_px, self.point_step_px, strict=True)
        row, column = (
            first + min(0, (self.lines - 1) * line) + min(0, (self.points_per_line - 1) * point)
            for first, line, point in ends
        )
        return row, column

    def fits(self, shape_px: Pixel) -> bool:
        """Whether the first and the last point of the raster lie on a map of this shape, and so all others do."""
        ends = zip(self.first_px, self.line_step_px, self.point_step_px, shape_px, strict=True)
        return all(
            0 <= first < size and 0 <= first + (self.lines - 1) * line + (self.points_per_line - 1) * point < size
            for first, line, point, size in ends
        )

    def row(self) -> tuple[int, ...]:
        """The piece as a row of `ScanRequest.pieces`."""
        head = (SHAPE_CODES.index(self.shape), self.points, *self.first_px, self.lines, self.points_per_line)
        return (*head, *self.line_step_px, *self.point_step_px)


def _behind(first: Pixel, count: int, step: Pixel) -> tuple[Pixel, Pixel]:
    far = (first[0] + (count - 1) * step[0], first[1] + (count - 1) * step[1])
    return far, (-step[0], -step[1])


def encode_pieces(pieces: Iterable[Piece]) -> NDArray[np.int32]:
    """(m, 10) int32 rows of `ScanRequest.pieces`."""
    return np.array([piece.row() for piece in pieces], np.int32).reshape(-1, PIECE_COLUMNS)


def decode_pieces(pieces: NDArray[np.int32] | None, count: int) -> list[Piece]:
    """The pieces of a request of `count` points; without any these are free points.

    Raises:
        ValueError: a row that is no shape.
    """
    if pieces is None:
        return [Piece(ScanShape.POINTS, count)]
    return [_piece(row) for row in pieces.tolist()]


def _piece(row: list[int]) -> Piece:
    if not 0 <= row[0] < len(SHAPE_CODES):
        raise ValueError(f"{row[0]} is no shape of a scan")
    steps = ((row[6], row[7]), (row[8], row[9]))
    return Piece(SHAPE_CODES[row[0]], row[1], (row[2], row[3]), row[4], row[5], *steps)


def parts(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, slice]]:
    """Each piece with the stretch of the list of points that is its own."""
    first = 0
    for piece in pieces:
        yield piece, slice(first, first + piece.points)
        first += piece.points


def rest_of(pieces: NDArray[np.int32] | None, left: NDArray[np.bool_]) -> NDArray[np.int32] | None:
    """The pieces of what is left (N,) of the points of a request; a raster keeps its geometry and misses points."""
    if pieces is None:
        return None
    own = list(parts(decode_pieces(pieces, len(left))))
    counted = [replace(piece, points=int(left[where].sum())) for piece, where in own]
    return encode_pieces(piece for piece in counted if piece.points)


def exposure_ends_s(
    position_px: NDArray[np.int32],
    pieces: Iterable[Piece],
    beam_px: Pixel | None,
    dwell_s: float,
    timing: ScanTiming,
) -> NDArray[np.float64]:
    """(N,) seconds from the start of a request to the end of each exposure, by the declared costs.

    Every exposure costs the dwell and the overhead of a point, every way of the beam its travel. A free point is
    settled for; so is the start of a line or rectangle, which costs its own start too. From line to line of a rectangle
    the beam flies back; within a line nothing is waited for.

    Args:
        position_px: (N, 2) pixels in the order of exposure.
        pieces: which of them are what, N points in all.
        beam_px: where the beam stands, or nothing where the first way costs nothing.
        dwell_s: exposure of a point.
        timing: declared costs.
    """
    route = position_px.astype(np.float64)
    origin = route[:1] if beam_px is None else np.array([beam_px], np.float64)
    way_px = np.linalg.norm(np.diff(np.concatenate([origin, route]), axis=0), axis=1)
    cost = way_px * timing.travel_s_per_px + timing.point_overhead_s + dwell_s
    for piece, where in parts(pieces):
        cost[where] += _waiting_s(piece, position_px[where], timing)
    return timing.batch_overhead_s + np.cumsum(cost)


def _waiting_s(piece: Piece, position_px: NDArray[np.int32], timing: ScanTiming) -> NDArray[np.float64]:
    """(n,) what is waited before each exposure of a piece, beyond the travel."""
    if piece.shape is ScanShape.POINTS:
        return np.full(len(position_px), timing.settle_s)
    turns = np.diff(piece.line_of(position_px), prepend=0) != 0
    waiting = np.where(turns, timing.fly_back_s, 0.0)
    waiting[:1] = timing.settle_s + timing.start_s(piece.shape)
    return waiting
