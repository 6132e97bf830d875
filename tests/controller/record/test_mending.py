"""A journal damaged in its middle: what session.h5 holds is put back, or it is told why nobody can go on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.cli import main
from grainloop.controller.journal.entries import PointsStored, read_entry
from grainloop.controller.journal.reading import journal_files, read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.journal.writing import Journal
from grainloop.controller.record.mending import mend
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.controller.session.view import remake
from grainloop.protocols.errors import BadInput
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.records import FRAME_BYTES, HEADER_BYTES, Record, read_records
from grainloop.protocols.states import FinishReason
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.run.test_resume import Remembering
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=3)
CANNOT = frozenset({"decided", "answered"})
"""Kinds that session.h5 holds too little of."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was not disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    run(Run(PLAN, folder, Remembering(), FakeModel()).execute())
    return folder


def records(folder: Path) -> list[tuple[int, str]]:
    """Where each record begins, and its kind."""
    (file,) = journal_files(folder / JOURNAL_NAME)
    found, start = list[tuple[int, str]](), HEADER_BYTES
    for record in read_records(file.read_bytes()):
        assert isinstance(record, Record)
        found.append((start, read_entry(record.payload).kind))
        start = record.end
    return found


def damaged(whole: Path, folder: Path, starts: Sequence[int]) -> Path:
    """A copy with a bit flipped in the records that begin there."""
    shutil.copytree(whole, folder)
    (file,) = journal_files(folder / JOURNAL_NAME)
    data = bytearray(file.read_bytes())
    for start in starts:
        data[start + FRAME_BYTES + 3] ^= 16
    file.write_bytes(bytes(data))
    return folder


def mended(folder: Path) -> Any:
    return mend(folder / JOURNAL_NAME, folder / SESSION_NAME)


def points_in(entries: Sequence[Any]) -> list[int]:
    return [point for entry in entries if isinstance(entry, PointsStored) for point in entry.points.point_id.tolist()]


