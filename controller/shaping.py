"""How much to ask of an instrument that scans lines and rectangles: first pass, batches, stop-gaps, and the fallback.

Decisions themselves, and when they are made, are the business of `controller.core`; which shapes pay is that of the
model service. Everything follows from ledger, plan and declared costs.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from controller.grid import inside
from controller.ledger import Ledger
from controller.rasters import cheapest_s, densest, evenly, in_parts, raster_px, smallest_points
from controller.shape_picks import May, ShapePicks
from protocols.capabilities import ScanMeans
from protocols.messages import ProposalReason
from protocols.shapes import Piece, Pixel, ScanShape

_AT_LEAST = 2
"""Shapes that a batch has room for, so that there is something to choose."""
_CHEAP = 0.02
"""A first pass is divided in two, so that the model sees one half early, where that costs no more than this share."""


class Shaping:
    """Shapes of one run.

    Args:
        ledger: of the run.
        means: what the instrument is asked for, and what that costs.
    """

    def __init__(self, ledger: Ledger, means: ScanMeans) -> None:
        self._ledger, self.means = ledger, means
        self.smallest = min(smallest_points(means.shapes).values())
        self._waits_s, self._exposes_s = cheapest_s(means)

    @property
    def cheapest_s(self) -> float:
        """Declared duration of the cheapest shape."""
        return self._waits_s + self._exposes_s

    def first_pass(self) -> list[ShapePicks]:
        """The coarse raster in parts.

        It takes the plan's share of the budget, and more where later shapes would mostly wait: of the rest, only the
        share of a shape's time that is exposure. All of the budget where what is left would not pay for two shapes.
        """
        ledger, plan = self._ledger, self._ledger.plan
        shape_px: Pixel = (ledger.exposures.asked.shape[0], ledger.exposures.asked.shape[1])
        later = (1 - plan.first_pass) * self._exposes_s / self.cheapest_s
        points, seconds = ledger.exposures.points_left, ledger.time_left_s(0.0)
        later_points = math.floor(later * points)
        later_points = later_points if later_points >= _AT_LEAST * self.smallest else 0
        later_s = later * seconds if math.isfinite(seconds) else 0.0
        later_s = later_s if later_s >= self.means.timing.batch_overhead_s + _AT_LEAST * self.cheapest_s else 0.0
        if math.isfinite(seconds) and not later_s:
            later_points = 0
        pieces = densest(shape_px, self.means, points - later_points, seconds - later_s)
        if pieces is None:
            return []
        halves = _halves(pieces, self._cost_of_two(pieces), self.means)
        most = ledger.capabilities.max_points_per_scan
        requests = [part for half in halves for part in in_parts(half, most, self.means.shapes)]
        return [ShapePicks.plain(one, self.means.shapes, ProposalReason.FIRST_PASS) for one in requests]

    def _cost_of_two(self, pieces: list[Piece]) -> float:
        """Share of the time of a raster that dividing it would add; what is left of the budget has to hold it."""
        timing = self.means.timing
        more_s = timing.batch_overhead_s + timing.settle_s + timing.start_s(pieces[0].shape)
        whole_s = self._ledger.expected_s(raster_px(pieces, self.means.shapes), pieces)
        return math.inf if whole_s + more_s > self._ledger.time_left_s(0.0) else more_s / whole_s

    def batch_points(self, planned: int) -> int:
        """Most points of a batch for which the plan has so many, room for some shapes; 0 where not one is left."""
        room = min(self._ledger.exposures.points_left, self._ledger.capabilities.max_points_per_scan)
        return 0 if room < self.smallest else min(room, max(planned, _AT_LEAST * self.smallest))

    def batch_s(self, batches_left: int, at_least_s: float) -> float:
        """Most declared seconds of a batch, ways and request included: the share of the time left; infinite if any."""
        left_s = self._ledger.time_left_s(0.0) / self._ledger.pace.slowest
        least_s = self.means.timing.batch_overhead_s + _AT_LEAST * self.cheapest_s
        return max(0.0, min(left_s, max(left_s / max(1, batches_left), least_s, at_least_s)))

    def barred(self, near: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
        """(h, w) pixels that shapes must keep off, those measured not among them unless points can be left out.

        Args:
            near: pixels near what is queued, which may be settled by it.
            count: points wanted; where little else is left, pixels near queued ones may be asked for.
        """
        ledger = self._ledger
        queued = np.zeros(ledger.exposures.asked.shape, np.bool_)
        there = ledger.queued_px()
        queued[tuple(there[inside(there, queued.shape)].T)] = True
        closed = queued | (~ledger.exposures.askable if self.means.shapes.skips else ~ledger.exposures.coverable)
        free = ~(near | closed | ledger.exposures.asked)
        return closed | near if free.sum() >= 4 * count else closed

    def may(self, known: NDArray[np.bool_]) -> May:
        """What may be exposed now, by shapes chosen when `known` (h, w) had been asked for."""
        exposures = self._ledger.exposures
        return May(exposures.askable, exposures.coverable, exposures.asked & ~known)

    @property
    def out_of_time(self) -> bool:
        """Whether not even the cheapest shape fits into the time left."""
        least_s = self.means.timing.batch_overhead_s + self.cheapest_s
        return self._ledger.pace.slowest * least_s > self._ledger.time_left_s(0.0)

    def evenly(self, most_points: int, most_s: float) -> ShapePicks:
        """What decides without the model: a coarse raster in the largest gaps."""
        ledger = self._ledger
        pieces = evenly(ledger.exposures.asked, ledger.exposures.coverable, most_points, most_s, self.means)
        if pieces is None:
            return ShapePicks.none()
        picks = ShapePicks.plain(pieces, self.means.shapes, ProposalReason.SPACE_FILLING)
        return picks.allowed(self.may(ledger.exposures.asked), self.means.shapes)


def _halves(pieces: list[Piece], cost: float, means: ScanMeans) -> list[list[Piece]]:
    """Every other line of a raster first, the others then, where that is cheap; else the raster."""
    one = pieces[0]
    if cost > _CHEAP or not means.shapes.skips or len(pieces) > 1 or one.shape is not ScanShape.RECTANGLES:
        return [pieces]
    least = means.shapes.smallest_rectangle_points[0]
    down = one.line_step_px[0]
    if one.lines // 2 < least or 2 * down > means.shapes.largest_step_px:
        return [pieces]
    halves: list[list[Piece]] = []
    for first, lines in ((0, -(-one.lines // 2)), (1, one.lines // 2)):
        start = (one.first_px[0] + first * down, one.first_px[1])
        points = lines * one.points_per_line
        step = (2 * down, 0) if lines > 1 else (0, 0)
        halves.append([replace(one, points=points, first_px=start, lines=lines, line_step_px=step)])
    return halves
