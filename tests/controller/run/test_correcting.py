"""A beam that drifts in a run: found, corrected, told, decided again byte for byte, and gone on with after a death."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.controller.journal.entries import Corrected, Decided, PointsStored, QuestionAnswered
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import Replayed, replay
from grainloop.controller.ledger.aim import aimed_offsets, measured_offsets
from grainloop.controller.record.mending import repair
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Session, load_session
from grainloop.model.crystal import random_quaternions
from grainloop.protocols.messages import (
    PointsMeasured,
    Reconstruction,
    RunFinished,
    ScanDone,
    ScanRequest,
    Severity,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import PointBlock
from tests.controller.dying import cut_at, record_ends
from tests.controller.fakes import FakeInstrument, FakeModel, capabilities
from tests.controller.virtual_time import run

SHAPE = (60, 54)
DRIFT = (3, -2)
PLAN = RunPlan(budget=Budget(fraction=0.4), batches=6)
BEFORE = 500
"""Points from this one on are measured by a beam that has drifted."""


def grains() -> np.ndarray:
    """(h, w, 4) a chessboard of grains of 6 px, each another."""
    rows, columns = np.indices(SHAPE) // 6
    number = rows * 100 + columns
    return random_quaternions(number.max() + 1, np.random.default_rng(5))[number].astype(np.float32)


TRUTH = grains()


class Drifting(FakeInstrument):
    """Believes its positions; from point `BEFORE` on the beam is elsewhere."""

    def __init__(self) -> None:
        super().__init__(capabilities(SHAPE))
        self.went: list[np.ndarray] = []

    async def _scan(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        def arrived(message: PointsMeasured) -> None:
            on_progress(message.model_copy(update={"points": self._drifted(message.points)}))

        return await super()._scan(request, arrived)

    def _drifted(self, points: PointBlock) -> PointBlock:
        there = points.position_px + np.array(DRIFT, np.int32) * (points.point_id[:, None] >= BEFORE)
        self.went.append(there)
        return points.model_copy(update={"orientation": TRUTH[tuple(np.clip(there, 0, np.array(SHAPE) - 1).T)]})


class Knowing(FakeModel):
    """Answers with the specimen."""

    async def _reconstruct(self, message: Any) -> Reconstruction:
        answer = await super()._reconstruct(message)
        return answer.model_copy(update={"orientation": TRUTH})


def carry_out(folder: Path, plan: RunPlan = PLAN) -> tuple[RunFinished, Drifting, Knowing]:
    instrument, model = Drifting(), Knowing()
    finished = run(Run(plan, folder, instrument, model).execute())
    assert finished.reason is FinishReason.COMPLETED
    return finished, instrument, model


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in which the beam drifted."""
    folder = tmp_path_factory.mktemp("whole")
    carry_out(folder)
    return folder


def stored(folder: Path) -> PointBlock:
    """All points in the journal, as the instrument told them."""
    entries = read_journal(folder / JOURNAL_NAME).entries
    return PointBlock.concatenate([entry.points for entry in entries if isinstance(entry, PointsStored)])


def shows_truth(points: PointBlock) -> np.ndarray:
    """(N,) bool, points whose orientation is that of the specimen where they count."""
    return (points.orientation == TRUTH[tuple(points.position_px.T)]).all(axis=1)


def decided_again(folder: Path) -> Replayed:
    found = replay(read_journal(folder / JOURNAL_NAME).entries)
    assert found.difference is None, str(found.difference)
    return found


def assert_nothing_lost(session: Session, said: PointBlock) -> None:
    ids = np.concatenate([session.points.point_id, session.outside.point_id])
    assert sorted(ids.tolist()) == said.point_id.tolist()
    place = np.searchsorted(said.point_id, session.points.point_id)
    assert np.array_equal(session.points.position_px - session.offset_px, said.position_px[place])
    place = np.searchsorted(said.point_id, session.outside.point_id)
    assert np.array_equal(session.outside.position_px, said.position_px[place])


def test_a_drift_is_corrected_and_told(tmp_path: Path) -> None:
    finished, instrument, model = carry_out(tmp_path)
    session, said = load_session(tmp_path / SESSION_NAME), stored(tmp_path)
    (correction,) = session.corrections
    assert (correction.rows_px, correction.columns_px) == DRIFT
    assert correction.from_point >= BEFORE
    assert correction.from_point < correction.aimed_from < said.point_id.max()
    assert_nothing_lost(session, said)
    assert finished.points_measured == len(session.points)
    drifted = session.points.point_id >= correction.from_point
    assert (session.offset_px[drifted] == DRIFT).all()
    assert not session.offset_px[~drifted].any()
    assert shows_truth(session.points).mean() > 0.98  # points of the first grains beyond the drift tell nothing
    assert len(session.outside) >= correction.outside > 0
    assert not (session.outside.point_id >= correction.aimed_from).any()
    (told,) = [event for event in session.events if event.event == "drift"]
    assert told.severity is Severity.WARNING
    assert Corrected.told_by(told) == correction
    assert f"{correction.moved} points count 3 px down and 2 px left of there" in told.text
    assert f"{correction.outside} of these are beside the grid then" in told.text
    assert model.asked[-1].points == session.points
    aimed = session.requested.point_id >= correction.aimed_from
    went = np.concatenate(instrument.went)
    assert np.array_equal(
        session.requested.position_px[aimed], went[session.requested.point_id >= correction.aimed_from]
    )
    assert len(np.unique(session.requested.position_px, axis=0)) == len(session.requested.position_px)