def chosen(held: list[tuple[int, str]]) -> list[tuple[int, tuple[int, str]]]:
    """With their numbers, of each kind the first record, one in the middle, and the last."""
    numbers = set[int]()
    for kind in {kind for _, kind in held}:
        of_kind = [number for number, (_, other) in enumerate(held) if other == kind]
        numbers |= {of_kind[0], of_kind[len(of_kind) // 2], of_kind[-1]}
    return [(number, held[number]) for number in sorted(numbers)]


def test_every_record_but_decisions_and_answers_can_be_lost(whole: Path, tmp_path: Path) -> None:
    before = load_session(whole / SESSION_NAME)
    kinds = set[str]()
    for number, (start, kind) in chosen(records(whole)[:-1]):
        folder = damaged(whole, tmp_path / str(number), [start])
        (file,) = journal_files(folder / JOURNAL_NAME)
        broken = file.read_bytes()
        found = mended(folder)
        kinds.add(kind)
        assert found.whole == (kind not in CANNOT), f"record {number}, {kind}: {found.why}"
        assert points_in(found.entries) == before.points.point_id.tolist(), f"record {number}, {kind}"
        again = read_journal(folder / JOURNAL_NAME)
        if found.whole:
            assert (again.damage, again.entries) == ((), found.entries)
            assert replay(again.entries).difference is None
            assert file.with_name("000.journal.damaged").read_bytes() == broken
            Journal(folder / JOURNAL_NAME).close()
        else:
            assert found.why
            assert file.read_bytes() == broken
        remake(found.entries, folder / SESSION_NAME)
        made = load_session(folder / SESSION_NAME)
        assert made.points == before.points
        assert (made.light is None) == (before.light is None)
        if kind not in CANNOT:
            assert made.batches == before.batches
            assert made.light == before.light
    assert {"began", "light", "started", "asked", "points", "closed", "event"} | CANNOT <= kinds


def test_neighbours_can_be_lost_together(whole: Path, tmp_path: Path) -> None:
    """All points of a batch and its end."""
    held = records(whole)
    first = next(n for n, (_, kind) in enumerate(held) if kind == "points")
    last = next(n for n, (_, kind) in enumerate(held) if kind == "closed")
    lost = [start for start, kind in held[first : last + 1] if kind in ("points", "closed", "event")]
    found = mended(damaged(whole, tmp_path / "run", lost))
    assert found.whole, found.why
    assert points_in(found.entries) == load_session(whole / SESSION_NAME).points.point_id.tolist()


def test_without_a_session_file_it_is_told_what_is_missing(whole: Path, tmp_path: Path) -> None:
    start = next(start for start, kind in records(whole) if kind == "points")
    folder = damaged(whole, tmp_path / "run", [start])
    (folder / SESSION_NAME).write_bytes(b"lost too")
    found = mended(folder)
    assert not found.whole
    assert "Batch 0 brought" in found.why
    start = next(start for start, kind in records(whole) if kind == "began")
    folder = damaged(whole, tmp_path / "headless", [start])
    (folder / SESSION_NAME).unlink()
    with pytest.raises(BadInput, match=r"The beginning of the journal in .* is lost, in session\.h5 too"):
        mended(folder)


def test_a_torn_tail_needs_no_mending(whole: Path, tmp_path: Path) -> None:
    folder = damaged(whole, tmp_path / "run", [])
    (file,) = journal_files(folder / JOURNAL_NAME)
    file.write_bytes(file.read_bytes()[:-5])
    found = mended(folder)
    assert (found.back, found.whole, found.why) == (0, False, "")
    assert len(found.damage) == 1


def test_nobody_mends_what_somebody_writes(whole: Path, tmp_path: Path) -> None:
    start = next(start for start, kind in records(whole) if kind == "event")
    folder = damaged(whole, tmp_path / "run", [])
    journal = Journal(folder / JOURNAL_NAME)
    data = bytearray((folder / JOURNAL_NAME / "000.journal").read_bytes())
    data[start + FRAME_BYTES + 3] ^= 16
    (folder / JOURNAL_NAME / "000.journal").write_bytes(bytes(data))
    try:
        with pytest.raises(BadInput, match="Another process writes the journal"):
            mended(folder)
    finally:
        journal.close()


def test_a_run_is_refused_mended_and_gone_on_with(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its controller died in the middle, and points of its first batch were damaged since."""
    held = records(whole)
    start = next(start for start, kind in held if kind == "points")
    cut = [start for start, kind in held if kind == "closed"][2]
    folder = damaged(whole, tmp_path / "run", [])
    (file,) = journal_files(folder / JOURNAL_NAME)
    file.write_bytes(file.read_bytes()[:cut])
    before = read_journal(folder / JOURNAL_NAME).entries
    sent = tuple(batch.request for batch in replay(before).sent.values())
    remake(before, folder / SESSION_NAME)
    data = bytearray(file.read_bytes())
    data[start + FRAME_BYTES + 3] ^= 16
    file.write_bytes(bytes(data))

    def go_on() -> Any:
        return run(Run.taken_up(folder, Remembering(known=sent), FakeModel()).execute())

    with pytest.raises(BadInput, match="`grainloop repair` mends it where that can be done"):
        go_on()
    assert main(["repair", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert "The journal was written anew, 1 record put back: the run can be gone on with." in out
    assert "is damaged from byte" in err
    finished = go_on()
    assert finished.reason is FinishReason.COMPLETED
    points = load_session(folder / SESSION_NAME).points
    assert len(points) == len(np.unique(points.point_id)) == 120
    assert set(points_in(before)) <= set(points.point_id.tolist())


def test_what_cannot_be_mended_is_told_and_costs_no_point(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = [start for start, kind in records(whole) if kind == "decided"][-1]
    folder = damaged(whole, tmp_path / "run", [start])
    assert main(["repair", str(folder)]) == 0
    out, _ = capsys.readouterr()
    assert "The journal stays as it is: what was lost decides how the run goes on. In the journal, `" in out
    assert "records are missing" in out
    assert load_session(folder / SESSION_NAME).points == load_session(whole / SESSION_NAME).points
    assert main(["replay", str(folder)]) == 1
    assert "cannot follow what is before it" in capsys.readouterr().err


def test_an_older_damaged_file_is_kept_too(whole: Path, tmp_path: Path) -> None:
    start = next(start for start, kind in records(whole) if kind == "event")
    folder = damaged(whole, tmp_path / "run", [start])
    (folder / JOURNAL_NAME / "000.journal.damaged").write_bytes(b"older")
    assert mended(folder).whole
    assert (folder / JOURNAL_NAME / "000.journal.damaged").read_bytes() == b"older"
    assert (folder / JOURNAL_NAME / "000.journal.damaged1").exists()


def test_a_run_without_light_gets_its_start_back(tmp_path: Path) -> None:
    dark = PLAN.model_copy(update={"use_light": False})
    run(Run(dark, tmp_path / "dark", FakeInstrument(), FakeModel()).execute())
    start = next(start for start, kind in records(tmp_path / "dark") if kind == "started")
    assert mended(damaged(tmp_path / "dark", tmp_path / "run", [start])).whole
