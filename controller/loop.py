"""Carrying a run out: the asyncio shell between the decisions (`controller.core`) and services, file and operator.

describe → PL → coarse grid → (reconstruct → propose → decide → scan) … → final reconstruction. The instrument always
has a queued batch: a stop-gap until the model has answered, then what the answer asks for. A model that gives no answer
is replaced by space filling. Every way out leads to FINISHED with a reason, a parked instrument and a closed file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.asking import Asks
from controller.batches import GONE
from controller.decided import BUDGET_SPENT, Batch, Enough
from controller.preparing import Prepared, prepare, take_up
from controller.recording import LOST, SESSION_NAME, recorded_beginning
from controller.standing import Standing
from controller.thinking import Thinking
from protocols.errors import GrainloopError
from protocols.memory import give_back_memory
from protocols.messages import Park, Reconstruction, RunCommand, RunEvent, RunFinished, Sync
from protocols.observability import about as lines_about
from protocols.observability import get_logger
from protocols.plan import RunPlan
from protocols.states import FinishReason, RunState, Trigger, move

PIPELINE_DEPTH = 2
"""Batches that are out at any time: one being measured, one queued behind it."""
_PARK_S = 15.0
_PARK_GONE_S = 2.0
_PAST = {"pause": "paused", "resume": "resumed", "stop": "stopped"}


class Run:
    """One run of a plan, from IDLE to FINISHED.

    Args:
        plan: what to measure and how to decide.
        folder: where the session file goes.
        instrument: connection to the instrument service.
        model: connection to the model service.
        on_event: told every event, after it is in the journal.
        sync: when records of the journal must be on disk.
        answers: (h, w) how often each pixel can be measured, where answers come from a recording; else nothing.

    Attributes:
        standing: state and newest event.
    """

    def __init__(
        self,
        plan: RunPlan,
        folder: Path,
        instrument: Asks,
        model: Asks,
        on_event: Callable[[RunEvent], None],
        sync: Sync = Sync.ALWAYS,
        answers: NDArray[np.uint8] | None = None,
    ) -> None:
        self.plan, self.path = plan, folder / SESSION_NAME
        self.standing = Standing(on_event)
        self._instrument, self._model, self._sync, self._answers = instrument, model, sync, answers
        self._ready: Prepared | None = None
        self._work: asyncio.Task[None] | None = None
        self._thinking: Thinking | None = None
        self._asked_over = 0
        self._may_go_on, self._finished = asyncio.Event(), asyncio.Event()
        self._may_go_on.set()
        self._stopped = self._takes_up = False
        self._no_more = self._aborted = ""
        self._fault: GrainloopError | None = None

    @classmethod
    def taken_up(
        cls,
        folder: Path,
        instrument: Asks,
        model: Asks,
        on_event: Callable[[RunEvent], None],
        sync: Sync = Sync.ALWAYS,
    ) -> Run:
        """The run recorded in a folder, to be gone on with after its controller died.

        Raises:
            BadInput: there is no journal in the folder, or its beginning is lost.
        """
        run = cls(recorded_beginning(folder).plan, folder, instrument, model, on_event, sync)
        run._takes_up = True
        return run

    # --- the operator -------------------------------------------------------------------------------------------------
    async def command(self, command: RunCommand) -> RunState:
        """Obey, or refuse; an abort is obeyed when the instrument is parked.

        Raises:
            IllegalState: the table of moves does not allow it now.
            JournalLost, CannotStore: it cannot be recorded; the run fails.
        """
        if command is RunCommand.ABORT:
            move(self.standing.state, Trigger.ABORT)
            self.abort("the operator aborted the run")
            await self._finished.wait()
            return self.standing.state
        self.standing.move(Trigger(command.value))
        try:
            self.standing.say(_PAST[command.value], f"The operator {_PAST[command.value]} the run.")
        except LOST as lost:  # the run must not wait for words that nobody can say any more
            self._fail(lost)
            raise
        if command is RunCommand.PAUSE:
            self._may_go_on.clear()
            if self._ready is not None:
                await self._ready.batches.make_way()
        else:
            self._may_go_on.set()
        if command is RunCommand.STOP:
            self._stop_waiting()
        return self.standing.state

    def abort(self, why: str) -> None:
        """Give everything up at once; `execute` then returns."""
        self._aborted = self._aborted or why
        if self._work is not None:
            self._work.cancel()

    def _fail(self, fault: GrainloopError) -> None:
        self._fault = self._fault or fault
        if self._work is not None:
            self._work.cancel()

    def _stop_waiting(self) -> None:
        """Neither the model's answer nor the queued batch is needed any more; the batch being measured is finished."""
        self._stopped = True
        if self._thinking is not None:
            self._thinking.task.cancel()
        if self._ready is not None:
            self._ready.batches.withdraw_queued()

    # --- the way through ----------------------------------------------------------------------------------------------
    async def execute(self) -> RunFinished:
        """Run to the end; cancelling aborts the run, and the reply says so.

        Raises:
            GrainloopError: nothing could be started: no instrument, a plan outside its limits, no session file.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.standing.move(Trigger.START)
        self._work = asyncio.create_task(self._run())
        try:
            await asyncio.wait([self._work])
        except asyncio.CancelledError:
            self.abort("the controller was stopped")
            await asyncio.wait([self._work])
        error = self._fault or (None if self._work.cancelled() else self._work.exception())
        never_began = self.standing.session is None
        reason, detail = await self._leave(error)
        if error is not None and never_began:
            raise error
        return self._report(reason, detail, loop.time() - began)

    async def _run(self) -> None:
        self._ready = ready = await self._prepare()
        if self.standing.state is RunState.PREPARING:
            self.standing.move(Trigger.PREPARED)
            self.standing.say("running", f"Measuring at most {ready.core.ledger.max_points} points.")
            await self._pump(ready)
        if self.standing.state is RunState.RUNNING:
            self.standing.move(Trigger.DONE)
        if len(ready.core.ledger.points):
            await self._reconstruct_finally(ready)
        await ready.link.close()

    async def _prepare(self) -> Prepared:
        if self._takes_up:
            return await take_up(self.path, self._instrument, self._model, self.standing, self._sync)
        to = self._instrument, self._model
        return await prepare(self.plan, self.path, *to, self.standing, self._sync, self._answers)

    async def _pump(self, ready: Prepared) -> None:
        """Keep the instrument and the model busy until there is nothing more to measure."""
        while True:
            self._ask(ready)
            self._top_up(ready)
            if not len(ready.batches) and self._thinking is not None and not ready.core.ledger.exposures.points_left:
                self._no_more = BUDGET_SPENT
                await self._give_up_thinking()
            if len(ready.batches) or self._thinking is not None:
                await self._step(ready)
            elif self._may_go_on.is_set():
                return
            else:
                await self._may_go_on.wait()

    @property
    def _may_send(self) -> bool:
        return self.standing.state is RunState.RUNNING and not self._no_more and self._may_go_on.is_set()

    def _ask(self, ready: Prepared) -> None:
        """Ask the model as soon as there is news for the batch that comes next."""
        core, over = ready.core, ready.core.ledger.batches_over
        if not self._may_send or self._thinking is not None or core.has_planned or ready.batches.next_is_decided:
            return
        if over == self._asked_over and len(ready.batches):
            return
        self._asked_over, question = over, core.question()
        if question is None:
            self._no_more = core.nothing_more
            return
        ready.session.add_question(core.questions, len(question.points))
        with lines_about(round=core.rounds + 1, question=core.questions):
            self._thinking = Thinking(ready.link.reconstruct(question), core.now_s, len(question.points))

    def _top_up(self, ready: Prepared) -> None:
        """Queue what is planned, then what fills in until the model has answered."""
        while self._may_send and len(ready.batches) < PIPELINE_DEPTH:
            batch = ready.core.next_planned()
            if batch is None and (len(ready.batches) or self._thinking is not None):
                batch = ready.core.stop_gap()
            if batch is None:
                return
            ready.batches.send(batch, {"round": ready.core.rounds})

    async def _step(self, ready: Prepared) -> None:
        """Wait for what happens next, the model's answer or the end of the oldest batch, and see to it."""
        if self._thinking is not None and self._may_go_on.is_set():
            answered = await ready.batches.outlast(self._thinking)
            if answered and self._may_go_on.is_set():
                await self._decide(ready, self._thinking)
                give_back_memory()
                return
        if len(ready.batches):
            await ready.batches.close_oldest()
        else:
            await self._may_go_on.wait()

    async def _decide(self, ready: Prepared, thinking: Thinking) -> None:
        """Put what the model's answer asks for in the place of the stop-gap that waits."""
        core, answered_at, loop = ready.core, thinking.elapsed_s, asyncio.get_running_loop()
        began, self._thinking = loop.time(), None
        answer = await self._answer(ready, thinking)
        if self.standing.state is not RunState.RUNNING:
            return
        stored_at = answered_at + loop.time() - began
        while await ready.batches.ended_by(thinking.asked_s + stored_at):
            await ready.batches.close_oldest()
            self._top_up(ready)
        began = loop.time()
        if answer is not None:
            self._see_drift(ready, answer, thinking.points)
        await ready.batches.make_way()
        decided = core.decide(answer, lambda: stored_at + loop.time() - began)
        predicted = None if answer is None else answer.predicted_wrong
        if isinstance(decided, Batch):
            about = {"round": core.rounds, "data_points": thinking.points, "predicted_wrong": predicted}
            ready.batches.send(decided, about)
        if answer is not None:
            self._keep(ready, "latest", answer, thinking.points)
        if isinstance(decided, Enough):
            ready.session.add_enough(core.questions, decided.why)
            self._no_more = decided.why
            return
        count = len(decided.request.point_id)
        self.standing.say("decided", f"Round {core.rounds}: {count} points chosen by {decided.decided_by}.")

    async def _answer(self, ready: Prepared, thinking: Thinking) -> Reconstruction | None:
        """The model's answer, or nothing: it failed, or the operator stopped the run meanwhile."""
        question = ready.core.questions
        try:
            answer = await thinking.task
        except GrainloopError as error:
            ready.session.add_answer(question, None, str(error))
            self.standing.say("model_failed", f"{error} Space filling decides this batch.")
        except asyncio.CancelledError:
            if not self._stopped or self._aborted:
                raise
        else:
            ready.session.add_answer(question, answer)
            return answer
        return None

    async def _give_up_thinking(self) -> None:
        if self._thinking is not None:
            thinking, self._thinking = self._thinking, None
            await thinking.give_up()

    async def _reconstruct_finally(self, ready: Prepared) -> None:
        try:
            answer = await ready.link.reconstruct(ready.core.final_question())
            if self._see_drift(ready, answer, len(ready.core.ledger.points)):
                answer = await ready.link.reconstruct(ready.core.final_question())
        except GrainloopError as error:
            self.standing.say("final_missing", f"{error} The final reconstruction is missing.")
            return
        self._keep(ready, "final", answer, len(ready.core.ledger.points))

    def _keep(self, ready: Prepared, name: str, answer: Reconstruction, points: int) -> None:
        ready.session.add_inferred(name, answer, points)
        self.standing.predicted_wrong = answer.predicted_wrong
        text = f"{points} points reconstructed by {answer.method}; predicted wrong: {answer.predicted_wrong:.1%}."
        self.standing.say("reconstructed", " ".join([text, *answer.degraded]))

    def _see_drift(self, ready: Prepared, answer: Reconstruction, points: int) -> bool:
        """Whether the newest of so many points show a drift that is taken into account from now on; it is told."""
        core = ready.core
        shift = ready.drift.look(answer, core.ledger.points.block().select(slice(points)))
        if shift is None:
            return False
        if core.plan.correct_drift:
            moved = core.ledger.correct(*shift.whole_px, shift.from_point)
            ready.session.add_correction(core.questions, shift, moved)
            self.standing.say("drift", shift.corrected_words(moved))
        else:
            self.standing.say("drift", f"{shift.words} Their positions are not corrected.")
        return core.plan.correct_drift

    # --- the way out --------------------------------------------------------------------------------------------------
    async def _leave(self, error: BaseException | None) -> tuple[FinishReason, str]:
        """Make the instrument safe, make the last move, write down why, close the file."""
        trigger, reason, detail = self._how_it_ended(error)
        try:
            gone = isinstance(error, GrainloopError) and error.code in GONE
            await self._make_safe(_PARK_GONE_S if gone else _PARK_S)
            self.standing.move(trigger)
            self.standing.say("finished", f"The run has {reason}: {detail.rstrip('.')}.")
            if self.standing.session is not None:
                self.standing.session.finish(reason, detail)
        except GrainloopError as also:  # the session file cannot be written: nothing can be stored, all can be told
            self._close_file()
            reason, detail = FinishReason.FAILED, str(also)
            if self.standing.state is not RunState.FINISHED:
                self.standing.move(Trigger.FAIL)
            self.standing.say("finished", f"The run has {reason}: {detail}")
        finally:
            self._close_file()
            self._finished.set()
        return reason, detail

    def _how_it_ended(self, error: BaseException | None) -> tuple[Trigger, FinishReason, str]:
        if self._aborted:
            return Trigger.ABORT, FinishReason.ABORTED, self._aborted
        if error is None:
            if self._stopped:
                return Trigger.DONE, FinishReason.STOPPED, "the operator stopped the run"
            return Trigger.DONE, FinishReason.COMPLETED, self._no_more
        if isinstance(error, GrainloopError):
            return Trigger.FAIL, FinishReason.FAILED, str(error)
        get_logger(service="controller").error("run failed", exc_info=error)
        return Trigger.FAIL, FinishReason.FAILED, f"a fault in the controller ({type(error).__name__}: {error})"

    async def _make_safe(self, patience_s: float) -> None:
        """Whatever happens to the records, the beam is blanked."""
        try:
            if self._ready is not None:
                await self._ready.batches.withdraw_all()
        finally:
            await self._park(patience_s)
            await self._give_up_thinking()

    async def _park(self, patience_s: float) -> None:
        try:
            await self._instrument.request(Park(), deadline_s=patience_s)
        except GrainloopError as error:
            self.standing.say("not_parked", f"The instrument could not be parked: {error}")

    def _close_file(self) -> None:
        if self._ready is not None:
            self._ready.session.close()
        if self.standing.session is not None:
            self.standing.session.close()
            self.standing.session = None

    def _report(self, reason: FinishReason, detail: str, wall_s: float) -> RunFinished:
        ledger, points = self.standing.ledger, 0
        if ledger is not None:  # what came when nothing could be stored any more does not count
            points = len(ledger.points) if self._ready is None else min(len(ledger.points), self._ready.session.points)
        return RunFinished(
            reason=reason,
            detail=detail,
            session_file=str(self.path),
            points_measured=points,
            rounds=0 if self._ready is None else self._ready.core.rounds,
            instrument_s=0.0 if ledger is None else ledger.clock_s,
            idle_s=0.0 if ledger is None else ledger.idle_s,
            wall_s=wall_s,
        )
