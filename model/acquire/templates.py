"""Shapes that a scan may have, at no place yet: which pixels they expose, and how much around them is then explained.

A shape explains a pixel by 1 − Π(1 − window) over its points, the rule by which single points of a batch discount each
other (`model.acquire.spread`). Where to put which shape is the business of `model.acquire.shaped`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grainloop.model.acquire._shape_kernels import explain_all
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.shapes import Piece, Pixel, ScanShape, exposure_ends_s

DIRECTIONS: tuple[Pixel, ...] = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Lines run along rows, columns and diagonals; either way round is the same shape."""
_EXTENTS_PX = (8, 16, 32, 64, 128)
_ASPECTS = ((1, 1), (1, 2), (2, 1))
_STEPS_PX = (1, 2, 3, 4, 6, 8, 12)
_LINE_STEPS_PX = (1, 2, 4)
_LINE_POINTS = (8, 16, 32, 64)


@dataclass(frozen=True, eq=False)
class Template:
    """A shape at the origin: its bounding box begins at pixel (0, 0).

    Attributes:
        piece: the raster, entered at the top left where the instrument asks for that.
        pixels: (n, 2) pixels that it exposes, in order.
        coverage: (rows + 2 · reach, columns + 2 · reach) float32, share of each pixel of the box and around it that is
            explained when all of them are measured.
        seconds: declared cost of the whole shape without the way to it.
    """

    piece: Piece
    pixels: NDArray[np.int32]
    coverage: NDArray[np.float32]
    seconds: float

    @cached_property
    def box_px(self) -> Pixel:
        """Rows and columns of the bounding box."""
        rows, columns = self.pixels.max(axis=0) + 1
        return int(rows), int(columns)


def make_template(piece: Piece, kernel: NDArray[np.float32], means: ScanMeans) -> Template:
    """The shape of a piece, wherever that lies, under a window `kernel` (2 · reach + 1, 2 · reach + 1)."""
    pixels = piece.raster(means.shapes.serpentine)
    low = pixels.min(axis=0)
    at_origin = _moved(piece, -low)
    pixels = (pixels - low).astype(np.int32)
    ends = exposure_ends_s(pixels, [at_origin], None, means.dwell_s, means.timing)
    seconds = float(ends[-1]) - means.timing.batch_overhead_s
    return Template(at_origin, pixels, coverage_of(pixels, kernel), seconds)


def coverage_of(pixels: NDArray[np.int32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share explained around `pixels` (n, 2) of a box at the origin, the reach of the window added on all sides."""
    reach = len(kernel) // 2
    left = np.ones(tuple(pixels.max(axis=0) + 1 + 2 * reach), np.float32)
    explain_all(left, kernel, pixels + np.int32(reach))
    return 1 - left


def place(template: Template, corner: Pixel) -> Piece:
    """The piece with the corner of its box at `corner`."""
    return _moved(template.piece, np.array(corner))


def _moved(piece: Piece, by: NDArray[np.integer]) -> Piece:
    row, column = (int(a + b) for a, b in zip(piece.first_px, by, strict=True))
    return replace(piece, first_px=(row, column))


def rectangle(rows: int, columns: int, step_px: int, means: ScanMeans) -> Piece:
    """A raster of rows × columns points; its lines run along the longer side where the instrument allows that."""
    down, across = (step_px, 0), (0, step_px)
    if rows > columns and means.shapes.any_corner:
        return Piece(ScanShape.RECTANGLES, rows * columns, (0, 0), columns, rows, across, down)
    return Piece(ScanShape.RECTANGLES, rows * columns, (0, 0), rows, columns, down, across)


def line(points: int, step_px: int, direction: Pixel) -> Piece:
    """A line scan."""
    step = (direction[0] * step_px, direction[1] * step_px)
    return Piece(ScanShape.LINES, points, (0, 0), 1, points, (0, 0), step)


def pieces_to_try(means: ScanMeans, shape_px: Pixel, window_px: float) -> Iterator[Piece]:
    """Shapes of all kinds that the instrument accepts and that fit on the map, from small to large.

    Steps much wider than the window explain as if the points stood alone, and whole maps are among the rectangles: a
    second coarse map between the points of the first is one of them.
    """
    limits = means.shapes
    if ScanShape.POINTS in limits.accepted:
        yield Piece(ScanShape.POINTS, 1, (0, 0), 1, 1)
    steps = [s for s in _STEPS_PX if s <= min(limits.largest_step_px, max(1.0, 6 * window_px))]
    if ScanShape.LINES in limits.accepted:
        yield from _lines(means, shape_px, [s for s in steps if s in _LINE_STEPS_PX])
    if ScanShape.RECTANGLES in limits.accepted:
        yield from _rectangles(means, shape_px, steps)


def _lines(means: ScanMeans, shape_px: Pixel, steps: list[int]) -> Iterator[Piece]:
    counts = sorted({max(n, means.shapes.shortest_line_points) for n in _LINE_POINTS})
    for direction in DIRECTIONS:
        room = min(size for size, along in zip(shape_px, direction, strict=True) if along)
        for step in steps:
            for count in counts:
                if (count - 1) * step < room:
                    yield line(count, step, direction)


def _rectangles(means: ScanMeans, shape_px: Pixel, steps: list[int]) -> Iterator[Piece]:
    boxes = {(a * e, b * e) for e in _EXTENTS_PX for a, b in _ASPECTS}
    inside = sorted(box for box in boxes if box[0] < shape_px[0] and box[1] < shape_px[1])
    least = means.shapes.smallest_rectangle_points
    for step in steps:
        seen: set[Pixel] = set()
        for box in [*inside, shape_px]:
            rows, columns = (-(-edge // step) for edge in box)
            if rows >= least[0] and columns >= least[1] and (rows, columns) not in seen and min(rows, columns) > 1:
                seen.add((rows, columns))
                yield rectangle(rows, columns, step, means)
