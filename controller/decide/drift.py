"""Does the beam still go where it went before? New points against the map that was made before they were measured.

An instrument believes its own positions, so a drift of the beam or the stage shows only on the specimen. Points are
asked for along boundaries, where a shift of a pixel makes another grain answer; so the new points of a batch say at
which shift they agree best with the map of the points before them, whose boundaries PL has drawn. Nothing is measured
again for that. A shift is told when it makes clearly more points agree than none does, with the last map or with the
first one: a slow drift has moved the last map along, but that says better how far. What follows from it for the points
and for the beam is the business of `controller.ledger.ledger`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.ledger import Moved, way_words
from grainloop.model.crystal import disorientation_deg, laue_group
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.messages import Reconstruction
from grainloop.protocols.values import PointBlock

AGREES_DEG = 5.0
REACH_PX = 5
FEWEST_POINTS, MOST_POINTS = 100, 600
CLEAR = 3.5
"""Standard errors of the mean gain by which a shift must be better than none: it is the best of many."""
CLEAR_ALONE, CONFIRMED = 5.0, 2.0
"""The same where there is one map only, and of the first map where the last one shows a shift: maps of few points have
their boundaries beside the true ones, by chance all the same way."""
SMALLEST_PX = 0.75
ALONG = 0.7
"""Cosine of the angle up to which two shifts point the same way."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Shift:
    """Where new points lie against those before.

    Attributes:
        rows_px, columns_px: the beam hit the specimen so much farther down and right than the positions say.
        points: that told.
        gain: share of them that agree with the map there and not where they are said to be.
        clear: that gain in standard errors.
        from_point: id of the point from which on they lie so.
    """

    rows_px: float
    columns_px: float
    points: int
    gain: float
    clear: float
    from_point: int = 0

    @property
    def length_px(self) -> float:
        """How far."""
        return math.hypot(self.rows_px, self.columns_px)

    def along(self, other: Shift) -> bool:
        """Whether both point the same way."""
        along = self.rows_px * other.rows_px + self.columns_px * other.columns_px
        return along >= ALONG * self.length_px * other.length_px

    @property
    def whole_px(self) -> tuple[int, int]:
        """The same in whole pixels, rows and columns: what points on a grid can be moved by."""
        return round(self.rows_px), round(self.columns_px)

    @property
    def words(self) -> str:
        """A sentence for people."""
        return (
            f"A drift of about {self.length_px:.1f} px found: the newest {self.points} points agree best with the map "
            f"{way_words(self.rows_px, self.columns_px, '.1f')} of where they are said to be."
        )

    def corrected_words(self, moved: Moved) -> str:
        """What was done about it, for people."""
        beside = f"; {moved.outside} of these are beside the grid then" if moved.outside else ""
        return (
            f"{self.words} {moved.points} points count {way_words(*self.whole_px)} of there{beside}, and the beam is "
            "aimed by that from now on."
        )

    @property
    def found(self) -> bool:
        """Whether it is a drift and no accident."""
        return self.clear >= CLEAR and self.length_px >= SMALLEST_PX


class Watch:
    """Compares the newest points of a run with its last reconstruction that was made without them, and with its first.

    Args:
        laue_groups: of each phase.
    """

    def __init__(self, laue_groups: Mapping[int, str]) -> None:
        self._laue_groups = laue_groups
        self._first: Reconstruction | None = None
        self._before: Reconstruction | None = None
        self._newest = -1

    def look(self, answer: Reconstruction, points: PointBlock) -> Shift | None:
        """The shift of the newest `points` (all that `answer` was made from), if there is one."""
        before, newest = self._before, self._newest
        self._before, self._newest = answer, int(points.point_id.max(initial=-1))
        if before is None or self._first is None:
            self._first = answer
            return None
        new = points.select(points.point_id > newest)
        near = shift_of(new, before, self._laue_groups)
        if near is None or near.length_px < SMALLEST_PX:
            return None
        if before is self._first:
            return near if near.clear >= CLEAR_ALONE else None
        far = shift_of(new, self._first, self._laue_groups)
        if far is None or not near.along(far):
            return None
        if near.found and far.clear >= CONFIRMED:
            return near
        return replace(near, gain=far.gain, clear=far.clear, from_point=int(new.point_id[0])) if far.found else None


def groups_of(capabilities: Capabilities) -> dict[int, str]:
    """Phase → Laue group."""
    return {phase.phase_id: laue_group(phase.point_group).name for phase in capabilities.phases}


def shift_of(points: PointBlock, before: Reconstruction, laue_groups: Mapping[int, str]) -> Shift | None:
    """Where `points`, measured after the map `before` was made, lie against it; nothing when they are too few.

    Args:
        points: new ones; only indexed ones count.
        before: the map of the points measured earlier.
        laue_groups: of each phase.
    """
    shape = before.phase_id.shape
    inner = ((points.position_px >= REACH_PX) & (points.position_px < np.array(shape) - REACH_PX)).all(axis=1)
    told = points.select(points.indexed & inner)
    if len(told) < FEWEST_POINTS:
        return None
    told = told.select(slice(None, None, math.ceil(len(told) / MOST_POINTS)))
    steps = np.arange(-REACH_PX, REACH_PX + 1)
    agrees = _agree(told, before, laue_groups, np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1))
    share = agrees.mean(axis=2)
    smooth = _smooth(share)
    best = divmod(int(np.argmax(smooth)), smooth.shape[1])
    here = agrees[REACH_PX, REACH_PX]
    more = agrees[best].astype(np.float64) - here
    error = max(float(more.std()) / math.sqrt(len(told)), 1 / len(told))
    down, right = (_top(smooth, best, axis) - REACH_PX for axis in (0, 1))
    first = int(np.argmax(np.cumsum(more[::-1])[::-1]))  # before it, the points do not agree better there
    from_point = int(told.point_id[first])
    return Shift(down, right, len(told), float(more.mean()), float(more.mean()) / error, from_point)


def _agree(
    points: PointBlock, before: Reconstruction, laue_groups: Mapping[int, str], by_px: NDArray[np.int64]
) -> Flags:
    """(..., N) bool, points that the map shows the orientation of, `by_px` (..., 2) beside their positions."""
    rows, columns = np.moveaxis(points.position_px + by_px[..., None, :], -1, 0)
    shown, measured = before.phase_id[rows, columns], np.broadcast_to(points.orientation, (*rows.shape, 4))
    agrees = np.zeros(rows.shape, np.bool_)
    for number in np.unique(points.phase_id):
        own = (points.phase_id == number) & (shown == number)
        there = before.orientation[rows[own], columns[own]]
        agrees[own] = disorientation_deg(measured[own], there, laue_groups[int(number)]) < AGREES_DEG
    return agrees


def _smooth(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Averaged over neighbouring shifts (1 2 1 along both axes), so that one lucky shift does not win."""
    padded = np.pad(share, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16


def _top(height: NDArray[np.float64], best: tuple[int, int], axis: int) -> float:
    """Where along an axis a parabola through the highest value and its neighbours is highest."""
    at = best[axis]
    line = height[:, best[1]] if axis == 0 else height[best[0]]
    if not 0 < at < len(line) - 1:
        return float(at)
    left, middle, right = line[at - 1 : at + 2].tolist()
    bend = left - 2 * middle + right
    return at + (0.5 * (left - right) / bend if bend < 0 else 0.0)
