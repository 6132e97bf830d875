"""When records are on disk: what counted survives a power failure, unless the user wanted it otherwise and was told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from grainloop.cli.app import app
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.record import EventsTo
from grainloop.controller.record.mending import repair
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.serve.service import ControlService
from grainloop.controller.session.reader import load_session
from grainloop.protocols.aio import Client
from grainloop.protocols.messages import ControlReply, GetStatus, PointsMeasured, RunEvent, Stored, Sync
from grainloop.protocols.plan import Budget, RunPlan
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.serve.test_service import serving
from tests.controller.virtual_time import run
from tests.power import Disk

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr("grainloop.protocols.record_file.sync_data", disk.sync)
    monkeypatch.setattr("grainloop.protocols.record_file.sync_folder", disk.sync_folder)
    yield disk
    disk.close()


def survivors(disk: Disk, session: Path, name: str) -> tuple[Any, ...]:
    """Entries of the journal that a power failure now would leave."""
    return read_journal(disk.copy_survivors(session / JOURNAL_NAME, session / name, "*.journal")).entries


class Instrument(FakeInstrument):
    """Looks at the disk after each block that it has told, and whenever it may forget a batch."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        super().__init__()
        self._disk, self._folder, self.told, self.looks = disk, folder, set[int](), 0

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        def heard(progress: PointsMeasured) -> None:
            on_progress(progress)
            self.told |= set(progress.points.point_id.tolist())
            self._look()

        if isinstance(message, Stored):
            self._look()
        return await super().request(message, deadline_s=deadline_s, on_progress=heard)

    def _look(self) -> None:
        self.looks += 1
        left = survivors(self._disk, self._folder, f"left-{self.looks}")
        stored = [point for entry in left if entry.kind == "points" for point in entry.points.point_id.tolist()]
        assert self.told == set(stored)


def test_what_the_controller_has_taken_survives_a_power_failure(tmp_path: Path, disk: Disk) -> None:
    events = list[RunEvent]()

    def heard(event: RunEvent) -> None:
        events.append(event)
        if (tmp_path / JOURNAL_NAME).exists():
            left = survivors(disk, tmp_path, "left")
            assert event in [entry.event for entry in left if entry.kind == "event"]

    instrument = Instrument(disk, tmp_path)
    finished = run(Run(PLAN, tmp_path, instrument, FakeModel(), [EventsTo(heard)]).execute())
    assert finished.points_measured == len(instrument.told) == 120
    assert instrument.looks > 10
    assert events[-1].event == "finished"  # so `heard` has found nothing wrong
    assert "not_synced" not in [event.event for event in events]
    assert load_session(tmp_path / SESSION_NAME).journal_sync is Sync.ALWAYS


def test_a_run_without_syncs_asks_the_disk_for_nothing_and_says_so(tmp_path: Path, disk: Disk) -> None:
    events = list[RunEvent]()
    run(Run(PLAN, tmp_path, FakeInstrument(), FakeModel(), [EventsTo(events.append)], Sync.NEVER).execute())
    assert disk.syncs == 0
    said = next(event for event in events if event.event == "not_synced")
    assert "not a power failure" in said.text
    session = load_session(tmp_path / SESSION_NAME)
    assert session.journal_sync is Sync.NEVER
    assert said in session.events
    assert len(session.points) == 120
    repair(tmp_path / JOURNAL_NAME, tmp_path / SESSION_NAME)
    assert load_session(tmp_path / SESSION_NAME).journal_sync is Sync.NEVER


@pytest.mark.parametrize("before", [Sync.ALWAYS, Sync.NEVER])
@pytest.mark.parametrize("after", [Sync.ALWAYS, Sync.NEVER])
def test_a_session_that_was_ever_not_synced_says_so(tmp_path: Path, before: Sync, after: Sync) -> None:
    def stop(event: RunEvent) -> None:
        if event.event == "batch_done":
            one.abort("enough for a test")

    one = Run(PLAN, tmp_path, FakeInstrument(), FakeModel(), [EventsTo(stop)], before)
    run(one.execute())
    run(Run.taken_up(tmp_path, FakeInstrument(), FakeModel(), (), after).execute())
    expected = Sync.NEVER if Sync.NEVER in (before, after) else Sync.ALWAYS
    assert load_session(tmp_path / SESSION_NAME).journal_sync is expected


@pytest.mark.parametrize("sync", Sync)
async def test_the_status_tells_it(sync: Sync) -> None:
    async with serving(ControlService(sync=sync)) as at, Client(at, ControlReply, service="controller") as client:
        status = await client.request(GetStatus(), deadline_s=60.0)
    assert status.sync is sync


@pytest.mark.parametrize(("words", "expected"), [([], Sync.ALWAYS), (["--sync", "never"], Sync.NEVER)])
def test_it_is_chosen_at_the_command_line(words: list[str], expected: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = list[Sync]()

    class Seen(ControlService):
        def __init__(self, *at: str, **options: Any) -> None:
            chosen.append(options["sync"])
            super().__init__(*at, **options)

    monkeypatch.setattr("grainloop.controller.serve.ControlService", Seen)

    def nothing(*_: object) -> None: ...

    monkeypatch.setattr("grainloop.cli.serve.service.serve", nothing)
    monkeypatch.setattr("grainloop.cli.serve.service.warm_up_controller", nothing)
    assert CliRunner().invoke(app, ["serve", "controller", *words]).exit_code == 0
    assert chosen == [expected]


def test_another_word_is_refused() -> None:
    said = CliRunner().invoke(app, ["serve", "controller", "--sync", "sometimes"])
    assert said.exit_code == 2
    assert all(word in said.output for word in ("'sometimes'", "'always'", "'never'"))
