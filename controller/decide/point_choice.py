"""Choosing free points: the best that the model proposes, and the largest gaps where that is not enough."""

from __future__ import annotations

import numpy as np

from grainloop.controller.decide.choice import Chosen, Wanted, near_queued, spared
from grainloop.controller.decide.decision import NOTHING_LEFT
from grainloop.controller.decide.picks import Picks
from grainloop.controller.decide.sizes import Size, likely_left, planned_points, stop_gap_size
from grainloop.controller.geometry import space_filling
from grainloop.controller.ledger import Ledger
from grainloop.protocols.messages import ProposalReason, ProposalRequest, Proposals


class PointChoice:
    """See `controller.decide.choice.Choice`.

    Args:
        ledger: of the run.
    """

    out_of_time = False
    """Never: of free points, as many are measured as fit."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._left_over = ledger, Picks.none()

    def size(self, batches_left: int, now_s: float) -> Size:
        """The plan's share of what may still be measured, or what outlasts a decision."""
        return Size(planned_points(self._ledger, batches_left, likely_left(self._ledger, now_s)))

    def proposal_request(self, size: Size) -> ProposalRequest:
        """Points for a batch, and for the stop-gap after it once decisions are known to take a while."""
        ledger, plan, closed = self._ledger, self._ledger.terms.plan, ~self._ledger.exposures.askable
        reserve = stop_gap_size(ledger).points if ledger.pace.decision_s else 0
        return ProposalRequest(
            count=min(size.points + reserve, ledger.exposures.asked.size),
            policy=plan.policy,
            exploration_share=plan.exploration_share,
            excluded_px=np.argwhere(spared(ledger, closed, closed, size.points)).astype(np.int32),
            repeatable_px=np.argwhere(ledger.exposures.repeatable).astype(np.int32),
        )

    def choose(self, proposals: Proposals | None, size: Size) -> Chosen:
        """The best points; what explores is among them."""
        allowed = Picks.proposed(proposals).allowed(self._ledger.exposures.askable)
        best, self._left_over = allowed.split(size.points)
        return self._filled(best, size.points)

    def stop_gap(self, size: Size) -> Chosen:
        """What is left over of the newest answer, but for points that what is queued may settle."""
        left = self._left_over.allowed(self._ledger.exposures.askable & ~near_queued(self._ledger))
        return self._filled(left.take(slice(size.points)), size.points)

    def _filled(self, picks: Picks, count: int) -> Chosen:
        """With points in the largest gaps, so that there are so many."""
        if len(picks) >= count:
            return Chosen(picks, picks)
        exposures = self._ledger.exposures
        taken = exposures.asked | ~exposures.reachable
        taken[tuple(picks.position_px.T)] = True
        gaps = space_filling(taken, count - len(picks), exposures.never)
        return Chosen(picks, picks.then(Picks.plain(gaps, ProposalReason.SPACE_FILLING)))

    def still(self, planned: Wanted) -> Wanted:
        """Without points that were shown meanwhile."""
        return planned.allowed(self._ledger.exposures.askable) if isinstance(planned, Picks) else planned

    def why_nothing(self, size: Size) -> str:
        """No pixel is left, then."""
        del size
        return NOTHING_LEFT
