"""Recorded sessions without services: decided again, compared, made again from the journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.cli import main
from grainloop.controller.journal.entries import PointsStored, QuestionAnswered
from grainloop.controller.journal.reading import journal_files, read_journal
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.recorded.compare import compare
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Session, load_session
from grainloop.protocols.plan import Budget, RunPlan
from tests.controller.fakes import FakeInstrument, FakeModel, broken
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)


def recorded(folder: Path, plan: RunPlan = PLAN, instrument: Any = None, model: Any = None) -> Path:
    run(Run(plan, folder, instrument or FakeInstrument(), model or FakeModel()).execute())
    return folder


def entries(folder: Path) -> tuple[Any, ...]:
    return read_journal(folder / JOURNAL_NAME).entries


def told(arguments: list[Any], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def everything_in(session: Session) -> dict[str, Any]:
    """All but the maps of the running loop, which the view alone holds."""
    requested = vars(session.requested)
    final = session.final
    assert final is not None
    return {
        "plan": session.plan,
        "capabilities": session.capabilities,
        "software": session.software,
        "created": session.created,
        "light": session.light,
        "points": session.points,
        "batch": session.batch.tolist(),
        "requested": {name: np.nan_to_num(column, nan=-1).tolist() for name, column in requested.items()},
        "batches": session.batches,
        "decisions": session.decisions,
        "events": session.events,
        "final": {name: np.asarray(value).tolist() for name, value in vars(final).items() if name != "light"},
        "finish": (session.finish_reason, session.finish_detail),
    }


def test_replay_says_that_all_decisions_are_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = recorded(tmp_path) / SESSION_NAME
    code, out, err = told(["replay", session], capsys)
    assert (code, err) == (0, "")
    assert "decisions were made again, byte for byte as recorded; 120 points." in out
    code, out, _ = told(["replay", tmp_path, "--json"], capsys)
    found = json.loads(out)
    assert (code, found["difference"], found["points"], found["notes"]) == (0, None, 120, [])
    assert found["decisions"] >= 5


def test_a_view_is_made_again_from_the_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = recorded(tmp_path, instrument=FakeInstrument(fail={1: broken()})) / SESSION_NAME
    before = everything_in(load_session(session))
    session.write_bytes(b"lost")
    code, out, err = told(["repair", tmp_path], capsys)
    assert (code, err) == (0, "")
    assert "was made again from the journal:" in out
    assert everything_in(load_session(session)) == before
    assert (tmp_path / "session.h5.broken").read_bytes() == b"lost"
    session.unlink()
    told(["repair", session], capsys)
    assert everything_in(load_session(session)) == before


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_what_was_before_the_damage_is_there_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    session = recorded(tmp_path) / SESSION_NAME
    whole = load_session(session).points
    (file,) = journal_files(tmp_path / JOURNAL_NAME)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    code, _, err = told(["repair", tmp_path], capsys)
    assert code == 0
    assert "ends in the middle of a record" in err
    points = load_session(session).points
    assert points == whole.select(slice(len(points)))
    code, out, _ = told(["replay", tmp_path], capsys)
    assert code == 0, out


def test_a_folder_without_a_journal_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["replay", tmp_path], ["repair", tmp_path], ["diff", tmp_path, tmp_path]):
        code, out, err = told(command, capsys)
        assert (code, out) == (1, "")
        assert f"There is no journal in {tmp_path / JOURNAL_NAME}." in err


def test_a_journal_whose_beginning_is_lost_makes_no_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path)
    (file,) = journal_files(tmp_path / JOURNAL_NAME)
    data = bytearray(file.read_bytes())
    data[60] ^= 1
    file.write_bytes(bytes(data))
    (tmp_path / SESSION_NAME).write_bytes(b"lost too")
    code, _, err = told(["repair", tmp_path], capsys)
    assert code == 1
    assert "The beginning of the journal" in err
    assert (tmp_path / SESSION_NAME).read_bytes() == b"lost too"


def test_runs_that_decide_the_same_do_not_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = recorded(tmp_path / "a"), recorded(tmp_path / "b")
    assert compare(entries(a), entries(b)).decision is None
    code, out, _ = told(["diff", a, b], capsys)
    assert (code, out) == (0, "All decisions are the same.\n")


def test_the_first_decision_that_differs_is_named_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = recorded(tmp_path / "a")
    b = recorded(tmp_path / "b", PLAN.model_copy(update={"seed": 9, "batches": 6}))
    code, out, _ = told(["diff", a, b], capsys)
    assert code == 3
    assert "is the first that differs" in out
    assert "The plans differ in batches, seed." in out or "The plans differ in seed, batches." in out
    c = recorded(tmp_path / "c", model=FakeModel([None, broken()]))
    apart = compare(entries(a), entries(c))
    assert apart.decision is not None
    assert "The model answered in one of the runs alone." in apart.why
    tolerant = PLAN.model_copy(update={"stop_below": 0.01})
    a, d = recorded(tmp_path / "e", tolerant), tmp_path / "d"
    recorded(d, tolerant, model=FakeModel(predicted_wrong=[0.5, 0.5, 0.001]))
    apart = compare(entries(a), entries(d))
    assert "the second run ends, the other goes on with batch" in apart.field
    assert "the second has completed: the predicted share of wrong pixels" in apart.why[-1]
    code, out, _ = told(["diff", a, d, "--json"], capsys)
    assert (code, json.loads(out)["decision"]) == (3, apart.decision)


def test_answers_and_points_that_differ_are_reasons(tmp_path: Path) -> None:
    one = entries(recorded(tmp_path))
    place = [n for n, entry in enumerate(one) if isinstance(entry, QuestionAnswered)][1]
    other = list(one)
    other[place] = one[place].model_copy(update={"predicted_wrong": 0.1})
    assert compare(one, other).decision is None
    later = recorded(tmp_path / "later", model=FakeModel([None, broken()]))
    fewer = [entry for entry in entries(later) if not isinstance(entry, PointsStored)]
    assert any("The first run had" in why for why in compare(one, fewer).why)
