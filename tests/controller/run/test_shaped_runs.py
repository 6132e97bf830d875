"""Runs on instruments that scan rectangles and lines, from the coarse raster to the last window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grainloop.controller.decide.decision import BUDGET_SPENT, NO_SHAPE, TOO_LITTLE_LEFT
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record import EventsTo
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Session, load_session
from grainloop.protocols.errors import DeadlineExceeded, GrainloopError
from grainloop.protocols.messages import REASON_CODES, ProposalReason, RunEvent, RunFinished
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.shapes import ScanShape, decode_pieces
from grainloop.protocols.states import FinishReason
from tests.controller.dying import cut_at, record_ends
from tests.controller.shaped import QUEUE, SHAPE, ShapedInstrument, ShapedModel, exposed_twice, queue
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.3), batches=6)  # 576 of the 1920 pixels
AGAIN = REASON_CODES.index(ProposalReason.RETRY)
FIRST = REASON_CODES.index(ProposalReason.FIRST_PASS)


def carry_out(
    folder: Path, plan: RunPlan = PLAN, model: ShapedModel | None = None, **declared: Any
) -> tuple[RunFinished, Session, ShapedInstrument]:
    events: list[RunEvent] = []
    instrument = ShapedInstrument(queue(**declared))
    model = model or ShapedModel([0.3])
    finished = run(Run(plan, folder, instrument, model, [EventsTo(events.append)]).execute())
    assert [event.text for event in events if event.event == "batch_failed"] == []
    return finished, load_session(Path(finished.session_file)), instrument


def shapes_of(instrument: ShapedInstrument) -> list[set[ScanShape]]:
    return [{piece.shape for piece in decode_pieces(scan.pieces, len(scan.point_id))} for scan in instrument.scans]


def check_records(session: Session, instrument: ShapedInstrument, folder: Path) -> None:
    """What was exposed is what was stored, repeats are told as such, and all of it can be decided again."""
    points = instrument.points
    assert sorted(points.point_id.tolist()) == sorted(session.points.point_id.tolist())
    told = {int(i) for i in session.requested.point_id[session.requested.reason == AGAIN]}
    seen, again = set[tuple[int, ...]](), set[int]()
    for number, place in zip(points.point_id.tolist(), map(tuple, points.position_px.tolist()), strict=True):
        if place in seen:
            again.add(number)
        seen.add(place)
    assert again == told & set(points.point_id.tolist())
    again_decided = replay(read_journal(folder / JOURNAL_NAME).entries)
    assert again_decided.difference is None
    assert again_decided.decisions in (len(session.decisions), len(session.decisions) + 1)  # the end is a decision


def test_rectangles_alone(tmp_path: Path) -> None:
    finished, session, instrument = carry_out(tmp_path)
    assert finished.reason is FinishReason.COMPLETED
    assert finished.detail in (TOO_LITTLE_LEFT, BUDGET_SPENT)
    assert all(shapes == {ScanShape.RECTANGLES} for shapes in shapes_of(instrument))
    first = decode_pieces(instrument.scans[0].pieces, len(instrument.scans[0].point_id))
    assert len(first) == 1
    rows, columns = instrument.scans[0].position_px.T
    assert rows.max() - rows.min() > 0.8 * SHAPE[0]
    assert columns.max() - columns.min() > 0.8 * SHAPE[1]
    assert len(instrument.scans) > 4
    assert 576 - 2 * 16 < finished.points_measured <= 576
    assert exposed_twice(session.points) > 0
    check_records(session, instrument, tmp_path)
    told = session.decisions[0]["shapes"]
    assert [one["shape"] for one in told] == ["rectangles"]
    assert told[0]["lines"] * told[0]["points_per_line"] == told[0]["points"] == len(instrument.scans[0].point_id)


def test_after_the_first_answer_a_batch_is_always_queued(tmp_path: Path) -> None:
    finished, session, instrument = carry_out(tmp_path)
    assert any(decision["stop_gap"] for decision in session.decisions)
    first_answer_s = 0.3
    assert instrument.idle_s == pytest.approx(first_answer_s, abs=0.05)  # nothing was known before it
    assert finished.idle_s == pytest.approx(instrument.idle_s)


def test_lines_alone(tmp_path: Path) -> None:
    lines = QUEUE.model_copy(update={"accepted": (ScanShape.LINES,)})
    finished, session, instrument = carry_out(tmp_path, shapes=lines)
    assert finished.reason is FinishReason.COMPLETED
    assert all(shapes == {ScanShape.LINES} for shapes in shapes_of(instrument))
    assert 500 < finished.points_measured <= 576
    check_records(session, instrument, tmp_path)


@pytest.mark.parametrize("shape", ["points", "lines", "rectangles"])
def test_one_shape_of_several(tmp_path: Path, shape: str) -> None:
    every = QUEUE.model_copy(update={"accepted": tuple(ScanShape), "skips": True, "any_corner": True})
    plan = PLAN.model_copy(update={"shape": shape})
    finished, session, instrument = carry_out(tmp_path, plan, shapes=every)
    assert finished.reason is FinishReason.COMPLETED
    assert all(shapes == {ScanShape(shape)} for shapes in shapes_of(instrument))
    assert exposed_twice(session.points) == 0
    check_records(session, instrument, tmp_path)


@pytest.mark.parametrize("limit_s", [3.0, 5.0, 8.0])
def test_time_is_a_hard_limit(tmp_path: Path, limit_s: float) -> None:
    plan = PLAN.model_copy(update={"budget": Budget(fraction=1.0, instrument_s=limit_s)})
    finished, session, instrument = carry_out(tmp_path, plan)
    assert finished.reason is FinishReason.COMPLETED
    assert finished.instrument_s <= limit_s
    assert instrument.clock_s <= limit_s
    assert finished.instrument_s > limit_s - 2.0
    check_records(session, instrument, tmp_path)


def test_dose_is_a_hard_limit_that_windows_keep_off_what_was_measured(tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"budget": Budget(fraction=0.3, pixel_exposure_s=0.01)})
    finished, session, instrument = carry_out(tmp_path, plan)
    assert finished.reason is FinishReason.COMPLETED
    assert exposed_twice(session.points) == 0
    check_records(session, instrument, tmp_path)


def test_without_the_model_rasters_fill_the_gaps(tmp_path: Path) -> None:
    gone: list[GrainloopError | None] = [DeadlineExceeded("The model is late.")] * 50
    finished, session, instrument = carry_out(tmp_path, model=ShapedModel([0.1], gone))
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured > 400
    assert {decision["decided_by"] for decision in session.decisions} == {"plan", "space_filling"}
    assert all(shapes == {ScanShape.RECTANGLES} for shapes in shapes_of(instrument))
    assert exposed_twice(session.points) <= 0.5 * len(session.points)
    check_records(session, instrument, tmp_path)


def test_a_section_where_nothing_is_promised_ends(tmp_path: Path) -> None:
    class Content(ShapedModel):
        async def _reconstruct(self, message: Any) -> Any:
            answer = await super()._reconstruct(message)
            empty = answer.proposals and answer.proposals.model_copy(
                update={
                    name: getattr(answer.proposals, name)[:0] for name in ("position_px", "gain", "reason", "pieces")
                }
            )
            return answer.model_copy(update={"proposals": empty})

    finished, _, _ = carry_out(tmp_path, model=Content([0.1]))
    assert finished.reason is FinishReason.COMPLETED
    assert finished.detail == NO_SHAPE


@pytest.mark.parametrize("seconds", [0.01, 1.0, 5.0])
@pytest.mark.parametrize("serpentine", [False, True])
def test_whatever_the_pace_budgets_hold_and_replays_are_the_same(
    tmp_path: Path, seconds: float, serpentine: bool
) -> None:
    shapes = QUEUE.model_copy(update={"serpentine": serpentine, "any_corner": serpentine, "skips": serpentine})
    finished, session, instrument = carry_out(tmp_path, model=ShapedModel([seconds]), shapes=shapes)
    assert finished.points_measured <= 576
    check_records(session, instrument, tmp_path)


def test_a_raster_larger_than_a_request_comes_in_bands(tmp_path: Path) -> None:
    finished, session, instrument = carry_out(tmp_path, max_points_per_scan=100)
    assert finished.reason is FinishReason.COMPLETED
    assert max(len(scan.point_id) for scan in instrument.scans) <= 100
    planned = [decision for decision in session.decisions if decision["decided_by"] == "plan"]
    assert len(planned) > 1
    check_records(session, instrument, tmp_path)


def cut_within_a_rectangle(folder: Path, to: Path) -> list[int]:
    """The folder as a controller left it that died while a window was measured; ids of the points stored by then."""
    entries = read_journal(folder / JOURNAL_NAME).entries
    stored = [n for n, entry in enumerate(entries) if entry.kind == "points" and entry.batch >= 2]
    cut_at(folder, to, record_ends(folder)[stored[0]])
    left = read_journal(to / JOURNAL_NAME).entries
    return [point for entry in left if entry.kind == "points" for point in entry.points.point_id.tolist()]


@pytest.mark.parametrize("remembers", [True, False])
def test_a_run_goes_on_in_the_middle_of_a_window(tmp_path: Path, remembers: bool) -> None:
    _, whole, _ = carry_out(tmp_path / "whole")
    folder = tmp_path / "again"
    stored = cut_within_a_rectangle(tmp_path / "whole", folder)
    out = replay(read_journal(folder / JOURNAL_NAME).entries).sent
    asked = [point for batch in out.values() for point in batch.request.point_id.tolist()]
    assert set(asked) & set(stored)
    assert set(asked) - set(stored)
    instrument = ShapedInstrument(queue())
    instrument.known = tuple(stored) if remembers else ()
    finished = run(Run.taken_up(folder, instrument, ShapedModel([0.3])).execute())
    assert finished.reason is FinishReason.COMPLETED
    assert not set(instrument.points.point_id.tolist()) & set(stored)
    session = load_session(folder / SESSION_NAME)
    ids = session.points.point_id.tolist()
    assert len(ids) == len(set(ids))
    assert set(stored) <= set(ids)
    assert set(asked) <= set(ids) or not remembers
    assert len(ids) <= 576
    again = replay(read_journal(folder / JOURNAL_NAME).entries)
    assert again.difference is None
    assert not again.notes
    assert len(whole.points) >= len(ids) - len(asked)
