"""What was asked for and exposed, pixel by pixel of the specimen, and what may still be: the limits of a plan.

A point counts from the moment it is asked for, because the beam may have been there even when its result is lost. Which
request asks for it, when, and what its point is, is the business of `controller.ledger.ledger`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.ledger.aim import Aim
from grainloop.controller.plans import Terms
from grainloop.protocols.values import PointBlock

Pixels = NDArray[np.int32]
Mask = NDArray[np.bool_]
_ROUNDING = 1e-9
_SINGLE_PRECISION = 1e-6


class Exposures:
    """Exposures of one section.

    Args:
        terms: what was planned, and the instrument.
        aim: which pixels the beam can be sent to.
        answers: (h, w) how often each pixel can be measured, where answers come from a recording; else nothing.

    Attributes:
        asked: (h, w) bool, pixels that were asked for, or cannot be.
        points_asked: points asked for so far and not taken back.
    """

    def __init__(self, terms: Terms, aim: Aim, answers: NDArray[np.uint8] | None = None) -> None:
        self._plan, self._max_points, self._dwell_s = terms.plan, terms.max_points, terms.dwell_s
        self._aim, self._answers, shape_px = aim, answers, terms.shape_px
        self.asked: Mask = np.zeros(shape_px, np.bool_) if answers is None else answers == 0
        self._failed: Mask = np.zeros(shape_px, np.bool_)
        self._times: NDArray[np.uint8] = np.zeros(shape_px, np.uint8)
        self._dose_s: NDArray[np.float64] = np.zeros(shape_px, np.float64)
        self.points_asked, self._exposure_s = 0, 0.0

    # --- what may be asked for ----------------------------------------------------------------------------------------
    @property
    def points_left(self) -> int:
        """Points that may still be asked for."""
        left, limit = self._max_points - self.points_asked, self._plan.budget.exposure_s
        if limit is not None:
            left = min(left, math.floor((limit - self._exposure_s) / self._dwell_s + _ROUNDING))
        return max(0, left)

    @property
    def askable(self) -> Mask:
        """(h, w) bool, pixels that may be asked for: those never asked for and those that may be repeated, in reach."""
        return (~self.asked | self.repeatable) & self.reachable

    @property
    def repeatable(self) -> Mask:
        """(h, w) bool, pixels whose measurement brought no orientation and may be repeated by the plan.

        A point whose result was lost is not among them: nobody knows how long the beam was there.
        """
        just_enough = self.points_left == np.count_nonzero(~self.asked & self.reachable)  # to measure every pixel once
        may = self._failed & (self._times <= self._plan.repeats) & (not just_enough)
        may = may if self._answers is None else may & (self._times < self._answers)
        return may & self._has_room

    @property
    def coverable(self) -> Mask:
        """(h, w) bool, pixels that a raster may pass over: in reach, and with room for one more exposure."""
        return self.reachable & self._has_room

    @property
    def _has_room(self) -> Mask | bool:
        most_s = self._plan.budget.pixel_exposure_s
        return True if most_s is None else self._dose_s + self._dwell_s <= most_s * (1 + _ROUNDING)

    @property
    def reachable(self) -> Mask:
        """(h, w) bool, pixels that can be measured: the beam can be sent there, and a recording holds them."""
        reach = self._aim.reachable(self.asked.shape)
        return reach if self._answers is None else reach & (self._answers > 0)

    @property
    def never(self) -> Mask:
        """(h, w) bool, pixels that nothing is known of and that cannot be measured."""
        return ~self.reachable & (self._times == 0)

    # --- what happens -------------------------------------------------------------------------------------------------
    def ask(self, pixels: Pixels) -> Mask:
        """Count pixels (N, 2), each of them once, as asked for; returns (N,) which had brought no orientation."""
        where = tuple(pixels.T)
        failed = self._failed[where]
        self._spend(where, 1)
        self._failed[where] = False
        return failed

    def take_back(self, pixels: Pixels, failed: Mask) -> None:
        """Undo `ask`, which returned `failed`."""
        where = tuple(pixels.T)
        self._spend(where, -1)
        self._failed[where] = failed

    def _spend(self, where: tuple[NDArray[np.int32], ...], sign: int) -> None:
        self._times[where] = self._times[where].astype(np.int64) + sign
        self.asked[where] = self._times[where] > 0
        self._dose_s[where] += sign * self._dwell_s
        self._exposure_s += sign * len(where[0]) * self._dwell_s
        self.points_asked += sign * len(where[0])

    def measured(self, block: PointBlock, beside: Mask) -> None:
        """Count points of the grid as they were reported; `beside` (N,) are those not measured at their targets."""
        self.measured_there(block, beside)
        self._failed[tuple(block.position_px.T)] = ~block.indexed

    def measured_there(self, block: PointBlock, beside: Mask) -> None:
        """The same of points that are no reason to repeat a pixel, whether they brought an orientation or not."""
        there = tuple(block.position_px[beside].T)
        self.asked[there] = True
        np.add.at(self._times, there, 1)
        np.add.at(self._dose_s, there, self._dwell_s)
        np.add.at(self._dose_s, tuple(block.position_px.T), self._longer_s(block))

    def exposed_longer(self, block: PointBlock) -> None:
        """Count in all by how much points, on the grid or beside it, were exposed longer than asked for."""
        self._exposure_s += float(self._longer_s(block).sum())

    def moved_away(self, pixels: Pixels) -> None:
        """Points (N, 2) were not measured there, but they stay asked for: an estimate is no reason to expose twice."""
        self._failed[tuple(pixels.T)] = False

    def _longer_s(self, block: PointBlock) -> NDArray[np.float64]:
        """(N,) how much longer points were exposed than asked for."""
        longer_s = block.dwell_s.astype(np.float64) - self._dwell_s
        longer_s[np.abs(longer_s) < _SINGLE_PRECISION * self._dwell_s] = 0.0
        return longer_s
