"""The way through a run: (ask the model → decide → scan) …, with the instrument and the model kept busy.

The instrument always has a queued batch: a stop-gap until the model has answered, then what the answer asks for. A
model that gives no answer is replaced by space filling. What to measure is decided in `controller.decide.decider`;
beginning and end of the run are the business of `controller.run.run`.
"""

from __future__ import annotations

import asyncio

from grainloop.controller.decide import BUDGET_SPENT, Batch, Enough
from grainloop.controller.journal import (
    LatestMaps,
    QuestionAnswered,
    QuestionAsked,
    Reconstructed,
    Stopped,
    answered_entry,
    corrected_entry,
)
from grainloop.controller.run.links import Thinking
from grainloop.controller.run.prepare import Prepared
from grainloop.controller.run.standing import Standing
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.memory import give_back_memory
from grainloop.protocols.messages import EventKind, Reconstruction, RunCommand
from grainloop.protocols.observability import about as lines_about
from grainloop.protocols.sentences import counted, one_line
from grainloop.protocols.states import RunState

PIPELINE_DEPTH = 2
"""Batches that are out at any time: one being measured, one queued behind it."""


class Pump:
    """Measures until there is nothing more to measure.

    Args:
        ready: what to work with.
        standing: of the run.
        depth: batches that are out at any time: with 1 every decision knows all that was asked for before, and the
            instrument waits for it.

    Attributes:
        ready: what it works with.
        no_more: why nothing more is measured, once that is so.
    """

    def __init__(self, ready: Prepared, standing: Standing, depth: int = PIPELINE_DEPTH) -> None:
        self.no_more, self._depth = "", depth
        self.ready, self._decider, self._batches, self._standing = ready, ready.decider, ready.batches, standing
        self._thinking: Thinking | None = None
        self._asked_over = 0
        self._stopped = False
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()

    # --- the operator -------------------------------------------------------------------------------------------------
    async def obey(self, command: RunCommand) -> None:
        """Pause, with the stop-gap taken back that waits, resume, or stop, as the state of the run has it already."""
        if command is RunCommand.PAUSE:
            self.hold()
            await self._batches.make_way()
            return
        if self._standing.has_room.is_set():
            self._may_go_on.set()
        if command is RunCommand.STOP:
            self._stop_waiting()

    def hold(self) -> None:
        """Send nothing more until the run goes on."""
        self._may_go_on.clear()

    def _stop_waiting(self) -> None:
        """Neither the model's answer nor the queued batch is needed any more; the batch being measured is finished."""
        self._stopped = True
        if self._thinking is not None:
            self._thinking.task.cancel()
        self._batches.withdraw_queued()

    # --- the way through ----------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Keep the instrument and the model busy until there is nothing more to measure.

        Raises:
            GrainloopError: the run cannot go on.
        """
        while True:
            self._ask()
            self._top_up()
            if not len(self._batches) and self._thinking is not None and not self._decider.ledger.exposures.points_left:
                self.no_more = BUDGET_SPENT
                await self.give_up_thinking()
            if len(self._batches) or self._thinking is not None:
                await self._step()
            elif self._may_go_on.is_set():
                return
            else:
                await self._may_go_on.wait()

    @property
    def _may_send(self) -> bool:
        standing = self._standing
        may = standing.state is RunState.RUNNING and standing.has_room.is_set() and self._may_go_on.is_set()
        return may and not self.no_more

    def _ask(self) -> None:
        """Ask the model as soon as there is news for the batch that comes next."""
        decider, over = self._decider, self._decider.ledger.batches_over
        if not self._may_send or self._thinking is not None or decider.has_planned:
            return
        if self._batches.decided_behind(self._depth - 1):
            return
        if over == self._asked_over and len(self._batches):
            return
        self._asked_over, question = over, decider.question()
        if question is None:
            self.no_more = decider.nothing_more
            return
        self.ready.session.record(QuestionAsked(question=decider.questions, points=len(question.points)))
        with lines_about(round=decider.rounds + 1, question=decider.questions):
            answering, points = self.ready.link.reconstruct(question), len(question.points)
            declared_s = self.ready.decision_s(decider.questions)
            self._thinking = Thinking(answering, decider.now_s, points, declared_s)

    def _top_up(self) -> None:
        """Queue what is planned, then what fills in until the model has answered."""
        while self._may_send and len(self._batches) < self._depth:
            batch = self._decider.next_planned()
            if batch is None and self._depth > 1 and (len(self._batches) or self._thinking is not None):
                batch = self._decider.stop_gap()
            if batch is None:
                return
            self._batches.send(batch, {"round": self._decider.rounds})

    async def _step(self) -> None:
        """Wait for what happens next, the model's answer or the end of the oldest batch, and see to it."""
        if self._thinking is not None and self._may_go_on.is_set():
            answered = await self._batches.outlast(self._thinking)
            if answered and self._may_go_on.is_set():
                await self._decide(self._thinking)
                give_back_memory()
                return
        if len(self._batches):
            await self._batches.close_oldest()
        else:
            await self._may_go_on.wait()

    async def _decide(self, thinking: Thinking) -> None:
        """Put what the model's answer asks for in the place of the stop-gap that waits."""
        decider, self._thinking = self._decider, None
        with thinking.deciding():
            answer = await self._answer(thinking)
        if self._standing.state is not RunState.RUNNING:
            return
        while await self._batches.ended_by(thinking.asked_s + thinking.elapsed_s):
            await self._batches.close_oldest()
            self._top_up()
        with thinking.deciding():
            if answer is not None:
                see_drift(self.ready, self._standing, answer, thinking.points)
            await self._batches.make_way()
            decided = decider.decide(answer, lambda: thinking.elapsed_s)
        predicted = None if answer is None else answer.predicted_wrong
        if isinstance(decided, Batch):
            about = {"round": decider.rounds, "data_points": thinking.points, "predicted_wrong": predicted}
            self._batches.send(decided, about)
        if answer is not None:
            self.ready.session.show(LatestMaps(decider.questions, thinking.points, answer))
            say_reconstructed(self._standing, answer, thinking.points)
        if isinstance(decided, Enough):
            self.ready.session.record(Stopped(question=decider.questions, why=decided.why))
            self.no_more = decided.why
            return
        count = len(decided.request.point_id)
        by = one_line(decided.decided_by)
        text = f"Round {decider.rounds}: {counted(count, 'point')} chosen by {by}."
        numbers = {"round": decider.rounds, "batch": decided.request.batch, "points": count}
        self._standing.say(EventKind.DECIDED, text, **numbers)

    async def _answer(self, thinking: Thinking) -> Reconstruction | None:
        """The model's answer, or nothing: it failed, or the operator stopped the run meanwhile."""
        question, task = self._decider.questions, asyncio.current_task()
        try:
            answer = await thinking.task
        except GrainloopError as error:
            self.ready.session.record(QuestionAnswered(question=question, error=str(error)))
            self._standing.say(EventKind.MODEL_FAILED, f"{error} Space filling decides this batch.")
        except asyncio.CancelledError:
            if not self._stopped or (task is not None and task.cancelling()):  # it is the run that is cancelled
                raise
        else:
            self.ready.session.record(answered_entry(question, answer))
            return answer
        return None

    async def give_up_thinking(self) -> None:
        """Withdraw the question that the model is at, if any."""
        if self._thinking is not None:
            thinking, self._thinking = self._thinking, None
            await thinking.give_up()


