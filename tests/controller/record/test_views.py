"""Who looks at a run: shown every entry once it is stored, in order; nobody who looks can end the run."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import h5py
import pytest

from grainloop.controller.journal.entries import BatchClosed, Began, Ended, Entry, LatestMaps, Resumed
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME, Recording
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.protocols.messages import RunFinished
from grainloop.protocols.observability.output import LogOptions, logging_to
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)
Shown = Entry | LatestMaps


class Looks:
    """Keeps what it is shown, with the number of the record."""

    def __init__(self) -> None:
        self.before: list[Entry] = []
        self.shown: list[tuple[int | None, Shown]] = []

    def recall(self, entries: Sequence[Entry]) -> None:
        self.before.extend(entries)

    def show(self, entry: Shown, number: int | None, seconds: float) -> None:
        assert seconds >= 0
        self.shown.append((number, entry))

    @property
    def stored(self) -> list[Shown]:
        """Those that have a record, all of them in order."""
        return [*self.before, *(entry for number, entry in self.shown if number is not None)]


class Broken(Looks):
    """Stumbles over the first thing that it is shown."""

    def show(self, entry: Shown, number: int | None, seconds: float) -> None:
        super().show(entry, number, seconds)
        raise RuntimeError("no room on this screen")


def carried_out(folder: Path, *views: Looks, **more: object) -> RunFinished:
    return run(Run(PLAN, folder, FakeInstrument(), FakeModel(), views, **more).execute())  # type: ignore[arg-type]


def test_a_view_is_shown_what_the_journal_holds_and_the_maps_of_the_loop(tmp_path: Path) -> None:
    looks = Looks()
    finished = carried_out(tmp_path, looks)
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    assert looks.stored == list(entries)
    assert [number for number, _ in looks.shown if number is not None] == list(range(len(looks.before), len(entries)))
    maps = [entry for _, entry in looks.shown if isinstance(entry, LatestMaps)]
    assert [one.question for one in maps] == list(range(1, finished.rounds + 1))


def test_an_entry_is_in_the_session_file_when_another_view_is_shown_it(tmp_path: Path) -> None:
    class Late(Looks):
        def show(self, entry: Shown, number: int | None, seconds: float) -> None:
            if isinstance(entry, Ended):
                shutil.copyfile(tmp_path / SESSION_NAME, tmp_path / "copy.h5")  # its writer has it locked
                with h5py.File(tmp_path / "copy.h5") as file:
                    said.append(file.attrs["finish_reason"])

    said = list[str]()
    carried_out(tmp_path, Late())
    assert said == ["completed"]


def test_a_view_with_a_fault_is_dropped_and_logged_once_and_nothing_else_happens(tmp_path: Path) -> None:
    broken, looks, out = Broken(), Looks(), io.StringIO()
    with logging_to(LogOptions("error"), out):
        finished = carried_out(tmp_path, broken, looks)
    assert finished.reason is FinishReason.COMPLETED
    assert len(broken.shown) == 1
    assert looks.stored == list(read_journal(tmp_path / JOURNAL_NAME).entries)
    (line,) = map(json.loads, out.getvalue().splitlines())
    assert (line["event"], line["view"]) == ("view dropped", "Broken")
    assert "no room on this screen" in line["exception"]


def test_a_view_of_a_run_that_is_gone_on_with_recalls_what_was_recorded(tmp_path: Path) -> None:
    class Stops(Looks):
        def show(self, entry: Shown, number: int | None, seconds: float) -> None:
            if isinstance(entry, BatchClosed):
                first.abort("enough for a test")

    first = Run(PLAN, tmp_path, FakeInstrument(), FakeModel(), [Stops()])
    run(first.execute())
    before, looks = read_journal(tmp_path / JOURNAL_NAME).entries, Looks()
    run(Run.taken_up(tmp_path, FakeInstrument(), FakeModel(), [looks]).execute())
    assert looks.before[: len(before)] == list(before)
    assert [type(entry) for entry in looks.before[len(before) :]] == [Resumed]
    assert looks.stored == list(read_journal(tmp_path / JOURNAL_NAME).entries)


def test_a_run_recorded_nowhere_is_the_same_run_and_leaves_nothing(tmp_path: Path) -> None:
    somewhere, nowhere = Looks(), Looks()
    finished = carried_out(tmp_path / "somewhere", somewhere)
    again = carried_out(tmp_path / "nowhere", nowhere, records=Recording.nowhere)
    assert not (tmp_path / "nowhere").exists()
    assert load_session(tmp_path / "somewhere" / SESSION_NAME).finish_reason == "completed"
    assert again.model_dump(exclude={"session_file"}) == finished.model_dump(exclude={"session_file"})
    assert [type(entry) for entry in nowhere.stored] == [type(entry) for entry in somewhere.stored]
    assert isinstance(nowhere.before[0], Began)


@pytest.mark.parametrize("views", [0, 1, 3])
def test_any_number_can_look(tmp_path: Path, views: int) -> None:
    crowd = [Looks() for _ in range(views)]
    assert carried_out(tmp_path, *crowd).reason is FinishReason.COMPLETED
    assert all([number for number, _ in one.shown] == [number for number, _ in crowd[0].shown] for one in crowd)
