"""A disk that is full at one moment or another: a sentence, nothing left open, and no run that waits for ever."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.controller.journal import Decided, EventTold, PointsStored, read_journal, replay
from grainloop.controller.journal.writing import Journal, JournalLost
from grainloop.controller.record import EventsTo
from grainloop.controller.record.mending import repair
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.controller.session.writer import CannotStore, SessionFile
from grainloop.protocols.errors import IllegalState
from grainloop.protocols.messages import EventKind, RunCommand, RunEvent, RunFinished
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.record_file import NoRoom, RecordFile
from grainloop.protocols.states import FinishReason, RunState
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.virtual_time import in_virtual_time, run

FULL = "No space left on device"
PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)
POINTS = 120


class Disk:
    """Full or not, for journals and for session files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.journal_is_full = self.view_is_full = self.refused = False
        self.full_from: int | None = None
        self.written = 0
        write, flush = RecordFile.write, SessionFile.flush

        def limited_write(file: RecordFile, data: bytes) -> None:
            if self.journal_is_full or (self.full_from is not None and self.written >= self.full_from):
                self.refused = True
                raise NoRoom(errno.ENOSPC, FULL)
            self.written += 1
            write(file, data)

        def limited_flush(view: SessionFile) -> None:
            if self.view_is_full:
                raise OSError(errno.ENOSPC, FULL)
            flush(view)

        monkeypatch.setattr(RecordFile, "write", limited_write)
        monkeypatch.setattr(SessionFile, "flush", limited_flush)

    def empty(self) -> None:
        """Make room."""
        self.journal_is_full = self.view_is_full = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def made(folder: Path, on_scan: Callable[[Any], Any] | None = None) -> Run:
    return Run(PLAN, folder, FakeInstrument(hold=on_scan), FakeModel())


def carried_out(folder: Path) -> RunFinished:
    return run(made(folder).execute())


def test_a_session_file_that_cannot_be_begun_leaves_nothing_in_the_way(disk: Disk, tmp_path: Path) -> None:
    disk.view_is_full = True
    with pytest.raises(CannotStore, match=r"session\.h5 cannot be written: No space left on device\."):
        carried_out(tmp_path)
    assert not (tmp_path / SESSION_NAME).exists()
    disk.view_is_full = False
    assert carried_out(tmp_path).reason is FinishReason.COMPLETED


def test_a_beginning_that_cannot_be_recorded_leaves_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_journal: Journal, _entry: Any) -> int:
        raise JournalLost("The journal cannot be written: No space left on device.")

    with monkeypatch.context() as at_first:
        at_first.setattr(Journal, "append", full)
        with pytest.raises(JournalLost):
            carried_out(tmp_path)
    assert not (tmp_path / SESSION_NAME).exists()
    assert carried_out(tmp_path).reason is FinishReason.COMPLETED


@in_virtual_time
async def test_a_paused_run_that_is_stopped_on_a_full_disk_fails_at_once(disk: Disk, tmp_path: Path) -> None:
    one, running = await paused(tmp_path)
    disk.journal_is_full = True
    with pytest.raises(JournalLost):
        await one.command(RunCommand.STOP)
    finished = await asyncio.wait_for(running, 60.0)
    assert finished.reason is FinishReason.FAILED
    assert "cannot be written: No space left on device" in finished.detail
    assert one.standing.state is RunState.FINISHED


@in_virtual_time
async def test_a_paused_run_waits_for_room_before_it_goes_on(disk: Disk, tmp_path: Path) -> None:
    one, running = await paused(tmp_path)
    disk.journal_is_full = True
    await one.command(RunCommand.RESUME)
    await asyncio.sleep(600.0)
    assert one.standing.state is RunState.PAUSED
    with pytest.raises(IllegalState, match="no room yet"):
        await one.command(RunCommand.RESUME)
    disk.journal_is_full = False
    await one.command(RunCommand.RESUME)
    assert (await running).reason is FinishReason.COMPLETED


async def paused(folder: Path) -> tuple[Run, asyncio.Task[RunFinished]]:
    """A run that was paused during its first batch."""
    begun = asyncio.Event()

    async def tell(_request: Any) -> None:
        begun.set()

    one = made(folder, tell)
    running = asyncio.create_task(one.execute())
    await begun.wait()
    await one.command(RunCommand.PAUSE)
    await asyncio.sleep(60.0)
    assert not running.done()
    return one, running


