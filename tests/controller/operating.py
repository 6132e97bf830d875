"""A controller, an operator and bad luck, as steps in virtual time.

The controller service is the real one, without its socket; instrument, model and links are those of
`tests.controller.faulty` and `tests.controller.link`. What must hold after each step is the business of
`tests.controller.run.test_state_machine`.
"""

from __future__ import annotations

import asyncio
import errno
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from grainloop.controller.journal.writing import Journal, JournalLost
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.controller.run.standing import Standing
from grainloop.controller.serve.service import ControlService
from grainloop.controller.session.writer import SessionFile
from grainloop.protocols.aio import Call
from grainloop.protocols.errors import Busy, ErrorCode, GrainloopError, IllegalState
from grainloop.protocols.messages import (
    Accepted,
    Command,
    FollowRun,
    GetStatus,
    ResumeRequest,
    RunCommand,
    RunFinished,
    RunRequest,
    RunStatus,
    Sync,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.record_file import NoRoom, RecordFile
from grainloop.protocols.states import MOVES, FinishReason, RunState, Trigger
from tests.controller.fakes import DWELL_S, capabilities
from tests.controller.faulty import MODEL_FAULTS, SCAN_FAULTS, FaultyInstrument, FaultyModel
from tests.controller.link import Link
from tests.controller.noted import Listener, Recorded, taken_up_at_once
from tests.controller.virtual_time import VirtualLoop

SHAPE, MOST = (9, 8), 30
AT_ONCE_S, SOON_S, ABORT_S, AT_LAST_S = 0.0, 1.0, 60.0, 7200.0
plans = st.builds(
    RunPlan,
    budget=st.builds(
        Budget,
        fraction=st.just(1.0),
        points=st.integers(1, MOST),
        exposure_s=st.sampled_from([None, 12 * DWELL_S]),
        instrument_s=st.sampled_from([None, 3.0]),
    ),
    batches=st.integers(1, 4),
    fill_in=st.booleans(),
    repeats=st.integers(0, 1),
    use_light=st.booleans(),
    light_angles_deg=st.just((0.0, 45.0, 90.0)),
    model_deadline_s=st.just(20.0),
)
waits = st.sampled_from([AT_ONCE_S, 0.01, 0.03, 0.1, 0.3, SOON_S, 30.0])


class Operated(RuleBasedStateMachine):
    """A controller, an operator and bad luck."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.home = Path(tempfile.mkdtemp())
        self.recorded: dict[Path, Recorded] = {}
        self.latest: Recorded | None = None
        self.moves: list[tuple[int, RunState, Trigger, RunState]] = []
        self.full, self.view_may_be_lost, self.failed_without_room = "", False, set[str]()
        self.links: dict[str, Link] = {}
        self.all_links: list[Link] = []
        self.asking: asyncio.Task[Any] | None = None
        self.following: list[asyncio.Task[Any]] = []
        self.patches = ExitStack()
        self._watch()

    def _watch(self) -> None:
        """Note every move and every record, fill the disk on demand, and put the links in the place of clients."""
        machine, append, move = self, Journal.append, Standing.move
        write, flush, close = RecordFile.write, SessionFile.flush, h5py.File.close

        def noted_append(journal: Journal, entry: Any) -> int:
            number = append(journal, entry)
            machine.recorded.setdefault(journal.folder, Recorded(journal.folder)).add(entry)
            return number

        def noted_move(standing: Standing, trigger: Trigger) -> RunState:
            before = standing.state
            after = move(standing, trigger)
            machine.moves.append((id(standing), before, trigger, after))
            return after

        def limited_write(file: RecordFile, data: bytes) -> None:
            if machine.full == "journal":
                raise NoRoom(errno.ENOSPC, "No space left on device")
            write(file, data)

        def limited_flush(view: SessionFile) -> None:
            if machine.full == "session.h5":
                raise OSError(errno.ENOSPC, "No space left on device")
            flush(view)

        def limited_close(file: Any) -> None:
            full = machine.full == "session.h5" and file and file.mode == "r+"
            close(file)
            if full:
                raise RuntimeError("Unable to close (No space left on device)")

        replacements = [
            mock.patch.object(h5py.File, "close", limited_close),
            mock.patch.object(Journal, "append", noted_append),
            mock.patch.object(Standing, "move", noted_move),
            mock.patch.object(RecordFile, "write", limited_write),
            mock.patch.object(SessionFile, "flush", limited_flush),
            mock.patch("grainloop.controller.serve.service.Client", self._connected),
            mock.patch("grainloop.controller.run.prepare._taken_up", taken_up_at_once),
        ]
        for one in replacements:
            self.patches.enter_context(one)

    def _connected(self, _endpoint: str, _replies: Any, *, service: str, credentials: Any) -> Any:
        """What the controller opens in the place of a client."""
        link = Link({"instrument": self.instrument, "model": self.model}[service], service)
        self.links[service] = link
        self.all_links.append(link)
        opened = mock.AsyncMock()
        opened.__aenter__.return_value = link
        return opened

    # --- steps -------------------------------------------------------------------------------------------------------
    @initialize(simulated=st.booleans(), spools=st.booleans())
    def begin(self, simulated: bool, spools: bool) -> None:
        declared = capabilities(SHAPE, simulated=simulated)
        self.instrument, self.model = FaultyInstrument(declared, spools=spools), FaultyModel()
        self.control = ControlService(sessions=self.home, sync=Sync.NEVER)

    @rule(plan=plans)
    def start(self, plan: RunPlan) -> None:
        folder = self.home / f"run-{len(list(self.home.iterdir()))}"
        self._ask(RunRequest(plan=plan, session_dir=folder.name), folder)

    @precondition(lambda self: self.latest is not None)
    @rule()
    def go_on(self) -> None:
        assert self.latest is not None
        folder = self.latest.folder.parent
        self._ask(ResumeRequest(session_dir=folder.name), folder)

    def _ask(self, request: RunRequest | ResumeRequest, folder: Path) -> None:
        """One run at a time; of a run that goes on nothing changes."""
        busy, run, working = self.going, self.control._run, self.control._working
        asking = self.loop.create_task(self._handle(request))
        self._pass(AT_ONCE_S)
        if asking.done() and isinstance(asking.exception(), Busy):
            assert busy
            assert self.control._run is run
            return
        assert working is None or working.done()
        self.asking = asking
        self.latest = self.recorded.setdefault(folder / JOURNAL_NAME, Recorded(folder / JOURNAL_NAME))

    @rule(command=st.sampled_from([RunCommand.PAUSE, RunCommand.RESUME, RunCommand.STOP]))
    def say(self, command: RunCommand) -> None:
        self._say(command)

    @rule()
    def abort(self) -> None:
        """What was over already, but for its last words, ends as it would have."""
        if (before := self._say(RunCommand.ABORT)) is not None:
            assert self.state is RunState.FINISHED
            self._pass(AT_ONCE_S)
            assert not self.going
            if before is not RunState.STOPPING and self.finished is not None:
                assert self.finished.reason in (FinishReason.ABORTED, FinishReason.FAILED)

    def _say(self, command: RunCommand) -> RunState | None:
        """The state in which the run obeyed, if the table allows it; where that cannot be recorded the run is over."""
        trigger, before, moved = Trigger(command.value), RunState.IDLE, 0

        async def tell() -> Accepted:
            nonlocal before, moved
            before, moved = self.state, len(self.moves)
            return await self._handle(Command(command=command))

        told = self.loop.create_task(tell())
        self.loop.run_until_complete(asyncio.wait([told], timeout=ABORT_S))
        assert told.done(), "the run does not obey"
        if trigger not in MOVES[before]:
            assert isinstance(told.exception(), IllegalState)
            return None
        if isinstance(told.exception(), IllegalState):  # for want of room
            assert (command, self.full) == (RunCommand.RESUME, "journal")
            return None
        if told.exception() is None:
            assert told.result().state in [after for *_, after in self.moves[moved:]]
        else:
            assert isinstance(told.exception(), JournalLost)
            self._pass(ABORT_S)
            assert not self.going
        return before

    @rule()
    def ask_status(self) -> None:
        async def ask() -> tuple[RunStatus, RunState]:
            return await self._handle(GetStatus()), self.state

        status, state = self.loop.run_until_complete(ask())
        assert status.state is state

    @rule(after=st.sampled_from([None, 0, 3, 20]))
    def follow(self, after: int | None) -> None:
        following = self.loop.create_task(self._handle(FollowRun(after=after)))
        self._pass(AT_ONCE_S)
        if self.asking is None:
            assert isinstance(following.exception(), IllegalState)
            return
        self.following.append(following)

    @rule(seconds=waits)
    def wait(self, seconds: float) -> None:
        self._pass(seconds)

    @rule(turns=st.integers(1, 40))
    def turn(self, turns: int) -> None:
        async def idle() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())

    @rule(name=st.sampled_from(["instrument", "model"]), seconds=st.sampled_from([0.0, 1.0, 8.0, 100.0]))
    def drop_link(self, name: str, seconds: float) -> None:
        if name in self.links:

            async def drop() -> None:
                self.links[name].drop(seconds)

            self.loop.run_until_complete(drop())

    @rule(fault=st.sampled_from(["camera", *SCAN_FAULTS]))
    def trouble_the_instrument(self, fault: str) -> None:
        self.instrument.faults.append(fault)

    @rule(fault=st.sampled_from(MODEL_FAULTS))
    def trouble_the_model(self, fault: str) -> None:
        self.model.faults.append(fault)

    @rule(file=st.sampled_from(["journal", "session.h5"]))
    def fill_the_disk(self, file: str) -> None:
        self.full = file
        self.view_may_be_lost |= file == "session.h5"

    @rule()
    def empty_the_disk(self) -> None:
        self.full = ""

    # --- means --------------------------------------------------------------------------------------------------------
    @property
    def going(self) -> bool:
        working = self.control._working
        return working is not None and not working.done()

    @property
    def state(self) -> RunState:
        return RunState.IDLE if self.control._run is None else self.control._run.standing.state

    @property
    def finished(self) -> RunFinished | None:
        """How the last run ended, if it had begun."""
        working = self.control._working
        if working is None or not working.done() or working.exception() is not None:
            return None
        return working.result()

    async def _handle(self, message: Any) -> Any:
        call = Call("1", float("inf"), Listener().hear)
        return await self.control.service._handlers[type(message)](message, call)

    def _pass(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        if self.asking is not None and self.asking.done() and (error := self.asking.exception()) is not None:
            assert isinstance(error, GrainloopError), repr(error)
            assert error.code is not ErrorCode.INTERNAL
