"""Rasters of a whole section for instruments that are not asked for free points: the first pass, and the fallback.

As `controller.geometry.grid` for free points: nothing is known yet, or nobody says what is, and the section is filled
evenly. All functions are pure and deterministic. Which windows and lines pay later is chosen by the model service.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.geometry.grid import inside
from grainloop.protocols.capabilities import ScanMeans, ShapeLimits
from grainloop.protocols.shapes import Piece, Pixel, ScanShape, exposure_ends_s

Mask = NDArray[np.bool_]

_MOST_AGAIN = 0.5
"""A raster that would expose more than this share of its pixels once more is none."""


def smallest_points(limits: ShapeLimits) -> dict[ScanShape, int]:
    """How many points the smallest of each accepted shape has."""
    lines, per_line = limits.smallest_rectangle_points
    points = {ScanShape.POINTS: 1, ScanShape.LINES: limits.shortest_line_points, ScanShape.RECTANGLES: lines * per_line}
    return {shape: points[shape] for shape in limits.accepted}


def cheapest_s(means: ScanMeans) -> tuple[float, float]:
    """What the cheapest shape has to wait for, and how long its points are exposed, in seconds."""
    timing = means.timing
    points = smallest_points(means.shapes)
    each_s = means.dwell_s + timing.point_overhead_s
    costs = [(timing.settle_s + timing.start_s(shape), count * each_s) for shape, count in points.items()]
    return min(costs, key=sum)


def raster_px(pieces: Sequence[Piece], limits: ShapeLimits) -> NDArray[np.int32]:
    """(N, 2) pixels of whole shapes, one after the other, as the beam visits them."""
    rasters = [piece.raster(limits.serpentine) for piece in pieces]
    return np.concatenate([np.empty((0, 2), np.int32), *rasters]).astype(np.int32)


def declared_s(pieces: list[Piece], means: ScanMeans) -> float:
    """Declared duration of one request of whole shapes, from wherever the beam stands."""
    return float(exposure_ends_s(raster_px(pieces, means.shapes), pieces, None, means.dwell_s, means.timing)[-1])


def coarse_rasters(shape_px: Pixel, means: ScanMeans) -> Iterator[list[Piece]]:
    """Rasters of the whole section, its margins even and its two steps alike, from every pixel to ever fewer.

    Each is one rectangle, or where that takes longer or is not accepted, a line scan per row.
    """
    limits = means.shapes
    most = min(limits.largest_step_px, max(shape_px))
    steps = {(k + a, k + b) for k in range(1, most + 1) for a, b in ((0, 0), (1, 0), (0, 1)) if k + max(a, b) <= most}
    for down, across in sorted(steps, key=lambda one: (one[0] * one[1], one)):
        rectangle = _over(shape_px, (down, across))
        ways = [way for way in ([rectangle], _lines_of(rectangle)) if accepts(way, limits)]
        if ways:
            yield min(ways, key=lambda way: declared_s(way, means))


def accepts(pieces: list[Piece], limits: ShapeLimits) -> bool:
    """Whether an instrument takes rasters of this kind, as long and as wide."""
    least = limits.smallest_rectangle_points
    return all(
        piece.shape in limits.accepted
        and (
            piece.points_per_line >= limits.shortest_line_points
            if piece.shape is ScanShape.LINES
            else piece.lines >= least[0] and piece.points_per_line >= least[1]
        )
        for piece in pieces
    )


def within(piece: Piece, reach: Mask, limits: ShapeLimits) -> Piece | None:
    """The part of a raster on pixels (h, w) that the beam can be sent to, a rectangle; nothing where none is left."""
    raster = piece.raster()
    good = inside(raster, reach.shape)
    good[good] = reach[tuple(raster[good].T)]
    if good.all():
        return piece
    good = good.reshape(piece.lines, piece.points_per_line)
    lines, points = np.flatnonzero(good.any(axis=1)), np.flatnonzero(good.any(axis=0))
    if not len(lines) or (limits.serpentine and lines[0] % 2):  # an odd line is scanned backwards
        return None
    row, column = raster.reshape(*good.shape, 2)[lines[0], points[0]].tolist()
    step = piece.line_step_px if len(lines) > 1 else (0, 0)
    part = replace(piece, first_px=(row, column), lines=len(lines), points_per_line=len(points), line_step_px=step)
    return part if accepts([part], limits) else None


def densest(shape_px: Pixel, means: ScanMeans, most_points: int, most_s: float) -> list[Piece] | None:
    """The densest of the coarse rasters within so many points and seconds; nothing where the sparsest is not."""
    for pieces in coarse_rasters(shape_px, means):
        if sum(piece.points for piece in pieces) <= most_points and declared_s(pieces, means) <= most_s:
            return pieces
    return None


def in_parts(pieces: list[Piece], most_points: int, limits: ShapeLimits) -> list[list[Piece]]:
    """The same in requests of at most so many points: rectangles in bands of lines, lines several at a time."""
    parts: list[list[Piece]] = [[]]
    for band in (band for piece in pieces for band in _bands(piece, most_points, limits)):
        if parts[-1] and sum(one.points for one in parts[-1]) + band.points > most_points:
            parts.append([])
        parts[-1].append(band)
    return parts


def evenly(asked: Mask, may: Mask, most_points: int, most_s: float, means: ScanMeans) -> list[Piece] | None:
    """The raster that fills the largest gaps of what was asked for, or nothing where none can be added.

    Args:
        asked: (h, w) pixels asked for before; a raster passes over few of them, or over none.
        may: (h, w) pixels that may be exposed, once more if need be.
        most_points: of the raster.
        most_s: declared, for all of it.
        means: of the instrument.
    """
    from scipy.ndimage import distance_transform_edt

    away = np.asarray(distance_transform_edt(~asked), np.float64) if asked.any() else np.ones(asked.shape)
    shape_px: Pixel = (asked.shape[0], asked.shape[1])
    for pieces in coarse_rasters(shape_px, means):
        if sum(piece.points for piece in pieces) <= most_points and declared_s(pieces, means) <= most_s:
            return _best_offset(pieces, asked, may, away, means.shapes)
    return None


def _best_offset(
    pieces: list[Piece], asked: Mask, may: Mask, away: NDArray[np.float64], limits: ShapeLimits
) -> list[Piece] | None:
    """The same raster moved to where it exposes least once more and is farthest from what is known."""
    best: tuple[float, float] = (math.inf, 0.0)
    found = None
    for moved in _moved_within(pieces, (asked.shape[0], asked.shape[1])):
        at = tuple(raster_px(moved, limits).T)
        again = float(asked[at].mean())
        if again > _MOST_AGAIN or (not limits.skips and not may[at].all()) or asked[at].all():
            continue
        if (rank := (again, -float(away[at].mean()))) < best:
            best, found = rank, moved
    return found


def _moved_within(pieces: list[Piece], shape_px: Pixel) -> Iterator[list[Piece]]:
    first = pieces[0]
    down = max(first.line_step_px[0], *(b.first_px[0] - a.first_px[0] for a, b in zip(pieces, pieces[1:])), 1)  # noqa: B905, RUF007
    across = first.point_step_px[1]
    top, left = first.first_px
    for row in range(-top, down):
        for column in range(-left, across):
            moved = [replace(p, first_px=(p.first_px[0] + row, p.first_px[1] + column)) for p in pieces]
            if moved[0].fits(shape_px) and moved[-1].fits(shape_px):
                yield moved


def _over(shape_px: Pixel, steps: Pixel) -> Piece:
    """The rectangle over the whole section with these steps, its margins even."""
    rows, columns = (-(-(size - step // 2) // step) for size, step in zip(shape_px, steps, strict=True))
    counts = max(rows, 1), max(columns, 1)
    row, column = ((size - 1 - (n - 1) * step) // 2 for size, n, step in zip(shape_px, counts, steps, strict=True))
    down, across = steps if counts[0] > 1 else (0, steps[1])
    shape = ScanShape.RECTANGLES
    return Piece(shape, counts[0] * counts[1], (row, column), *counts, (down, 0), (0, across))


def _lines_of(rectangle: Piece) -> list[Piece]:
    """The lines of a rectangle as line scans."""
    (row, column), (down, _) = rectangle.first_px, rectangle.line_step_px
    count, along = rectangle.points_per_line, rectangle.point_step_px
    starts = [(row + number * down, column) for number in range(rectangle.lines)]
    return [Piece(ScanShape.LINES, count, start, 1, count, (0, 0), along) for start in starts]


def _bands(piece: Piece, most_points: int, limits: ShapeLimits) -> Iterator[Piece]:
    if piece.points <= most_points:
        yield piece
        return
    most = max(1, most_points // piece.points_per_line)
    bands = -(-piece.lines // most)
    least = limits.smallest_rectangle_points[0]
    cuts = np.linspace(0, piece.lines, bands + 1).round().astype(int).tolist()
    for first, behind in pairwise(cuts):
        lines = behind - first
        if lines >= least and lines * piece.points_per_line <= most_points:
            start = (piece.first_px[0] + first * piece.line_step_px[0], piece.first_px[1])
            yield replace(piece, points=lines * piece.points_per_line, first_px=start, lines=lines)
