"""Instruments that do other things than asked for: what is kept, what is told, and how the run goes on or ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.controller.decide.decision import NOTHING_LEFT
from grainloop.controller.decide.drift import Shift, Watch
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record import EventsTo
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Session, load_session
from grainloop.protocols.errors import Cancelled
from grainloop.protocols.messages import (
    Describe,
    Description,
    PointsMeasured,
    RunEvent,
    RunFinished,
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import PointBlock
from tests.controller.fakes import FakeInstrument, FakeModel, block_of, broken, capabilities
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)  # 120 of the 480 pixels


class Odd(FakeInstrument):
    """Sends what `make` makes of the points of each scan, numbered from 0, and says that it is done."""

    def __init__(self, make: Any) -> None:
        super().__init__(capabilities(light=False))
        self._make = make

    async def _scan(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        number, start = len(self.scans), max(self.clock_s, request.not_before_s)
        self.scans.append(request)
        whole = block_of(request, start)
        self.clock_s = float(whole.time_s[-1])
        on_progress(PointsMeasured(batch=request.batch, points=self._make(number, whole)))
        count = len(whole)
        return ScanDone(batch=request.batch, points=count, started_s=start, finished_s=self.clock_s)


class Nervous(FakeInstrument):
    """Remembers what it has exposed; stops some scans in the middle, as when nobody is heard of."""

    def __init__(self, stops: dict[int, int]) -> None:
        super().__init__(capabilities(light=False))
        self._stops, self._kept = stops, dict[int, PointBlock]()
        self.exposed: list[int] = []

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        if isinstance(message, Describe):
            return Description(capabilities=self.capabilities, spools=True)
        return await super().request(message, deadline_s=deadline_s, on_progress=on_progress)

    async def _scan(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        number, whole = request.batch, block_of(request, max(self.clock_s, request.not_before_s))
        before = self._kept.get(number, whole.select(slice(0)))
        if len(before):
            on_progress(PointsMeasured(batch=number, points=before))
        stops = self._stops.get(number, 0) > 0
        rest = whole.select(slice(len(before), len(before) + 3 if stops else None))
        self.exposed += rest.point_id.tolist()
        self._kept[number] = PointBlock.concatenate([before, rest])
        on_progress(PointsMeasured(batch=number, points=rest))
        if stops:
            self._stops[number] -= 1
            raise Cancelled("Nobody was heard of for 30 s; the beam is blanked.")
        self.clock_s = float(whole.time_s[-1])
        count = len(whole)
        return ScanDone(batch=number, points=count, started_s=self.clock_s, finished_s=self.clock_s)


def changed(block: PointBlock, **columns: Any) -> PointBlock:
    return PointBlock(**{name: getattr(block, name) for name in PointBlock.model_fields} | columns)


def carry_out(
    folder: Path, instrument: FakeInstrument, plan: RunPlan = PLAN
) -> tuple[RunFinished, Session, list[RunEvent]]:
    events: list[RunEvent] = []
    finished = run(Run(plan, folder, instrument, FakeModel(), [EventsTo(events.append)]).execute())
    return finished, load_session(Path(finished.session_file)), events


def told(events: list[RunEvent], kind: str) -> list[str]:
    return [event.text for event in events if event.event == kind]


def test_what_the_instrument_stopped_in_silence_is_asked_for_again(tmp_path: Path) -> None:
    instrument = Nervous({0: 1, 1: 2})
    finished, session, events = carry_out(tmp_path, instrument)
    assert finished.reason is FinishReason.COMPLETED
    assert sorted(instrument.exposed) == sorted(session.points.point_id.tolist())
    assert len(session.points) == 120
    assert [text.split(" was ")[0] for text in told(events, "sent_again")] == ["Batch 0", "Batch 1", "Batch 1"]
    again = replay(read_journal(tmp_path / JOURNAL_NAME).entries)
    assert again.difference is None


def test_what_the_instrument_stops_again_and_again_is_given_up(tmp_path: Path) -> None:
    finished, session, events = carry_out(tmp_path, Nervous({0: 99}))
    assert finished.reason is FinishReason.COMPLETED
    assert len(told(events, "sent_again")) == 2
    assert "ended with 9 of " in told(events, "batch_failed")[0]
    assert len(session.points) < 120


def test_points_beside_their_targets_count_where_they_were_measured(tmp_path: Path) -> None:
    def beside(number: int, block: PointBlock) -> PointBlock:
        moved = block.position_px + np.array([[0, 1]], np.int32) * (block.position_px[:, 1:] < 19)
        return changed(block, position_px=moved) if number == 0 else block

    finished, session, events = carry_out(tmp_path, Odd(beside))
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == 120
    assert len(told(events, "displaced")) == 1
    assert told(events, "displaced")[0].endswith(
        "up to 1.0 px beside their targets; they count where they were measured."
    )
    first = session.batch == session.batch[0]
    places = {tuple(place) for place in session.points.position_px[first].tolist()}
    later = session.requested.position_px[session.requested.batch != session.batch[0]]
    held_back = (session.requested.reason[session.requested.batch != session.batch[0]] == 0).sum()
    assert not places & {tuple(place) for place in later[held_back:].tolist()}  # what was planned before is not moved


def test_with_every_point_beside_its_target_pixels_run_out_and_the_run_ends(tmp_path: Path) -> None:
    def beside(_number: int, block: PointBlock) -> PointBlock:
        return changed(block, position_px=(block.position_px + 1) % np.array([24, 20], np.int32))

    plan = PLAN.model_copy(update={"budget": Budget(fraction=1.0)})
    finished, session, _ = carry_out(tmp_path, Odd(beside), plan)
    assert finished.reason is FinishReason.COMPLETED
    assert finished.detail == NOTHING_LEFT
    asked = session.requested.position_px
    assert len(np.unique(asked, axis=0)) == len(asked) < 480


@pytest.mark.parametrize("case", ["other ids", "twice", "extra"])
def test_points_that_were_not_asked_for_are_told_and_the_others_kept(tmp_path: Path, case: str) -> None:
    def odd(number: int, block: PointBlock) -> PointBlock:
        if number != 2:
            return block
        ids = block.point_id.copy()
        match case:
            case "other ids":
                ids[3:] += 5000
            case "twice":
                return PointBlock.concatenate([block, block.select([0])])
            case _:
                return PointBlock.concatenate([block, PointBlock.one(9999, (0, 0), time_s=0.0, dwell_s=0.01)])
        return changed(block, point_id=ids)

    instrument = Odd(odd)
    finished, session, events = carry_out(tmp_path, instrument)
    assert finished.reason is FinishReason.COMPLETED
    asked = len(instrument.scans[2].point_id)
    kept = asked if case in ("twice", "extra") else 3
    assert (session.batch == instrument.scans[2].batch).sum() == kept
    (failed,) = told(events, "batch_failed")
    assert f"ended with {kept} of {asked} points: Fake-1 reported point" in failed
    assert finished.points_measured == 120 - (asked - kept)
    assert len(np.unique(session.points.position_px, axis=0)) == len(session.points)


def test_points_that_are_missing_are_told_and_not_asked_for_again(tmp_path: Path) -> None:
    instrument = Odd(lambda number, block: block.select(slice(4)) if number == 1 else block)
    finished, session, events = carry_out(tmp_path, instrument)
    lost = instrument.scans[1]
    (failed,) = told(events, "batch_failed")
    assert f"called batch {lost.batch} done, but {len(lost.point_id) - 4} of its points are missing" in failed
    assert finished.points_measured == 120 - len(lost.point_id) + 4
    asked = session.requested.position_px
    assert len(np.unique(asked, axis=0)) == len(asked) == 120


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_batch_that_brings_nothing_costs_its_points_alone(tmp_path: Path, number: int) -> None:
    instrument = Odd(lambda n, block: block.select(slice(0)) if n == number else block)
    finished, session, events = carry_out(tmp_path, instrument)
    assert finished.reason is FinishReason.COMPLETED
    assert len(told(events, "batch_failed")) == 1
    assert finished.points_measured == 120 - len(instrument.scans[number].point_id) == len(session.points)


def test_points_that_all_fail_are_points_and_may_be_repeated(tmp_path: Path) -> None:
    def failing(number: int, block: PointBlock) -> PointBlock:
        return changed(block, status=np.full(len(block), 3, np.uint8)) if number == 0 else block

    finished, session, _ = carry_out(tmp_path, Odd(failing))
    assert finished.points_measured == len(session.points) == 120
    assert session.points.indexed.sum() == 120 - (session.batch == session.batch[0]).sum()


def test_an_instrument_that_brings_nothing_at_all_ends_the_run(tmp_path: Path) -> None:
    finished, session, _ = carry_out(tmp_path, Odd(lambda _n, block: block.select(slice(0))))
    assert finished.reason is FinishReason.FAILED
    assert "3 batches in a row failed" in finished.detail
    assert len(session.points) == 0


def test_a_drift_is_told_only_where_the_plan_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shift = Shift(2.0, -1.0, 70, 0.4, 9.0)
    looked: list[int] = []

    def look(_: Watch, _answer: Any, points: PointBlock) -> Shift | None:
        looked.append(len(points))
        return shift if len(looked) == 2 else None

    monkeypatch.setattr(Watch, "look", look)
    plan = PLAN.model_copy(update={"correct_drift": False})
    _, session, events = carry_out(tmp_path, FakeInstrument(fail={1: broken()}), plan)
    assert told(events, "drift") == [f"{shift.words} Their positions are not corrected."]
    assert not session.corrections
    assert looked == sorted(looked)
    assert looked[-1] == len(session.points)
    assert "drift" in [event.event for event in session.events]