def test_a_corrected_run_is_decided_again_byte_for_byte(whole: Path) -> None:
    entries = read_journal(whole / JOURNAL_NAME).entries
    found, session = decided_again(whole), load_session(whole / SESSION_NAME)
    assert found.decisions >= sum(isinstance(entry, Decided) for entry in entries)
    assert found.decider.ledger.points.block() == session.points
    assert sorted(found.decider.ledger.outside.block().point_id.tolist()) == sorted(session.outside.point_id.tolist())
    place = next(number for number, entry in enumerate(entries) if isinstance(entry, Corrected))
    assert isinstance(entries[place - 1], QuestionAnswered)
    without = replay([*entries[:place], *entries[place + 1 :]])
    assert without.difference is not None
    assert "`position_px` is another" in str(without.difference)


def test_a_correction_that_moves_other_points_than_recorded_differs(whole: Path) -> None:
    entries = list(read_journal(whole / JOURNAL_NAME).entries)
    place = next(number for number, entry in enumerate(entries) if isinstance(entry, Corrected))
    lost = entries[place]
    entries[place] = lost.model_copy(update={"moved": lost.moved + 1})
    found = replay(entries)
    assert f"recorded a drift that moved {lost.moved + 1} points" in str(found.difference)
    assert f"decided again a drift that moved {lost.moved} points" in str(found.difference)
    assert found.decisions == sum(isinstance(entry, Decided) for entry in entries[:place])


def test_the_session_of_a_corrected_run_is_made_again(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    before = load_session(tmp_path / SESSION_NAME)
    repair(tmp_path / JOURNAL_NAME, tmp_path / SESSION_NAME)
    again = load_session(tmp_path / SESSION_NAME)
    assert again.points == before.points
    assert again.outside == before.outside
    assert again.corrections == before.corrections
    assert np.array_equal(again.requested.position_px, before.requested.position_px)


@pytest.mark.parametrize("later", [0, 2, 9])
def test_the_offset_survives_the_death_of_the_controller(whole: Path, tmp_path: Path, later: int) -> None:
    """Dead right behind the record of the correction, or some records later."""
    entries = read_journal(whole / JOURNAL_NAME).entries
    place = next(number for number, entry in enumerate(entries) if isinstance(entry, Corrected))
    ends = record_ends(whole)
    cut_at(whole, tmp_path, ends[min(place + later, len(ends) - 4)])
    instrument = Drifting()
    finished = run(Run.taken_up(tmp_path, instrument, Knowing()).execute())
    assert finished.reason is FinishReason.COMPLETED
    session, said = load_session(tmp_path / SESSION_NAME), stored(tmp_path)
    assert_nothing_lost(session, said)
    assert len(session.corrections) == 1
    assert shows_truth(session.points).mean() > 0.98
    assert decided_again(tmp_path).decider.ledger.aim.offset_px.tolist() == list(DRIFT)
    corrections = decided_again(tmp_path).decider.ledger.aim.corrections
    decided = [entry.request for entry in read_journal(tmp_path / JOURNAL_NAME).entries if isinstance(entry, Decided)]
    for request in decided[-2:]:
        assert (aimed_offsets(corrections, request.point_id) == DRIFT).all()
        assert (measured_offsets(corrections, request.point_id) == DRIFT).all()


def test_a_beam_that_stays_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.controller.run.test_correcting.BEFORE", 10**6)
    carry_out(tmp_path)
    session = load_session(tmp_path / SESSION_NAME)
    assert session.corrections == ()
    assert len(session.outside) == 0
    assert not session.offset_px.any()
    assert shows_truth(session.points).all()


def test_a_drift_found_at_the_end_is_corrected_in_the_last_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.controller.run.test_correcting.BEFORE", 1100)
    _, _, model = carry_out(tmp_path)
    session = load_session(tmp_path / SESSION_NAME)
    assert len(session.corrections) == 1
    assert session.corrections[0].aimed_from > stored(tmp_path).point_id.max()
    assert model.asked[-1].propose is None
    assert model.asked[-2].propose is None
    assert model.asked[-1].points == session.points
    assert session.final is not None
    assert session.final.points == len(session.points)
    decided_again(tmp_path)
