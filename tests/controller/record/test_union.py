"""What session.h5 holds and the journal lost is put back, or kept and told with numbers; two never write at once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from grainloop.cli import main
from grainloop.cli.check.findings import State
from grainloop.cli.check.recorded import session as checked
from grainloop.controller.journal import BatchClosed, Decided, Journal, JournalLost, PointsStored
from grainloop.controller.journal.entries import Entry
from grainloop.controller.journal.reading import journal_files, read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME, Recording
from grainloop.controller.run.run import Run
from grainloop.controller.session.held import held_points
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import Sync
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.record_file import keep_aside
from tests.controller.dying import record_ends
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.record.test_views import Looks
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)


class Stops(Looks):
    """Aborts after some batches."""

    run: Run
    batches = 3

    def show(self, entry: Any, number: int | None, seconds: float) -> None:
        self.batches -= isinstance(entry, BatchClosed)
        if not self.batches:
            self.run.abort("enough for a test")


def stopped(folder: Path) -> Path:
    """The folder of a run that was stopped in its middle."""
    stops = Stops()
    stops.run = Run(PLAN, folder, FakeInstrument(), FakeModel(), [stops])
    run(stops.run.execute())
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stopped(tmp_path_factory.mktemp("whole"))


def entries(folder: Path) -> tuple[Entry, ...]:
    return read_journal(folder / JOURNAL_NAME).entries


def ids(folder: Path) -> list[int]:
    return [point for one in entries(folder) if isinstance(one, PointsStored) for point in one.points.point_id.tolist()]


def held(path: Path) -> list[int]:
    return held_points(path).points.point_id.tolist()


def cut_before(whole: Path, folder: Path, number: int, torn: bool) -> Path:
    """A copy whose journal ends before a record, or within it."""
    shutil.copytree(whole, folder)
    (file,) = journal_files(folder / JOURNAL_NAME)
    file.write_bytes(file.read_bytes()[: record_ends(whole)[number - 1] + 5 * torn])
    return folder


def last_points(folder: Path) -> int:
    """Number of the first record of points of the last batch that brought any: its decision is before."""
    found = entries(folder)
    last = max(n for n, one in enumerate(found) if isinstance(one, PointsStored))
    batch = found[last].batch  # type: ignore[union-attr]
    return next(n for n, one in enumerate(found) if isinstance(one, PointsStored) and one.batch == batch)


@pytest.mark.parametrize("torn", [True, False])
@pytest.mark.parametrize("how", ["repair", "resume"])
def test_points_of_a_decided_batch_are_put_back_behind_the_end(
    whole: Path, tmp_path: Path, how: str, torn: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cut_before(whole, tmp_path / "run", last_points(whole), torn)
    assert len(ids(folder)) < len(ids(whole))
    if how == "repair":
        assert main(["repair", str(folder)]) == 0
        assert "put back: the run can be gone on with." in capsys.readouterr().out
    recording, _ = Recording.take_up(folder / SESSION_NAME, Sync.NEVER)
    recording.close()
    lost = len(ids(whole)) - last_points_before(whole)
    if how == "resume":
        assert recording.united == f"{lost} points that only session.h5 held were put back into the journal."
    assert sorted(ids(folder)) == sorted(ids(whole)) == sorted(held(folder / SESSION_NAME))
    assert replay(entries(folder)).difference is None


def last_points_before(folder: Path) -> int:
    found = entries(folder)[: last_points(folder)]
    return sum(len(one.points) for one in found if isinstance(one, PointsStored))


@pytest.mark.parametrize("torn", [True, False])
@pytest.mark.parametrize("how", ["repair", "resume"])
def test_points_of_a_lost_decision_are_kept_and_told(
    whole: Path, tmp_path: Path, how: str, torn: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    number = next(n for n, one in enumerate(entries(whole)) if isinstance(one, Decided))
    folder, before = cut_before(whole, tmp_path / "run", number, torn), ids(whole)
    words = f"session.h5 held {len(before)} points, the journal 0, {len(before)} are in session.h5 alone"
    if how == "repair":
        for kept in ("session.h5.broken", "session.h5.broken1", "session.h5.broken2"):
            assert main(["repair", str(folder)]) == 0
            out = capsys.readouterr().out
            assert (f"{words}: the old file is kept as {kept}." in out) == (kept == "session.h5.broken")
            assert (folder / kept).exists()
    else:
        recording, _ = Recording.take_up(folder / SESSION_NAME, Sync.NEVER)
        recording.close()
        assert recording.united == f"{words}; the old file is kept as session.h5.broken."
    assert held(folder / "session.h5.broken") == before
    assert held(folder / SESSION_NAME) == []


def test_check_says_which_holds_more_and_what_unites_them(whole: Path, tmp_path: Path) -> None:
    folder = cut_before(whole, tmp_path / "run", last_points(whole), torn=True)
    told = list(checked(folder))
    more = len(ids(whole)) - len(ids(folder))
    assert any(f"{more} are in session.h5 alone" in one.found and one.state is State.WARN for one in told)
    assert not any("nothing" in one.found or "no point" in one.do for one in told)
    assert any(f"grainloop repair {folder}" in one.do for one in told)
    main(["repair", str(folder)])
    assert not any("alone" in one.found for one in checked(folder))
    with h5py.File(folder / SESSION_NAME, "r+") as file:
        for column in file["measured"].values():
            column.resize(3, axis=0)
    assert any(f"{len(ids(whole)) - 3} are in the journal alone" in one.found for one in checked(folder))


@pytest.mark.parametrize("command", ["repair", "resume"])
def test_nobody_touches_what_somebody_writes(
    whole: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    journal = Journal(folder / JOURNAL_NAME)
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if command == "repair":
        assert main(["repair", str(folder)]) != 0
        assert "Another process writes the journal" in capsys.readouterr().err
    else:
        with pytest.raises(BadInput, match="Another process writes the journal"):
            Recording.take_up(folder / SESSION_NAME, Sync.NEVER)
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    journal.close()


def test_a_row_of_a_batch_that_is_damaged_costs_nothing(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = entries(whole)
    number = next(n for n, one in enumerate(found) if isinstance(one, BatchClosed))
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    lose(folder, whole, number)
    with h5py.File(folder / SESSION_NAME, "r+") as file:
        file["batches"][0] = "{}"
    assert main(["repair", str(folder)]) == 0
    assert set(held(folder / SESSION_NAME)) == set(ids(whole))


def lose(folder: Path, whole: Path, number: int) -> None:
    """Take one record out of a journal, as if it had never been there."""
    (file,) = journal_files(folder / JOURNAL_NAME)
    data, ends = file.read_bytes(), record_ends(whole)
    file.write_bytes(data[: ends[number - 1]] + data[ends[number] :])


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)

    def refuses(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("grainloop.controller.session.view.os.replace", refuses)
    assert main(["repair", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "cannot be made again: Read-only file system." in said
    assert "Traceback" not in said
    assert held(folder / SESSION_NAME) == ids(whole)


def test_points_that_stand_twice_are_damage_and_count_once(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    twice = next(one for one in entries(whole) if isinstance(one, PointsStored))
    journal = Journal(folder / JOURNAL_NAME)
    journal.append(twice)
    journal.close()
    assert f"holds {len(twice.points)} points more than once" in read_journal(folder / JOURNAL_NAME).damage[0]
    with pytest.raises(BadInput, match="more than once"):
        Recording.take_up(folder / SESSION_NAME, Sync.NEVER)
    assert main(["repair", str(folder)]) == 0
    assert f"made again from the journal: {len(ids(whole))} points" in capsys.readouterr().out
    assert ids(folder) == ids(whole)


def test_what_hdf5_says_has_no_addresses(whole: Path, tmp_path: Path) -> None:
    data = (whole / SESSION_NAME).read_bytes()
    path = tmp_path / SESSION_NAME
    for size in (0, 50, 96, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(BadInput) as error:
            held_points(path)
        assert not any(word in str(error.value) for word in ("eof", "addr", "0x", "sblock")), error.value


def test_a_run_whose_decisions_differ_is_not_gone_on_with(whole: Path, tmp_path: Path) -> None:
    folder, found = tmp_path / "run", list(entries(whole))
    number = max(n for n, one in enumerate(found) if isinstance(one, Decided))
    decided = found[number]
    assert isinstance(decided, Decided)
    found[number] = decided.model_copy(update={"decided_by": "somebody else"})
    journal = Journal(folder / JOURNAL_NAME)
    for one in found:
        journal.append(one)
    journal.close()
    before = journal_files(folder / JOURNAL_NAME)[0].read_bytes()
    with pytest.raises(BadInput, match=r"cannot be gone on with\. Decision \d+ differs"):
        Recording.take_up(folder / SESSION_NAME, Sync.NEVER)
    assert journal_files(folder / JOURNAL_NAME)[0].read_bytes() == before


@pytest.mark.parametrize("lost", ["a file", "a record of an older file"])
def test_a_run_with_records_missing_between_files_is_not_gone_on_with(whole: Path, tmp_path: Path, lost: str) -> None:
    folder, found = tmp_path / "run", entries(whole)
    journal = Journal(folder / JOURNAL_NAME)
    for number, one in enumerate(found):
        if number in (len(found) // 3, len(found) // 2):
            journal.rotate()
        journal.append(one)
    journal.close()
    middle = journal_files(folder / JOURNAL_NAME)[1]
    if lost == "a file":
        middle.unlink()
    else:
        middle.write_bytes(middle.read_bytes()[:-5])
    with pytest.raises(BadInput, match=r"missing before byte|ends in the middle of a record"):
        Recording.take_up(folder / SESSION_NAME, Sync.NEVER)


def test_nothing_is_shown_that_is_not_in_the_journal(whole: Path, tmp_path: Path) -> None:
    class Full(Journal):
        def append(self, entry: Entry) -> int:
            raise JournalLost(f"no room for {entry.kind}")

    looks = Looks()
    recording = Recording(tmp_path / SESSION_NAME, Full(tmp_path / JOURNAL_NAME), looks)  # type: ignore[arg-type]
    with pytest.raises(JournalLost):
        recording.record(entries(whole)[-1])
    assert looks.shown == []
    recording.journal.close()


def test_names_under_which_files_are_kept_are_never_used_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for number in range(4):
        path.write_text(str(number))
        kept = keep_aside(path, ".kept")
        path.unlink()
        assert kept.name == f"file.kept{number or ''}"
    (tmp_path / "file.kept4").symlink_to("nowhere")
    path.write_text("5")
    assert keep_aside(path, ".kept").name == "file.kept5"
    assert [(tmp_path / f"file.kept{n or ''}").read_text() for n in range(4)] == list("0123")
