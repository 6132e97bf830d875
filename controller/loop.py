"""Carrying a run out: the asyncio shell between the decisions (`controller.core`) and services, file and operator.

describe → PL → coarse grid → (reconstruct → propose → decide → scan) … → final reconstruction. Two batches are always
out. A model that gives no answer is replaced by space filling. Every way out leads to FINISHED with a reason, a parked
instrument and a closed file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from controller.asking import Asks
from controller.batches import GONE
from controller.core import PIPELINE_DEPTH, Batch, Enough
from controller.preparing import Prepared, prepare
from controller.standing import Standing
from protocols.errors import GrainloopError
from protocols.messages import Park, Reconstruction, ReconstructRequest, RunCommand, RunEvent, RunFinished
from protocols.plan import RunPlan
from protocols.states import FinishReason, RunState, Trigger, move

SESSION_NAME = "session.h5"
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
        on_event: told every event, after it is in the session file.

    Attributes:
        standing: state and newest event.
    """

    def __init__(
        self, plan: RunPlan, folder: Path, instrument: Asks, model: Asks, on_event: Callable[[RunEvent], None]
    ) -> None:
        self.plan, self.path = plan, folder / SESSION_NAME
        self.standing = Standing(on_event)
        self._instrument, self._model = instrument, model
        self._ready: Prepared | None = None
        self._work: asyncio.Task[None] | None = None
        self._thinking: asyncio.Task[Reconstruction] | None = None
        self._may_go_on, self._finished = asyncio.Event(), asyncio.Event()
        self._may_go_on.set()
        self._stopped = False
        self._no_more = self._aborted = ""

    # --- the operator -------------------------------------------------------------------------------------------------
    async def command(self, command: RunCommand) -> RunState:
        """Obey, or refuse; an abort is obeyed when the instrument is parked.

        Raises:
            IllegalState: the table of moves does not allow it now.
        """
        if command is RunCommand.ABORT:
            move(self.standing.state, Trigger.ABORT)
            self.abort("the operator aborted the run")
            await self._finished.wait()
            return self.standing.state
        self.standing.move(Trigger(command.value))
        self.standing.say(_PAST[command.value], f"The operator {_PAST[command.value]} the run.")
        if command is RunCommand.PAUSE:
            self._may_go_on.clear()
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

    def _stop_waiting(self) -> None:
        """Neither the model's answer nor the queued batch is needed any more; the batch being measured is finished."""
        self._stopped = True
        if self._thinking is not None:
            self._thinking.cancel()
        if self._ready is not None:
            self._ready.batches.withdraw_queued()

    # --- the way through ----------------------------------------------------------------------------------------------
    async def execute(self) -> RunFinished:
        """Run to the end; cancelling aborts the run, and the reply says so.

        Raises:
            GrainloopError: nothing could be started: no instrument, a plan outside its limits, no session file.
        """
        began = time.monotonic()
        self.standing.move(Trigger.START)
        self._work = asyncio.create_task(self._run())
        try:
            await asyncio.wait([self._work])
        except asyncio.CancelledError:
            self.abort("the controller was stopped")
            await asyncio.wait([self._work])
        error = None if self._work.cancelled() else self._work.exception()
        never_began = self.standing.session is None
        reason, detail = await self._leave(error)
        if error is not None and never_began:
            raise error
        return self._report(reason, detail, time.monotonic() - began)

    async def _run(self) -> None:
        self._ready = ready = await prepare(self.plan, self.path, self._instrument, self._model, self.standing)
        if self.standing.state is RunState.PREPARING:
            self.standing.move(Trigger.PREPARED)
            self.standing.say("running", f"Measuring at most {ready.core.ledger.max_points} points.")
            await self._pump(ready)
            await self._may_go_on.wait()
        if self.standing.state is RunState.RUNNING:
            self.standing.move(Trigger.DONE)
        if len(ready.core.ledger.points):
            await self._reconstruct_finally(ready)
        await ready.link.close()

    async def _pump(self, ready: Prepared) -> None:
        """Keep two batches out; close them oldest first, so that what a decision knows never depends on timing."""
        while True:
            while len(ready.batches) < PIPELINE_DEPTH and (decided := await self._next(ready)) is not None:
                ready.batches.send(*decided)
            if not len(ready.batches):
                return
            await ready.batches.close_oldest()

    async def _next(self, ready: Prepared) -> tuple[Batch, dict[str, Any]] | None:
        """The next batch and what is known about its decision; nothing when there is none to send now."""
        await self._may_go_on.wait()
        if self.standing.state is not RunState.RUNNING or self._no_more:
            return None
        if (planned := ready.core.next_planned()) is not None:
            return planned, {"round": 0}
        return await self._decide(ready) if ready.batches.closed or not len(ready.batches) else None

    async def _decide(self, ready: Prepared) -> tuple[Batch, dict[str, Any]] | None:
        core, began = ready.core, time.monotonic()
        question = core.question()
        if question is None:
            self._no_more = "the budget is spent"
            return None
        answer = await self._answer(ready, question)
        if self.standing.state is RunState.STOPPING:
            return None
        decided = core.decide(answer, lambda: time.monotonic() - began)
        if isinstance(decided, Enough):
            self._no_more = decided.why
            return None
        seconds, count = time.monotonic() - began, len(decided.request.point_id)
        self.standing.say("decided", f"Round {core.rounds}: {count} points chosen by {decided.decided_by}.")
        predicted = None if answer is None else answer.predicted_wrong
        about = {"round": core.rounds, "data_points": len(question.points), "predicted_wrong": predicted}
        return decided, about | {"seconds": seconds}

    async def _answer(self, ready: Prepared, question: ReconstructRequest) -> Reconstruction | None:
        """The model's answer, or nothing: it failed, or the operator stopped the run meanwhile."""
        self._thinking = asyncio.create_task(ready.link.reconstruct(question))
        try:
            answer = await self._thinking
        except GrainloopError as error:
            self.standing.say("model_failed", f"{error} Space filling decides this batch.")
            return None
        except asyncio.CancelledError:
            self._thinking.cancel()
            if self._stopped and not self._aborted:
                return None
            raise
        self._keep(ready, "latest", answer, len(question.points))
        return answer

    async def _reconstruct_finally(self, ready: Prepared) -> None:
        try:
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
            self.standing.session = None
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
        structlog.get_logger(service="controller").error("run failed", exc_info=error)
        return Trigger.FAIL, FinishReason.FAILED, f"a fault in the controller ({type(error).__name__}: {error})"

    async def _make_safe(self, patience_s: float) -> None:
        """Whatever happens to the records, the beam is blanked."""
        try:
            if self._ready is not None:
                await self._ready.batches.withdraw_all()
        finally:
            await self._park(patience_s)

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
        ledger = self.standing.ledger
        return RunFinished(
            reason=reason,
            detail=detail,
            session_file=str(self.path),
            points_measured=0 if ledger is None else len(ledger.points),
            rounds=0 if self._ready is None else self._ready.core.rounds,
            instrument_s=0.0 if ledger is None else ledger.clock_s,
            idle_s=0.0 if ledger is None else ledger.idle_s,
            wall_s=wall_s,
        )
