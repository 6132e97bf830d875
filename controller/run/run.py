"""A run from its beginning to its end: the asyncio shell around decisions, services, file and operator.

describe → PL → coarse grid → (reconstruct → propose → decide → scan) … → final reconstruction. Getting ready is the
business of `controller.run.prepare`, measuring that of `controller.run.pump`, the way out that of
`controller.run.finish`; the states in between are those of `protocols.states`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.decide import Decider
from grainloop.controller.journal import JournalLost
from grainloop.controller.record import SESSION_NAME, Recording, View, recorded_beginning
from grainloop.controller.run.finish import Ending, WayOut, how_it_ended
from grainloop.controller.run.links import Asks, DecisionTime
from grainloop.controller.run.prepare import Begins, Prepared, prepare, take_up
from grainloop.controller.run.pump import PIPELINE_DEPTH, Pump, reconstruct_finally
from grainloop.controller.run.room import Room
from grainloop.controller.run.standing import Standing
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.messages import EventKind, RunCommand, RunFinished, Sync
from grainloop.protocols.observability import get_logger
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.sentences import counted
from grainloop.protocols.states import RunState, Trigger, move

_PAST = {
    RunCommand.PAUSE: EventKind.PAUSED,
    RunCommand.RESUME: EventKind.RESUMED,
    RunCommand.STOP: EventKind.STOPPED,
}


class Run:
    """One run of a plan, from IDLE to FINISHED.

    Args:
        plan: what to measure and how to decide.
        folder: where the session file goes.
        instrument: connection to the instrument service.
        model: connection to the model service.
        views: shown everything that is recorded, after it is in the journal.
        sync: when records of the journal must be on disk.
        answers: (h, w) how often each pixel can be measured, where answers come from a recording; else nothing.
        records: begins the recording.
        decision_s: what a decision counts on the instrument clock, where that is not as in the plan.
        depth: batches that are out at any time, see `controller.run.pump`.

    Attributes:
        standing: state and newest event.
    """

    def __init__(
        self,
        plan: RunPlan,
        folder: Path,
        instrument: Asks,
        model: Asks,
        views: Iterable[View] = (),
        sync: Sync = Sync.ALWAYS,
        answers: NDArray[np.uint8] | None = None,
        records: Begins = Recording.begin,
        decision_s: DecisionTime | None = None,
        depth: int = PIPELINE_DEPTH,
    ) -> None:
        self.plan, self.path = plan, folder / SESSION_NAME
        self.standing = Standing(views)
        self._instrument, self._model, self._sync = instrument, model, sync
        self._answers, self._records, self._decision_s, self._depth = answers, records, decision_s, depth
        self._room = Room(self.standing, self._hold, self._obeyed, self._fail)
        self.standing.when_full = self._room.none_left
        self._pump: Pump | None = None
        self._work: asyncio.Task[None] | None = None
        self._finished = asyncio.Event()
        self._stopped = self._takes_up = False
        self._aborted = ""
        self._fault: GrainloopError | None = None

    @classmethod
    def taken_up(
        cls,
        folder: Path,
        instrument: Asks,
        model: Asks,
        views: Iterable[View] = (),
        sync: Sync = Sync.ALWAYS,
    ) -> Run:
        """The run recorded in a folder, to be gone on with after its controller died.

        Raises:
            BadInput: there is no journal in the folder, or its beginning is lost.
        """
        run = cls(recorded_beginning(folder).plan, folder, instrument, model, views, sync)
        run._takes_up = True
        return run

    # --- the operator -------------------------------------------------------------------------------------------------
    async def command(self, command: RunCommand) -> RunState:
        """Obey, or refuse; an abort is obeyed when the instrument is parked.

        Raises:
            IllegalState: the table of moves does not allow it now, or there is no room to go on.
            JournalLost: it cannot be recorded; the run fails.
        """
        if command is RunCommand.ABORT:
            move(self.standing.state, Trigger.ABORT)
            self.abort("the operator aborted the run")
            await self._finished.wait()
            return self.standing.state
        if command is RunCommand.RESUME and self.standing.state is RunState.PAUSED:
            self._room.require()
        self.standing.move(Trigger(command.value))
        try:
            self.standing.say(_PAST[command], f"The operator {_PAST[command]} the run.")
            if command is RunCommand.STOP and self.standing.session is not None:
                self.standing.session.require_stored()
        except JournalLost as lost:  # the run must not wait for words that nobody can say any more
            self._fail(lost)
            raise
        self._stopped = self._stopped or command is RunCommand.STOP
        await self._obeyed(command)
        return self.standing.state

    def _hold(self) -> None:
        if self._pump is not None:
            self._pump.hold()

    async def _obeyed(self, command: RunCommand) -> None:
        if self._pump is not None:
            await self._pump.obey(command)

    def abort(self, why: str) -> None:
        """Give everything up at once; `execute` then returns."""
        self._aborted = self._aborted or why
        if self._work is not None:
            self._work.cancel()

    def _fail(self, fault: GrainloopError) -> None:
        self._fault = self._fault or fault
        if self._work is not None:
            self._work.cancel()

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
        self._room.close()
        never_began = self.standing.session is None
        way_out = WayOut(self._instrument, self.standing, self._pump)
        try:
            ending = await way_out.leave(self._ending(error), error)
        finally:
            self._finished.set()
        if error is not None and never_began:
            raise error
        return way_out.report(ending, self.path, loop.time() - began)

    async def _run(self) -> None:
        ready = await self._prepare()
        await self.standing.has_room.wait()
        self._pump = pump = Pump(ready, self.standing, self._depth)
        if self.standing.state is RunState.PREPARING:
            self.standing.move(Trigger.PREPARED)
            most = ready.decider.ledger.terms.max_points
            self.standing.say(EventKind.RUNNING, _beginning(ready.decider), points=most)
            await pump.run()
        if self.standing.state is RunState.RUNNING:
            self.standing.move(Trigger.DONE)
        if len(ready.decider.ledger.points):
            await reconstruct_finally(ready, self.standing)
            await self.standing.has_room.wait()
        await ready.link.close()

    async def _prepare(self) -> Prepared:
        if self._takes_up:
            return await take_up(self.path, self._instrument, self._model, self.standing, self._sync)
        to = self._instrument, self._model
        how = self._answers, self._records, self._decision_s
        return await prepare(self.plan, self.path, *to, self.standing, self._sync, *how)

    def _ending(self, error: BaseException | None) -> Ending:
        if error is not None and not isinstance(error, GrainloopError) and not self._aborted:
            get_logger(service="controller").error("run failed", exc_info=error)
        no_more = "" if self._pump is None else self._pump.no_more
        return how_it_ended(error, aborted=self._aborted, stopped=self._stopped, no_more=no_more)


def _beginning(decider: Decider) -> str:
    """What is going to be measured, and what a decision counts where that is declared."""
    most, decision_s = decider.terms.max_points, decider.terms.plan.decision_s
    counts = "" if decision_s is None else f" A decision counts {decision_s:.2f} s, however long it takes."
    return f"Measuring at most {counted(most, 'point')}.{counts}"
