"""A disk that is full at one moment or another: a sentence, nothing left open, and no run that waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grainloop.controller.journal.writing import Journal, JournalLost
from grainloop.controller.record import EventsTo
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.controller.session.writer import CannotStore, SessionFile
from grainloop.protocols.messages import RunCommand, RunFinished
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.record_file import RecordFile
from grainloop.protocols.states import FinishReason, RunState
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.virtual_time import in_virtual_time, run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)


class Disk:
    """Full or not, for journals and for session files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.journal_is_full = self.view_is_full = False
        write, flush = RecordFile.write, SessionFile.flush

        def limited_write(file: RecordFile, data: bytes) -> None:
            if self.journal_is_full:
                raise OSError(28, "No space left on device")
            write(file, data)

        def limited_flush(view: SessionFile) -> None:
            if self.view_is_full:
                raise OSError("Unable to write (No space left on device)")
            flush(view)

        monkeypatch.setattr(RecordFile, "write", limited_write)
        monkeypatch.setattr(SessionFile, "flush", limited_flush)


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


@pytest.mark.parametrize("word", [RunCommand.STOP, RunCommand.RESUME])
@in_virtual_time
async def test_a_paused_run_whose_disk_is_full_does_not_wait_for_ever(
    disk: Disk, tmp_path: Path, word: RunCommand
) -> None:
    begun = asyncio.Event()

    async def tell(_request: Any) -> None:
        begun.set()

    one = made(tmp_path, tell)
    running = asyncio.create_task(one.execute())
    await begun.wait()
    await one.command(RunCommand.PAUSE)
    await asyncio.sleep(60.0)
    assert not running.done()
    disk.journal_is_full = True
    with pytest.raises(JournalLost):
        await one.command(word)
    finished = await asyncio.wait_for(running, 60.0)
    assert finished.reason is FinishReason.FAILED
    assert "cannot be written: No space left on device" in finished.detail
    assert one.standing.state is RunState.FINISHED


@in_virtual_time
async def test_points_that_came_when_nothing_could_be_stored_do_not_count(disk: Disk, tmp_path: Path) -> None:
    async def fill(_request: Any) -> None:
        disk.journal_is_full = True

    finished = await made(tmp_path, fill).execute()
    assert finished.reason is FinishReason.FAILED
    assert finished.points_measured == 0


@in_virtual_time
async def test_what_cannot_be_gone_on_with_now_can_be_later(disk: Disk, tmp_path: Path) -> None:
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
    going_on = taken_up(tmp_path, on_event=lambda event: ended.append(reason_in(tmp_path)))
    ended: list[str] = []
    assert (await going_on.execute()).reason is FinishReason.COMPLETED
    assert set(ended[:-1]) == {""}, "while the run goes on it is not over, however it had ended"
    assert reason_in(tmp_path) == "completed"
    assert (tmp_path / JOURNAL_NAME).is_dir()


def taken_up(folder: Path, on_event: Callable[[Any], Any] = lambda _: None) -> Run:
    return Run.taken_up(folder, FakeInstrument(), FakeModel(), [EventsTo(on_event)])


def reason_in(folder: Path) -> str:
    return load_session(folder / SESSION_NAME).finish_reason