@pytest.mark.parametrize("record", range(24))
@in_virtual_time
async def test_a_run_waits_for_room_wherever_it_is_and_loses_nothing(disk: Disk, tmp_path: Path, record: int) -> None:
    """From any record on there is no room for ten minutes; the run pauses, goes on, and holds what it would have."""
    events, full_at = list[RunEvent](), 2 + 2 * record
    disk.full_from = full_at
    one = Run(PLAN, tmp_path, FakeInstrument(), FakeModel(), [EventsTo(events.append)])
    running = asyncio.create_task(one.execute())
    await asyncio.sleep(600.0)
    waited = disk.full_from is not None and disk.refused
    disk.full_from = None
    finished = await asyncio.wait_for(running, 3600.0)
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == POINTS
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    points = [entry.points.point_id for entry in entries if isinstance(entry, PointsStored)]
    assert len(np.unique(np.concatenate(points))) == sum(map(len, points)) == POINTS
    assert replay(entries).difference is None
    assert load_session(tmp_path / SESSION_NAME).finish_reason == "completed"
    told = [entry.event.sequence for entry in entries if isinstance(entry, EventTold)]
    assert [event.sequence for event in events] == told == list(range(1, len(told) + 1))
    kinds = [event.event for event in events]
    assert kinds.count(EventKind.NO_ROOM) == kinds.count(EventKind.ROOM_AGAIN) == int(waited)
    assert waited or full_at > disk.written, "the disk was never full"


@in_virtual_time
async def test_a_decision_that_is_not_stored_is_not_carried_out(disk: Disk, tmp_path: Path) -> None:
    asked = list[int]()

    async def note(request: Any) -> None:
        asked.append(request.batch)

    decided = list[int]()
    append = Journal.append

    def noted(journal: Journal, entry: Any) -> int:
        number = append(journal, entry)
        if isinstance(entry, Decided):
            decided.append(entry.request.batch)
            disk.journal_is_full = len(decided) == 2
        return number

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Journal, "append", noted)
        running = asyncio.create_task(made(tmp_path, note).execute())
        await asyncio.sleep(600.0)
        assert set(asked) <= set(decided[:2])
        disk.journal_is_full = False
        assert (await running).reason is FinishReason.COMPLETED


@in_virtual_time
async def test_an_abort_on_a_full_disk_says_what_is_not_stored(disk: Disk, tmp_path: Path) -> None:
    async def fill(_request: Any) -> None:
        disk.journal_is_full = True

    one = made(tmp_path, fill)
    running = asyncio.create_task(one.execute())
    await asyncio.sleep(600.0)
    assert one.standing.state is RunState.PAUSED
    one.abort("the operator aborted the run")
    finished = await running
    assert finished.reason is FinishReason.FAILED
    assert "points that came since are not stored" in finished.detail
    assert finished.points_measured == 0


@in_virtual_time
async def test_a_run_goes_on_without_its_view_which_is_made_again_at_the_end(disk: Disk, tmp_path: Path) -> None:
    events = list[RunEvent]()

    async def fill(_request: Any) -> None:
        disk.view_is_full = True

    one = Run(PLAN, tmp_path, FakeInstrument(hold=fill), FakeModel(), [EventsTo(events.append)])
    one.standing.views.add(EventsTo(lambda event: disk.empty() if event.event == "finished" else None))
    finished = await one.execute()
    assert finished.reason is FinishReason.COMPLETED
    assert [event.event for event in events].count(EventKind.VIEW_LOST) == 1
    session = load_session(tmp_path / SESSION_NAME)
    assert (session.finish_reason, len(session.points)) == ("completed", POINTS)


@in_virtual_time
async def test_a_view_for_which_there_is_no_room_is_made_by_repair(disk: Disk, tmp_path: Path) -> None:
    async def fill(_request: Any) -> None:
        disk.view_is_full = True

    finished = await made(tmp_path, fill).execute()
    assert finished.reason is FinishReason.COMPLETED
    disk.view_is_full = False
    assert repair(tmp_path / JOURNAL_NAME, tmp_path / SESSION_NAME).points == POINTS
    assert [name for name in os.listdir(tmp_path) if name.endswith(".new")] == []


@in_virtual_time
async def test_what_cannot_be_gone_on_with_now_can_be_later(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = asyncio.Event()
    one = made(tmp_path)

    async def stop(_request: Any) -> None:
        if not stops.is_set():
            stops.set()
            await one.command(RunCommand.STOP)

    one._instrument._hold = stop  # pyright: ignore[reportAttributeAccessIssue]
    assert (await one.execute()).reason is FinishReason.STOPPED
    disk.journal_is_full = True
    with pytest.raises(JournalLost):
        await taken_up(tmp_path).execute()
    disk.journal_is_full = False
    ends = list[list[str]]()
    finish, begin = SessionFile.finish, SessionFile.not_over
    monkeypatch.setattr(SessionFile, "not_over", lambda view: (ends.append(["not over"]), begin(view))[1])
    monkeypatch.setattr(SessionFile, "finish", lambda view, *how: (ends.append([str(how[0])]), finish(view, *how))[1])
    assert (await taken_up(tmp_path).execute()).reason is FinishReason.COMPLETED
    assert ends[-2:] == [["not over"], ["completed"]], "while the run goes on it is not over, however it had ended"
    assert reason_in(tmp_path) == "completed"
    assert (tmp_path / JOURNAL_NAME).is_dir()


def taken_up(folder: Path, on_event: Callable[[Any], Any] = lambda _: None) -> Run:
    return Run.taken_up(folder, FakeInstrument(), FakeModel(), [EventsTo(on_event)])


def reason_in(folder: Path) -> str:
    return load_session(folder / SESSION_NAME).finish_reason
