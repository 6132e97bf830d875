"""Choosing lines and rectangles for an instrument that scans them: the best that the model proposes, else a raster.

Which shapes pay is the business of the model service. Unlike points, shapes that nobody chose hardly pay: nothing fills
up a batch, and without an answer a coarse raster is put into the largest gaps.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.decide.choice import Chosen, Wanted, spared
from grainloop.controller.decide.decision import NO_SHAPE, TOO_LITTLE_LEFT
from grainloop.controller.decide.picks import Picks
from grainloop.controller.decide.shape_picks import May, ShapePicks
from grainloop.controller.decide.sizes import LEAST_SHAPES, Size, outlasting_s, planned_points, stop_gap_size
from grainloop.controller.geometry import cheapest_s, evenly, inside, smallest_points
from grainloop.controller.ledger import Ledger
from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.messages import ProposalReason, ProposalRequest, Proposals

Mask = NDArray[np.bool_]


class ShapeChoice:
    """See `controller.decide.choice.Choice`.

    Args:
        ledger: of the run.
        means: what the instrument is asked for, and what that costs.
    """

    def __init__(self, ledger: Ledger, means: ScanMeans) -> None:
        self._ledger, self._means = ledger, means
        self._smallest = min(smallest_points(means.shapes).values())
        self._cheapest_s = sum(cheapest_s(means))
        self._known: Mask = ledger.exposures.asked.copy()
        self._left_over, self._left_known = ShapePicks.none(), self._known

    @property
    def out_of_time(self) -> bool:
        """Whether not even the cheapest shape fits into the time left."""
        least_s = self._means.timing.batch_overhead_s + self._cheapest_s
        return self._ledger.pace.slowest * least_s > self._ledger.time_left_s(0.0)

    def size(self, batches_left: int, now_s: float) -> Size:
        """The plan's share of points and time with room for some shapes; no points where there is none for one."""
        del now_s  # time is limited by itself
        return Size(self._batch_points(batches_left), self._batch_s(batches_left))

    def _batch_points(self, batches_left: int) -> int:
        ledger = self._ledger
        room = min(ledger.exposures.points_left, ledger.terms.max_points_per_request)
        planned = planned_points(ledger, batches_left, ledger.exposures.points_left)
        return 0 if room < self._smallest else min(room, max(planned, LEAST_SHAPES * self._smallest))

    def _batch_s(self, batches_left: int) -> float:
        """Most declared seconds of a batch, ways and request included; infinite where time has no limit."""
        left_s = self._ledger.time_left_s(0.0) / self._ledger.pace.slowest
        least_s = self._means.timing.batch_overhead_s + LEAST_SHAPES * self._cheapest_s
        return max(0.0, min(left_s, max(left_s / max(1, batches_left), least_s, outlasting_s(self._ledger))))

    def proposal_request(self, size: Size) -> ProposalRequest:
        """Shapes for a batch, and some to keep the instrument busy after it while the model thinks."""
        ledger, plan, gap = self._ledger, self._ledger.terms.plan, stop_gap_size(self._ledger)
        reserve_s = max(gap.seconds, self._cheapest_s) if plan.fill_in else 0.0
        reserve = max(gap.points, self._smallest) if plan.fill_in else 0
        budget_s = min(size.seconds + reserve_s, ledger.time_left_s(0.0))
        self._known = ledger.exposures.asked.copy()  # what is asked for until the answer comes is not known to it
        return ProposalRequest(
            count=min(size.points + reserve, ledger.exposures.points_left),
            policy=plan.policy,
            exploration_share=plan.exploration_share,
            excluded_px=np.argwhere(self._barred(size.points)).astype(np.int32),
            means=self._means,
            budget_s=budget_s if math.isfinite(budget_s) else None,
            repeatable_px=np.argwhere(ledger.exposures.repeatable).astype(np.int32),
        )

    def _barred(self, count: int) -> Mask:
        """(h, w) pixels that shapes must keep off, those measured not among them unless points can be left out."""
        exposures = self._ledger.exposures
        queued = np.zeros(exposures.asked.shape, np.bool_)
        there = self._ledger.queued_px()
        queued[tuple(there[inside(there, queued.shape)].T)] = True
        closed = queued | (~exposures.askable if self._means.shapes.skips else ~exposures.coverable)
        return spared(self._ledger, closed, exposures.asked, count)

    def choose(self, proposals: Proposals | None, size: Size) -> Chosen:
        """The best shapes; a coarse raster in the largest gaps where the model proposes no shapes, but not none."""
        allowed = ShapePicks.proposed(proposals).allowed(self._may(self._known), self._means.shapes)
        most_s = size.seconds - self._means.timing.batch_overhead_s
        best, self._left_over = allowed.split(size.points, most_s, self._means)
        self._left_known = self._known
        return Chosen(best, best if len(best) or _proposes_shapes(proposals) else self._evenly(size))

    def stop_gap(self, size: Size) -> Chosen:
        """Shapes that the newest answer left over, and nothing else."""
        left = self._left_over.allowed(self._may(self._left_known), self._means.shapes)
        picks = left.lasting(size.seconds, self._ledger.exposures.points_left, self._means)
        return Chosen(picks, picks)

    def _may(self, known: Mask) -> May:
        """What may be exposed now, by shapes chosen when `known` (h, w) had been asked for."""
        exposures = self._ledger.exposures
        return May(exposures.askable, exposures.coverable, exposures.asked & ~known, exposures.reachable)

    def _evenly(self, size: Size) -> ShapePicks:
        asked, coverable = self._ledger.exposures.asked, self._ledger.exposures.coverable
        pieces = evenly(asked, coverable, size.points, size.seconds, self._means)
        if pieces is None:
            return ShapePicks.none()
        picks = ShapePicks.plain(pieces, self._means.shapes, ProposalReason.SPACE_FILLING)
        return picks.allowed(self._may(asked), self._means.shapes)

    def still(self, planned: Wanted) -> Wanted:
        """Shapes without pixels that were shown meanwhile, where these can be left out; free points without them."""
        exposures = self._ledger.exposures
        if isinstance(planned, Picks):
            return planned.allowed(exposures.askable)
        return planned.allowed(self._may(exposures.asked), self._means.shapes)

    def why_nothing(self, size: Size) -> str:
        """Too little is left for a shape, or none was found."""
        return TOO_LITTLE_LEFT if not size.points or self.out_of_time else NO_SHAPE


def _proposes_shapes(proposals: Proposals | None) -> bool:
    """Whether the model proposes shapes, or that none be scanned."""
    return proposals is not None and (proposals.pieces is not None or not len(proposals.position_px))
