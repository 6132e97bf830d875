"""Lines, rectangles and free points that somebody wants scanned, each with why, as one list that stays together.

As `controller.decide.picks` for free points: what may be scanned of it, what fits, and in which order. Shapes stay
whole; only where the instrument skips points, those that were exposed meanwhile are left out, and what a drift put out
of reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.controller.decide.decision import Why
from grainloop.controller.geometry import inside, raster_px, short_shape_route, within
from grainloop.protocols.capabilities import ScanMeans, ShapeLimits
from grainloop.protocols.messages import REASON_CODES, ProposalReason, Proposals
from grainloop.protocols.shapes import Piece, ScanShape, decode_pieces, exposure_ends_s, parts

Pixels = NDArray[np.int32]
Mask = NDArray[np.bool_]
_AGAIN = REASON_CODES.index(ProposalReason.RETRY)
_MOSTLY = 0.5
"""A raster of which less is left to be exposed is not worth its start."""


@dataclass(frozen=True, eq=False)
class May:
    """What may be exposed now.

    Attributes:
        ask: (h, w) pixels that may be asked for by themselves.
        cover: (h, w) pixels that a raster may pass over, exposed before or not.
        since: (h, w) pixels asked for since the shapes were chosen.
        reach: (h, w) pixels that the beam can be sent to.
    """

    ask: Mask
    cover: Mask
    since: Mask
    reach: Mask


@dataclass(frozen=True, eq=False)
class ShapePicks:
    """Shapes, best first, their pixels (N, 2) one after the other, and why each is wanted."""

    pieces: tuple[Piece, ...]
    position_px: Pixels
    why: Why

    def __len__(self) -> int:
        return len(self.position_px)

    @classmethod
    def none(cls) -> ShapePicks:
        """No shape at all."""
        return cls((), np.empty((0, 2), np.int32), Why.plain(0, ProposalReason.SPACE_FILLING))

    @classmethod
    def plain(cls, pieces: Sequence[Piece], limits: ShapeLimits, reason: ProposalReason) -> ShapePicks:
        """Whole rasters, all for the same reason, without a forecast."""
        pixels = raster_px(pieces, limits)
        return cls(tuple(pieces), pixels, Why.plain(len(pixels), reason))

    @classmethod
    def proposed(cls, proposals: Proposals | None) -> ShapePicks:
        """What the model service proposes, each free point by itself; nothing where its pieces are no shapes."""
        if proposals is None:
            return cls.none()
        count = len(proposals.position_px)
        try:
            told = decode_pieces(proposals.pieces, count)
        except ValueError:
            return cls.none()
        if sum(piece.points for piece in told) != count or any(piece.points < 1 for piece in told):
            return cls.none()
        pieces = [one for piece in told for one in _single(piece)]
        return cls(tuple(pieces), proposals.position_px, Why.told(proposals))

    def take(self, numbers: Sequence[int]) -> ShapePicks:
        """Some of the shapes, whole."""
        own = [(piece, where) for piece, where in parts(self.pieces)]
        chosen = [own[number] for number in numbers]
        index = np.concatenate([np.empty(0, np.int64), *(np.arange(w.start, w.stop) for _, w in chosen)])
        rows = index.astype(np.int64)
        return ShapePicks(tuple(piece for piece, _ in chosen), self.position_px[rows], self.why.take(rows))

    def allowed(self, may: May, limits: ShapeLimits) -> ShapePicks:
        """Those that the instrument accepts and that may be scanned, each pixel in one of them at most."""
        taken, pieces, rows = np.zeros(may.ask.shape, np.bool_), list[Piece](), [np.empty(0, np.int64)]
        for piece, where in parts(self.pieces):
            pixels = self.position_px[where]
            if piece.shape not in limits.accepted or not inside(pixels, taken.shape).all():
                continue
            keep = _kept(piece, pixels, may, taken, limits)
            part = piece if piece.shape is ScanShape.POINTS else within(piece, may.reach, limits)
            if len(keep) and part is not None:
                taken[tuple(pixels[keep].T)] = True
                pieces.append(replace(part, points=len(keep)))
                rows.append(where.start + keep)
        index = np.concatenate(rows)
        return ShapePicks(tuple(pieces), self.position_px[index], self.why.take(index))

    def split(self, most_points: int, most_s: float, means: ScanMeans) -> tuple[ShapePicks, ShapePicks]:
        """The best shapes within so many points and seconds, ways left out, the best at least, and the rest."""
        first, rest, points, spent_s = list[int](), list[int](), 0, 0.0
        for number, seconds in enumerate(self.seconds(means)):
            fits = points + self.pieces[number].points <= most_points and spent_s + seconds <= most_s
            (first if fits else rest).append(number)
            if fits:
                points, spent_s = points + self.pieces[number].points, spent_s + seconds
        if rest and not first:
            first, rest = rest[:1], rest[1:]
        return self.take(first), self.take(rest)

    def lasting(self, seconds: float, most_points: int, means: ScanMeans) -> ShapePicks:
        """The fewest shapes that keep the instrument busy for so long, or all of them; within so many points."""
        chosen, lasts_s, points = list[int](), 0.0, 0
        for number, takes_s in enumerate(self.seconds(means)):
            if lasts_s >= seconds:
                break
            if points + self.pieces[number].points <= most_points:
                chosen.append(number)
                lasts_s, points = lasts_s + takes_s, points + self.pieces[number].points
        return self.take(chosen)

    def cut(self, most_points: int) -> ShapePicks:
        """The best shapes within so many points."""
        chosen, points = list[int](), 0
        for number, piece in enumerate(self.pieces):
            if points + piece.points <= most_points:
                chosen.append(number)
                points += piece.points
        return self if len(chosen) == len(self.pieces) else self.take(chosen)

    def ordered(self, limits: ShapeLimits, start: ArrayLike | None) -> ShapePicks:
        """The same along a short way, from where the beam stands."""
        route = short_shape_route(self.pieces, self.position_px, limits, start)
        return ShapePicks(tuple(route.pieces), route.position_px, self.why.take(route.index))

    def marked(self, asked: Mask) -> ShapePicks:
        """The same, pixels exposed before told as measured again; nothing is forecast to be gained there."""
        again = asked[tuple(self.position_px.T)]
        reason = np.where(again, _AGAIN, self.why.reason).astype(np.uint8)
        return replace(self, why=replace(self.why, reason=reason))

    def seconds(self, means: ScanMeans) -> list[float]:
        """Declared duration of each shape, without the way to it and what a request costs."""
        timing = means.timing
        ends = [
            exposure_ends_s(self.position_px[where], [piece], None, means.dwell_s, timing)[-1]
            for piece, where in parts(self.pieces)
        ]
        return [float(end) - timing.batch_overhead_s for end in ends]


def _single(piece: Piece) -> list[Piece]:
    return [replace(piece, points=1)] * piece.points if piece.shape is ScanShape.POINTS else [piece]


def _kept(piece: Piece, pixels: Pixels, may: May, taken: Mask, limits: ShapeLimits) -> NDArray[np.int64]:
    """Which of the pixels of a shape are exposed; none where the shape is not scanned at all."""
    at = tuple(pixels.T)
    if piece.shape is ScanShape.POINTS or limits.skips:
        keep = np.flatnonzero(may.ask[at] & ~taken[at])
        whole = piece.shape is ScanShape.POINTS or len(keep) >= _MOSTLY * len(pixels)
        return keep if whole else keep[:0]
    complete = len(pixels) == piece.lines * piece.points_per_line
    good = complete and bool((may.cover[at] & ~may.since[at] & ~taken[at]).all()) and bool(may.ask[at].any())
    return np.arange(len(pixels) if good else 0)
