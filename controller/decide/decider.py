"""The decisions of a run, without sockets, clocks or files: replies go in, the next request comes out.

The first pass by plan, then batches by what the model answers, and stop-gaps while it thinks. What is chosen is the
business of `controller.decide.choice`, what it costs and what is left that of `controller.ledger.ledger`; running the
requests, files and operators is the shell's (`controller.run.run`).

What depends on timing comes in from outside and is told with every batch (`When`): how long a decision took, which
batches were over when the model was asked and when it had answered. So the same plan, the same replies and the same
timing give the same decisions again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.decide.choice import Choice, Wanted
from grainloop.controller.decide.decision import BUDGET_SPENT, NO_TIME, Batch, Enough, When
from grainloop.controller.decide.first_pass import first_pass
from grainloop.controller.decide.picks import Picks
from grainloop.controller.decide.point_choice import PointChoice
from grainloop.controller.decide.shape_choice import ShapeChoice
from grainloop.controller.decide.sizes import Size, stop_gap_size
from grainloop.controller.geometry import short_path, way_lengths
from grainloop.controller.ledger import Ledger
from grainloop.controller.plans import Terms
from grainloop.protocols.messages import ProposalRequest, Reconstruction, ReconstructRequest

_SPACE_FILLING = "space_filling"
_BY_PLAN = "plan"
_SEEDS = 2**63


class Decider:
    """What to measure next.

    Args:
        terms: what was planned, and the instrument.
        run: a name that no other run of the instrument has; also names the section at the model service.
        answers: (h, w) how often each pixel can be measured, where answers come from a recording; else nothing.

    Attributes:
        ledger: points, budget and clock.
        rounds: adaptive batches decided so far, stop-gaps not counted.
        questions: that the model was asked so far: the number of the newest.
    """

    def __init__(self, terms: Terms, run: str, answers: NDArray[np.uint8] | None = None) -> None:
        self.terms, self.run = terms, run
        self.ledger = Ledger(terms, run, answers)
        self.rounds = self.questions = 0
        self._asked, self._asked_s = When(0), 0.0
        self._decided_s = 0.0
        self._means = terms.means if answers is None else None  # recorded points are free points
        self._choice: Choice = (
            PointChoice(self.ledger) if self._means is None else ShapeChoice(self.ledger, self._means)
        )
        self._first_pass = deque[Wanted]()
        self._chosen_by = _SPACE_FILLING

    @property
    def now_s(self) -> float:
        """Instrument time of the newest thing that happened."""
        return max(self.ledger.clock_s, self._decided_s)

    # --- the first pass -----------------------------------------------------------------------------------------------
    def begin(self, light_s: float) -> None:
        """Plan the first pass; `light_s` is what the PL images took of the instrument time."""
        self.ledger.begin(light_s)
        self._first_pass.extend(first_pass(self.ledger, self._means))

    @property
    def has_planned(self) -> bool:
        """Whether parts of the first pass are left to send."""
        return bool(self._first_pass)

    def next_planned(self) -> Batch | None:
        """The next part of the first pass, or nothing when it is all out (or out of instrument time)."""
        while self._first_pass:
            picks = self._choice.still(self._first_pass.popleft())
            if (batch := self._make(picks, _BY_PLAN)) is not None:
                return batch
        return None

    # --- while the model thinks ---------------------------------------------------------------------------------------
    def stop_gap(self) -> Batch | None:
        """A short batch for while the model thinks; nothing where the plan wants none, or no point may be added."""
        size = stop_gap_size(self.ledger)
        if not size.points:
            return None
        chosen = self._choice.stop_gap(size)
        decided_by = self._chosen_by if len(chosen.proposed) else _SPACE_FILLING
        return self._make(chosen.batch, decided_by, stop_gap=True)

    # --- the model ----------------------------------------------------------------------------------------------------
    def question(self) -> ReconstructRequest | None:
        """What to ask the model before the next batch; nothing when no point may be added."""
        size, ledger = self._size, self.ledger
        if not size.points or not ledger.exposures.askable.any() or self._choice.out_of_time:
            return None
        question = self._ask(self._choice.proposal_request(size))
        self._asked = When(0, self.questions, ledger.batches_sent, ledger.batches_over)
        self._asked_s = self.now_s
        return question

    def final_question(self) -> ReconstructRequest:
        """What to ask the model when everything is measured."""
        return self._ask(None)

    def _ask(self, propose: ProposalRequest | None) -> ReconstructRequest:
        plan = self.terms.plan
        self.questions += 1
        return ReconstructRequest(
            section_key=self.run,
            points=self.ledger.points.block(),
            method=plan.method,
            n_samples=plan.n_samples,
            steps=plan.steps,
            seed=(plan.seed + self.questions) % _SEEDS,
            propose=propose,
            want_light=propose is None,
        )

    def decide(self, answer: Reconstruction | None, elapsed_s: Callable[[], float]) -> Batch | Enough:
        """The next batch.

        Args:
            answer: of the model to the last `question`, or nothing when it gave none: then space filling decides.
            elapsed_s: wall time since that question; called once, when the batch is chosen and ordered.
        """
        least_wrong = self.terms.plan.stop_below
        if answer is not None and answer.predicted_wrong < least_wrong:
            predicted = f"{answer.predicted_wrong:.2%} of the pixels"
            return Enough(f"the predicted share of wrong pixels, {predicted}, is below {least_wrong:.2%}")
        proposals = None if answer is None else answer.proposals
        chosen = self._choice.choose(proposals, self._size)
        if (why := self._hardly_pays(chosen.proposed)) is not None:
            return Enough(why)
        self._chosen_by = proposals.policy if proposals is not None and len(chosen.proposed) else _SPACE_FILLING
        if not len(chosen.batch):
            return Enough(self.nothing_more)
        batch = self._make(chosen.batch, self._chosen_by, elapsed_s)
        if batch is None:
            return Enough(NO_TIME)
        if answer is not None:
            self.ledger.pace.decision_took(batch.when.elapsed_s)
        self.rounds += 1
        return batch

    @property
    def nothing_more(self) -> str:
        """Why no point is asked for any more, where nobody else says so."""
        return self._choice.why_nothing(self._size) if self.ledger.exposures.points_left else BUDGET_SPENT

    @property
    def _size(self) -> Size:
        return self._choice.size(self.terms.plan.batches - self.rounds, self.now_s)

    def _hardly_pays(self, picks: Wanted) -> str | None:
        """Why a batch of these picks is not worth its time; nothing when it is, or when nobody forecast its gain."""
        least = self.terms.plan.least_gain_per_s
        if not least or not len(picks):
            return None
        path = self._ordered(picks)
        pays = float(picks.why.gain.sum()) / self.ledger.expected_s(path.position_px, path.pieces)
        if pays >= least:
            return None
        return f"the next batch would put {pays:.3g} pixels right per second, below {least:.3g}"

    # --- a batch ------------------------------------------------------------------------------------------------------
    def _make(
        self,
        picks: Wanted,
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

    def _ordered(self, picks: Wanted) -> Wanted:
        """The same along a short way, pixels of a raster that were exposed before told as such."""
        if isinstance(picks, Picks):
            return picks.take(short_path(picks.position_px, self.ledger.beam_px))
        return picks.ordered(self.terms.capabilities.shapes, self.ledger.beam_px).marked(self.ledger.exposures.asked)

    def _when(self, elapsed_s: Callable[[], float] | None) -> When:
        over = self.ledger.batches_over
        if elapsed_s is None:
            return When(over)
        asked = self._asked
        return When(over, asked.question, asked.asked_sent, asked.asked_over, elapsed_s())
