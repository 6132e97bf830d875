"""Journals of before that hold what cannot be: they are read, decided again and shown; what can be used is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.controller.journal.entries import (
    BatchClosed,
    Decided,
    Ended,
    Entry,
    PointsStored,
    QuestionAnswered,
    entry_bytes,
)
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record.mending import repair
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.protocols.messages import Sync
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.record_file import RecordFile
from grainloop.protocols.records import record_bytes
from grainloop.protocols.states import FinishReason
from tests.controller.fakes import FakeInstrument, FakeModel, capabilities
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=1.0, points=60), batches=2, light_angles_deg=(0.0, 45.0, 90.0))


@pytest.fixture
def recorded(tmp_path: Path) -> list[Entry]:
    """The entries of a run, but for its end, as if its controller had died."""
    instrument = FakeInstrument(capabilities((12, 12)))
    run(Run(PLAN, tmp_path, instrument, FakeModel(), sync=Sync.NEVER).execute())
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    return [entry for entry in entries if not isinstance(entry, Ended)]


def written(folder: Path, entries: list[Entry]) -> Path:
    """A journal as an older controller would have left it: nobody looked at what it holds."""
    file = folder / JOURNAL_NAME / "000.journal"
    file.unlink()
    records = RecordFile(file, new=True, version=3)
    records.write(b"".join(record_bytes(number, _as_of_3(entry)) for number, entry in enumerate(entries)))
    records.close()
    return folder / JOURNAL_NAME


def _as_of_3(entry: Entry) -> bytes:
    if isinstance(entry, PointsStored):
        entry = entry.model_copy(update={"refused": None})
    return entry_bytes(entry)


def lied(entries: list[Entry], kind: type[Any], number: int, make: Any) -> list[Entry]:
    """The entries with another one in the place of one of a kind, by its number among these."""
    places = [place for place, entry in enumerate(entries) if isinstance(entry, kind)]
    place = places[number]
    return [*entries[:place], make(entries[place]), *entries[place + 1 :]]


def with_points(field: str, value: Any) -> Any:
    def make(entry: PointsStored) -> PointsStored:
        column = getattr(entry.points, field).copy()
        column[1] = value
        return entry.model_copy(update={"points": entry.points.model_copy(update={field: column})})

    return make


def of_proposals(**columns: Any) -> Any:
    def make(entry: Any) -> Any:
        told = {name: change(getattr(entry.proposals, name)) for name, change in columns.items()}
        return entry.model_copy(update={"proposals": entry.proposals.model_copy(update=told)})

    return make


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_s", np.inf),
        ("time_s", np.nan),
        ("dwell_s", -1e30),
        ("dwell_s", np.nan),
        ("orientation", np.nan),
        ("orientation", 0.0),
        ("status", 99),
        ("phase_id", 9),
        ("confidence", np.nan),
        ("fit_deg", np.inf),
    ],
)
def test_a_session_with_a_point_that_cannot_be_is_gone_on_with(
    tmp_path: Path, recorded: list[Entry], field: str, value: Any
) -> None:
    journal = written(tmp_path, lied(recorded, PointsStored, -1, with_points(field, value)))
    found = read_journal(journal)
    assert found.damage == ()
    stored = [entry for entry in found.entries if isinstance(entry, PointsStored)]
    refused = stored[-1].refused
    assert refused is not None
    assert (len(refused.points), stored[-1].points.status[1]) == (1, 3)
    assert f"with {field} " in refused.why
    assert np.array_equal(getattr(refused.points, field)[0], np.broadcast_to(value, ()), equal_nan=True) or field in (
        "orientation",
        "dwell_s",
    )
    assert replay(found.entries).difference is None
    repaired = repair(journal, tmp_path / SESSION_NAME)
    assert (repaired.points, repaired.mended.damage) == (60, ())
    session = load_session(tmp_path / SESSION_NAME)
    assert len(session.points) == 60
    assert np.isfinite(session.points.time_s).all()
    finished = taken_up(tmp_path)
    assert finished.reason is FinishReason.COMPLETED, finished.detail
    assert finished.points_measured == 60


def taken_up(folder: Path) -> Any:
    instrument = FakeInstrument(capabilities((12, 12)))
    again = Run.taken_up(folder, instrument, FakeModel(), sync=Sync.NEVER)
    return run(_executed(again))


async def _executed(again: Run) -> Any:
    return await again.execute()


def test_a_reason_that_is_none_does_not_lock_a_session(tmp_path: Path, recorded: list[Entry]) -> None:
    strange = np.uint8(9)
    entries = lied(recorded, QuestionAnswered, 0, of_proposals(reason=lambda column: np.full_like(column, strange)))
    answered = next(place for place, entry in enumerate(entries) if isinstance(entry, QuestionAnswered))
    decided = next(
        place for place, entry in enumerate(entries) if place > answered and isinstance(entry, Decided) and entry.when
    )
    entry = entries[decided]
    assert isinstance(entry, Decided)
    entries[decided] = entry.model_copy(update={"reason": np.full_like(entry.reason, strange)})
    journal = written(tmp_path, entries)
    found = read_journal(journal)
    assert replay(found.entries).difference is None
    assert repair(journal, tmp_path / SESSION_NAME).points == 60
    assert (load_session(tmp_path / SESSION_NAME).requested.reason < 8).all()


def test_proposals_of_another_length_are_no_answer(tmp_path: Path, recorded: list[Entry]) -> None:
    cut = lied(recorded, QuestionAnswered, 0, of_proposals(gain=lambda column: column[:-1]))
    answered = next(place for place, entry in enumerate(cut) if isinstance(entry, QuestionAnswered))
    journal = written(tmp_path, cut[: answered + 1])  # the older controller fell over it
    found = read_journal(journal)
    last = found.entries[-1]
    assert isinstance(last, QuestionAnswered)
    assert last.error is not None
    assert "values of gain for" in last.error
    assert replay(found.entries).difference is None
    assert taken_up(tmp_path).reason is FinishReason.COMPLETED


def test_an_idle_time_beyond_all_clocks_is_left_out(tmp_path: Path, recorded: list[Entry]) -> None:
    def make(entry: BatchClosed) -> BatchClosed:
        assert entry.done is not None
        return entry.model_copy(update={"done": entry.done.model_copy(update={"idle_s": 1e308})})

    closed = [entry for entry in recorded if isinstance(entry, BatchClosed) and entry.done is not None]
    entries: list[Entry] = [make(entry) if entry in closed[-2:] else entry for entry in recorded]  # type: ignore[arg-type]
    journal = written(tmp_path, entries)
    assert replay(read_journal(journal).entries).decider.ledger.idle_s < 1e6
    assert taken_up(tmp_path).reason is FinishReason.COMPLETED
