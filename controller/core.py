"""The decisions of a run, without sockets, clocks or files: replies go in, the next request comes out.

What depends on timing comes in from outside and is told with every batch (`When`): how long a decision took, which
batches were over when the model was asked and when it had answered. So the same plan, the same replies and the same
timing give the same decisions again. Running the requests, files and operators is the shell's business
(`controller.loop`); how long things take is learned in `controller.pace`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from controller.decided import Batch, Enough, When
from controller.grid import around, coarse_grid, nearest_of, space_filling, spread_apart
from controller.ledger import Ledger
from controller.picks import Picks
from controller.plans import scan_means, why_no_light
from controller.route import short_path, way_lengths
from controller.shape_picks import ShapePicks
from controller.shaping import Shaping
from protocols.capabilities import Capabilities
from protocols.messages import ProposalReason, ProposalRequest, Proposals, Reconstruction, ReconstructRequest
from protocols.plan import RunPlan
from protocols.shapes import ScanShape

__all__ = ["BY_PLAN", "PIPELINE_DEPTH", "SPACE_FILLING", "Batch", "Core", "Enough", "When"]

Pixels = NDArray[np.int32]

PIPELINE_DEPTH = 2
"""Batches that are out at any time: one being measured, one queued behind it."""

SPACE_FILLING = "space_filling"
BY_PLAN = "plan"
_SEEDS = 2**63
OUTLASTS = 1.25
"""A batch lasts as many times as long as a decision, so that the answer is there before it ends."""
STOP_GAP_DECISIONS = 0.25
"""A stop-gap lasts as long as this share of a decision: long ones are chosen too early, …"""
STOP_GAP_OVERHEADS = 10
"""… and short ones cost more than they measure; so this many times what a request costs, …"""
STOP_GAP_S = 0.2
"""… and no less than messages need to come and go."""
NOTHING_LEFT = "no pixel is left that may be measured"
BUDGET_SPENT = "the budget is spent"
NO_TIME = "no instrument time is left"
TOO_LITTLE_LEFT = "what is left is less than the smallest shape"
NO_SHAPE = "no shape that may be scanned promises anything"


class Core:
    """What to measure next.

    Args:
        plan: what to measure and how to decide.
        capabilities: of the instrument.
        run: a name that no other run of the instrument has; also names the section at the model service.
        answers: (h, w) how often each pixel can be measured, where answers come from a recording; else nothing.

    Attributes:
        ledger: points, budget and clock.
        rounds: adaptive batches decided so far, stop-gaps not counted.
    """

    def __init__(
        self, plan: RunPlan, capabilities: Capabilities, run: str, answers: NDArray[np.uint8] | None = None
    ) -> None:
        self.plan, self.capabilities, self.run = plan, capabilities, run
        self.ledger = Ledger(plan, capabilities, run, answers)
        self.rounds = 0
        self._questions = 0
        self._asked, self._asked_s = When(0), 0.0
        self._decided_s = 0.0
        means = scan_means(plan, capabilities) if answers is None else None  # recorded points are free points
        self._shapes = None if means is None else Shaping(self.ledger, means)
        self._known: NDArray[np.bool_] = self.ledger.exposures.asked.copy()
        self._first_pass: list[Picks | ShapePicks] = []
        self._left_over, self._left_by = Picks.none(), SPACE_FILLING
        self._left_shapes, self._left_known = ShapePicks.none(), self._known

    def begin(self, light_s: float) -> None:
        """Plan the first pass; `light_s` is what the PL images took of the instrument time."""
        self.ledger.begin(light_s)
        shapes = self._shapes
        rasters = [] if shapes is None else shapes.first_pass()
        self._first_pass = [*rasters] if rasters or self._needs_rasters else [*self._plan_first_pass()]

    @property
    def _needs_rasters(self) -> bool:
        return self._shapes is not None and ScanShape.POINTS not in self._shapes.means.shapes.accepted

    @property
    def has_planned(self) -> bool:
        """Whether parts of the first pass are left to send."""
        return bool(self._first_pass)

    def next_planned(self) -> Batch | None:
        """The next part of the first pass, or nothing when it is all out (or out of instrument time)."""
        while self._first_pass:
            if (batch := self._make(self._first_pass.pop(0), BY_PLAN)) is not None:
                return batch
        return None

    def stop_gap(self) -> Batch | None:
        """A short batch for while the model thinks: what its last answer left over, then the largest gaps.

        Nothing where the plan wants none, or no point may be added.
        """
        count = self._stop_gap_size() if self.plan.fill_in else 0
        if count == 0:
            return None
        if self._shapes is not None:
            return self._shape_stop_gap(self._shapes)
        picks = self._left_over.allowed(self.ledger.exposures.askable & ~self._near_queued())
        picks = picks.take(slice(count))
        decided_by = self._left_by if len(picks) else SPACE_FILLING
        return self._make(picks.then(self._fill(picks, count - len(picks))), decided_by, stop_gap=True)

    def _shape_stop_gap(self, shapes: Shaping) -> Batch | None:
        """Shapes that the last answer left over; nothing else, since shapes that nobody chose hardly pay."""
        picks = self._left_shapes.allowed(shapes.may(self._left_known), shapes.means.shapes)
        picks = picks.lasting(self._stop_gap_s, self.ledger.exposures.points_left, shapes.means)
        return self._make(picks, self._left_by, stop_gap=True)

    def question(self) -> ReconstructRequest | None:
        """What to ask the model before the next batch; nothing when no point may be added."""
        count = self._batch_size()
        if (
            count == 0
            or not self.ledger.exposures.askable.any()
            or (self._shapes is not None and self._shapes.out_of_time)
        ):
            return None
        propose = self._points_wanted(count) if self._shapes is None else self._shapes_wanted(self._shapes, count)
        question, ledger, self._known = self._ask(propose), self.ledger, self.ledger.exposures.asked.copy()
        self._asked = When(0, self._questions, ledger.batches_sent, ledger.batches_over)
        self._asked_s = self.now_s
        return question

    def _points_wanted(self, count: int) -> ProposalRequest:
        reserve = self._stop_gap_size() if self.plan.fill_in and self.ledger.pace.decision_s else 0
        return ProposalRequest(
            count=min(count + reserve, self.ledger.exposures.asked.size),
            policy=self.plan.policy,
            exploration_share=self.plan.exploration_share,
            excluded_px=np.argwhere(self._keep_away(count)).astype(np.int32),
            repeatable_px=np.argwhere(self.ledger.exposures.repeatable).astype(np.int32),
        )

    def _shapes_wanted(self, shapes: Shaping, count: int) -> ProposalRequest:
        """Shapes for a batch, and some to keep the instrument busy after it while the model thinks."""
        reserve_s = max(self._stop_gap_s, shapes.cheapest_s) if self.plan.fill_in else 0.0
        reserve = max(self._stop_gap_size(), shapes.smallest) if self.plan.fill_in else 0
        budget_s = min(self._batch_s(shapes) + reserve_s, self.ledger.time_left_s(0.0))
        return ProposalRequest(
            count=min(count + reserve, self.ledger.exposures.points_left),
            policy=self.plan.policy,
            exploration_share=self.plan.exploration_share,
            excluded_px=np.argwhere(shapes.barred(self._near_queued(), count)).astype(np.int32),
            means=shapes.means,
            budget_s=budget_s if math.isfinite(budget_s) else None,
            repeatable_px=np.argwhere(self.ledger.exposures.repeatable).astype(np.int32),
        )

    def _batch_s(self, shapes: Shaping) -> float:
        lasting_s = OUTLASTS * self.ledger.pace.decision_s if self.plan.fill_in else 0.0
        return shapes.batch_s(self.plan.batches - self.rounds, lasting_s)

    def final_question(self) -> ReconstructRequest:
        """What to ask the model when everything is measured."""
        return self._ask(None)

    @property
    def questions(self) -> int:
        """How many questions were asked: the number of the newest."""
        return self._questions

    @property
    def now_s(self) -> float:
        """Instrument time of the newest thing that happened."""
        return max(self.ledger.clock_s, self._decided_s)

    def decide(self, answer: Reconstruction | None, elapsed_s: Callable[[], float]) -> Batch | Enough:
        """The next batch.

        Args:
            answer: of the model to the last `question`, or nothing when it gave none: then space filling decides.
            elapsed_s: wall time since that question; called once, when the batch is chosen and ordered.
        """
        if answer is not None and answer.predicted_wrong < self.plan.stop_below:
            predicted = f"{answer.predicted_wrong:.2%} of the pixels"
            return Enough(f"the predicted share of wrong pixels, {predicted}, is below {self.plan.stop_below:.2%}")
        proposals = None if answer is None else answer.proposals
        picks = self._chosen(proposals) if self._shapes is None else self._chosen_shapes(self._shapes, proposals)
        if (why := self._hardly_pays(picks)) is not None:
            return Enough(why)
        decided_by = self._left_by = proposals.policy if proposals is not None and len(picks) else SPACE_FILLING
        if isinstance(picks, Picks):
            picks = picks.then(self._fill(picks, self._batch_size() - len(picks)))
        elif self._shapes is not None and not len(picks) and not _proposes_shapes(proposals):
            picks = self._shapes.evenly(self._batch_size(), self._batch_s(self._shapes))
        if not len(picks):
            return Enough(self.nothing_more)
        batch = self._make(picks, decided_by, elapsed_s)
        if batch is None:
            return Enough(NO_TIME)
        if answer is not None:
            self.ledger.pace.decision_took(batch.when.elapsed_s)
        self.rounds += 1
        return batch

    @property
    def nothing_more(self) -> str:
        """Why no point is asked for any more, where nobody else says so."""
        if not self.ledger.exposures.points_left:
            return BUDGET_SPENT
        if self._shapes is None:
            return NOTHING_LEFT
        return TOO_LITTLE_LEFT if not self._batch_size() or self._shapes.out_of_time else NO_SHAPE

    def _chosen(self, proposals: Proposals | None) -> Picks:
        picks, self._left_over = (
            Picks.proposed(proposals).allowed(self.ledger.exposures.askable).split(self._batch_size())
        )
        return picks

    def _chosen_shapes(self, shapes: Shaping, proposals: Proposals | None) -> ShapePicks:
        allowed = ShapePicks.proposed(proposals).allowed(shapes.may(self._known), shapes.means.shapes)
        most_s = self._batch_s(shapes) - shapes.means.timing.batch_overhead_s
        picks, self._left_shapes = allowed.split(self._batch_size(), most_s, shapes.means)
        self._left_known = self._known
        return picks

    def _hardly_pays(self, picks: Picks | ShapePicks) -> str | None:
        """Why a batch of these picks is not worth its time; nothing when it is, or when nobody forecast its gain."""
        least = self.plan.least_gain_per_s
        if not least or not len(picks):
            return None
        path = self._ordered(picks)
        pays = float(picks.why.gain.sum()) / self.ledger.expected_s(path.position_px, path.pieces)
        if pays >= least:
            return None
        return f"the next batch would put {pays:.3g} pixels right per second, below {least:.3g}"

    def _plan_first_pass(self) -> list[Picks]:
        """The coarse grid in parts: what is held back is a thin, even sample, queued while the model thinks."""
        budget = self.ledger.affordable_points()
        light = why_no_light(self.plan, self.capabilities) is None
        wanted = self.plan.first_pass_points(budget, self.capabilities.grid.size, light=light)
        grid = coarse_grid(self.capabilities.grid.shape_px, wanted)
        grid = grid if self.ledger.answers is None else nearest_of(grid, self.ledger.answers > 0)
        later = min(math.ceil((budget - len(grid)) / self.plan.batches), len(grid) // 2)
        held_back = spread_apart(grid, later) if later else np.zeros(len(grid), np.bool_)
        most = self.capabilities.max_points_per_scan
        parts = [grid[~held_back], grid[held_back]]
        pieces = [part[i : i + most] for part in parts for i in range(0, len(part), most)]
        return [Picks.plain(piece, ProposalReason.FIRST_PASS) for piece in pieces]

    def _batch_size(self) -> int:
        """The plan's share of what is left, or more where the instrument should not wait and that would not last."""
        share = math.ceil(self._likely_left / max(1, self.plan.batches - self.rounds))
        lasting = self._points_lasting(OUTLASTS * self.ledger.pace.decision_s) if self.plan.fill_in else 0
        planned = min(max(share, lasting), self.ledger.exposures.points_left, self.capabilities.max_points_per_scan)
        return planned if self._shapes is None else self._shapes.batch_points(planned)

    @property
    def _likely_left(self) -> int:
        """About how many points may still be measured, by number and, where that is limited, in the time left."""
        left, left_s = self.ledger.exposures.points_left, self.ledger.time_left_s(self.now_s)
        if self._shapes is not None or not left or not math.isfinite(left_s):
            return left
        return self.ledger.pace.points_within(left_s / self.ledger.pace.slowest, left)

    def _stop_gap_size(self) -> int:
        """No more points than a batch of the plan."""
        size = self._points_lasting(self._stop_gap_s)
        planned = math.ceil(self.ledger.max_points / self.plan.batches)
        return min(size, planned, self.ledger.exposures.points_left, self.capabilities.max_points_per_scan)

    @property
    def _stop_gap_s(self) -> float:
        thinking_s = STOP_GAP_DECISIONS * self.ledger.pace.decision_s
        request_s = STOP_GAP_OVERHEADS * self.capabilities.timing.batch_overhead_s
        return max(thinking_s, request_s, STOP_GAP_S)

    def _points_lasting(self, seconds: float) -> int:
        return self.ledger.pace.points_lasting(seconds) if seconds else 0

    def _ask(self, propose: ProposalRequest | None) -> ReconstructRequest:
        self._questions += 1
        return ReconstructRequest(
            section_key=self.run,
            points=self.ledger.points.block(),
            method=self.plan.method,
            n_samples=self.plan.n_samples,
            steps=self.plan.steps,
            seed=(self.plan.seed + self._questions) % _SEEDS,
            propose=propose,
            want_light=propose is None,
        )

    def _near_queued(self) -> NDArray[np.bool_]:
        """(h, w) pixels so near to a queued point that its result may settle them."""
        ledger = self.ledger
        spacing = math.sqrt(ledger.exposures.asked.size / max(1, ledger.exposures.points_asked))
        return around(ledger.queued_px(), spacing / 2, self.capabilities.grid.shape_px)

    def _keep_away(self, count: int) -> NDArray[np.bool_]:
        """(h, w) pixels not to propose: not askable, or near a queued point while enough others are left."""
        near = self._near_queued() | ~self.ledger.exposures.askable
        return near if (~near).sum() >= 4 * count else ~self.ledger.exposures.askable

    def _fill(self, picks: Picks, missing: int) -> Picks:
        if missing <= 0:
            return Picks.none()
        taken = self.ledger.exposures.asked | ~self.ledger.exposures.reachable
        taken[tuple(picks.position_px.T)] = True
        return Picks.plain(space_filling(taken, missing, self.ledger.exposures.never), ProposalReason.SPACE_FILLING)

    def _make(
        self,
        picks: Picks | ShapePicks,
        decided_by: str,
        elapsed_s: Callable[[], float] | None = None,
        *,
        stop_gap: bool = False,
    ) -> Batch | None:
        """A batch along a short path, cut down (worst picks first) to the points and the time that are left.

        With `elapsed_s` it answers the last question, else it is decided now.
        """
        picks, decided_s, when = picks.cut(self.ledger.exposures.points_left), self.now_s, None
        while len(picks):
            path = self._ordered(picks)
            if when is None:
                when = self._when(elapsed_s)
                decided_s = decided_s if when.question is None else max(decided_s, self._asked_s + when.elapsed_s)
            expected = self.ledger.expected_s(path.position_px, path.pieces)
            left = self.ledger.time_left_s(decided_s)
            if expected <= left:
                self._decided_s = decided_s
                travel = way_lengths(path.position_px, start=self.ledger.beam_px)
                request = self.ledger.order(path.position_px, decided_s, path.pieces)
                return Batch(request, path.why, travel, decided_by, when, stop_gap)
            picks = picks.cut(min(len(picks) - 1, math.floor(len(picks) * max(0.0, left) / expected)))
        return None

    def _ordered(self, picks: Picks | ShapePicks) -> Picks | ShapePicks:
        """The same along a short way, pixels of a raster that were exposed before told as such."""
        if isinstance(picks, Picks):
            return picks.take(short_path(picks.position_px, self.ledger.beam_px))
        return picks.ordered(self.capabilities.shapes, self.ledger.beam_px).marked(self.ledger.exposures.asked)

    def _when(self, elapsed_s: Callable[[], float] | None) -> When:
        over = self.ledger.batches_over
        if elapsed_s is None:
            return When(over)
        asked = self._asked
        return When(over, asked.question, asked.asked_sent, asked.asked_over, elapsed_s())


def _proposes_shapes(proposals: Proposals | None) -> bool:
    return proposals is not None and (proposals.pieces is not None or not len(proposals.position_px))