def say_reconstructed(standing: Standing, answer: Reconstruction, points: int) -> None:
    """Tell of maps that were made from so many points."""
    standing.predicted_wrong = answer.predicted_wrong
    made, by = counted(points, "point"), one_line(answer.method)
    text = f"{made} reconstructed by {by}; predicted wrong: {answer.predicted_wrong:.1%}."
    standing.say(EventKind.RECONSTRUCTED, " ".join([text, *map(one_line, answer.degraded)]), points=points)


def see_drift(ready: Prepared, standing: Standing, answer: Reconstruction, points: int) -> bool:
    """Whether the newest of so many points show a drift that is taken into account from now on; it is told."""
    decider = ready.decider
    shift = ready.drift.look(answer, decider.ledger.points.block().select(slice(points)))
    if shift is None:
        return False
    if decider.terms.plan.correct_drift:
        moved = decider.ledger.correct(*shift.whole_px, shift.from_point)
        correction = corrected_entry(decider.questions, shift, moved)
        ready.session.record(correction)
        standing.say(EventKind.DRIFT, shift.corrected_words(moved), **correction.numbers)
    else:
        text = f"{shift.words} Their positions are not corrected."
        found = {"found_rows_px": shift.rows_px, "found_columns_px": shift.columns_px}
        standing.say(EventKind.DRIFT, text, points=shift.points, gain=shift.gain, clear=shift.clear, **found)
    return decider.terms.plan.correct_drift


async def reconstruct_finally(ready: Prepared, standing: Standing) -> None:
    """Ask for the map of all points, once more where it shows a drift, and store it; without it the run is complete."""
    decider, link = ready.decider, ready.link
    try:
        answer = await link.reconstruct(decider.final_question())
        if see_drift(ready, standing, answer, len(decider.ledger.points)):
            answer = await link.reconstruct(decider.final_question())
    except GrainloopError as error:
        standing.say(EventKind.FINAL_MISSING, f"{error} The final reconstruction is missing.")
        return
    points = len(decider.ledger.points)
    ready.session.record(Reconstructed(points=points, answer=answer))
    say_reconstructed(standing, answer, points)
