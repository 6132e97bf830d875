"""Pixels of specimen and instrument: translated there and back, nothing lost, nothing asked for twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grainloop.controller.decide.decider import Decider
from grainloop.controller.decide.decision import Batch
from grainloop.controller.geometry.grid import inside
from grainloop.controller.ledger.aim import Aim, Correction, aimed_offsets, measured_offsets
from grainloop.controller.plans import Terms
from grainloop.protocols.messages import ScanDone
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock
from tests.controller.fakes import block_of, capabilities, reconstruction

SHAPE = (14, 11)
STEPS = st.tuples(st.integers(-3, 3), st.integers(-3, 3))
GAPS = st.integers(0, 40)


def aim_of(steps: list[tuple[tuple[int, int], int, int]]) -> Aim:
    """Corrections whose points ascend; each tells of the points before it."""
    aim, point = Aim(), 0
    for (down, right), told, more in steps:
        aim.corrections.append(Correction(down, right, point + told, point + told + more))
        point += told + more
    return aim


@example(steps=[((0, -3), 0, 0)] * 4, pixels=[(0, 0)])  # further than the section is wide
@given(
    steps=st.lists(st.tuples(STEPS, GAPS, GAPS), max_size=5),
    pixels=st.lists(st.tuples(st.integers(0, 13), st.integers(0, 10)), min_size=1, max_size=9),
)
def test_a_pixel_of_the_specimen_comes_back_from_the_instrument(
    steps: list[tuple[tuple[int, int], int, int]], pixels: list[tuple[int, int]]
) -> None:
    aim, specimen = aim_of(steps), np.array(pixels, np.int32)
    after = np.arange(1000, 1000 + len(pixels), dtype=np.int64)
    sent = aim.instrument_px(specimen)
    assert sent.dtype == np.int32
    assert np.array_equal(aim.specimen_px(after, sent), specimen)
    assert np.array_equal(sent + aimed_offsets(aim.corrections, after), specimen)
    assert np.array_equal(aim.reachable(SHAPE)[tuple(specimen.T)], inside(sent, SHAPE))


def test_a_correction_holds_from_a_point_on() -> None:
    aim = aim_of([((2, -1), 3, 2), ((1, 0), 2, 2)])
    ids = np.arange(10, dtype=np.int64)
    measured, aimed = measured_offsets(aim.corrections, ids), aimed_offsets(aim.corrections, ids)
    assert measured.tolist() == [[0, 0]] * 3 + [[2, -1]] * 4 + [[3, -1]] * 3
    assert aimed.tolist() == [[0, 0]] * 5 + [[2, -1]] * 4 + [[3, -1]]
    assert aim.offset_px.tolist() == [3, -1]
    assert Aim().offset_px.tolist() == [0, 0]
    assert Aim().reachable(SHAPE).all()


class Played:
    """A decider driven to its end, with batches that fail, and drifts that somebody claims to have found."""

    def __init__(self, fraction: float, batches: int, repeats: int) -> None:
        plan = RunPlan(budget=Budget(fraction=fraction), batches=batches, repeats=repeats)
        self.decider = Decider(Terms(plan, capabilities(SHAPE)), "run")
        self.decider.begin(0.0)
        self.sent: list[Batch] = []
        self.came: list[PointBlock] = []
        self._out: list[Batch] = []

    def run(self, finds: list[tuple[tuple[int, int], float] | None]) -> None:
        finding = iter(finds)
        while True:
            while len(self._out) < 2 and (batch := self._next(finding)) is not None:
                self._out.append(batch)
                self.sent.append(batch)
            if not self._out:
                return
            self._measure(self._out.pop(0))

    def _next(self, finding: Iterator[tuple[tuple[int, int], float] | None]) -> Batch | None:
        if (planned := self.decider.next_planned()) is not None:
            return planned
        if (question := self.decider.question()) is None:
            return None
        if len(question.points) and (found := next(finding, None)) is not None:
            (down, right), share = found
            place = min(int(share * len(question.points)), len(question.points) - 1)
            self.decider.ledger.correct(down, right, int(question.points.point_id[place]))
        decided = self.decider.decide(reconstruction(question, SHAPE), lambda: 0.1)
        return decided if isinstance(decided, Batch) else None

    def _measure(self, batch: Batch) -> None:
        ledger, block = self.decider.ledger, block_of(batch.request, self.decider.ledger.clock_s)
        status = np.where(block.point_id % 7 == 3, 3, block.status).astype(np.uint8)
        block = block.model_copy(update={"status": status})
        assert ledger.receive(batch.request.batch, block).fault is None
        self.came.append(block)
        done = ScanDone(batch=batch.request.batch, points=len(block), started_s=0.0, finished_s=float(block.time_s[-1]))
        ledger.close(batch.request.batch, done)


@given(
    fraction=st.floats(0.1, 1.0),
    batches=st.integers(1, 6),
    finds=st.lists(st.none() | st.tuples(STEPS, st.floats(0, 1)), max_size=6),
)
@settings(deadline=None, max_examples=60)
def test_no_point_is_lost_and_no_pixel_asked_for_twice(
    fraction: float, batches: int, finds: list[tuple[tuple[int, int], float] | None]
) -> None:
    played = Played(fraction, batches, repeats=0)
    played.run(finds)
    ledger, came = played.decider.ledger, PointBlock.concatenate(played.came)
    kept, outside = ledger.points.block(), ledger.outside.block()
    ids = np.concatenate([kept.point_id, outside.point_id])
    assert sorted(ids.tolist()) == came.point_id.tolist()
    assert len(ids) == ledger.exposures.points_asked <= ledger.terms.max_points
    placed = came.position_px + measured_offsets(ledger.aim.corrections, came.point_id)
    order = np.searchsorted(came.point_id, kept.point_id)
    assert np.array_equal(placed[order], kept.position_px)
    assert inside(kept.position_px, SHAPE).all()
    assert not inside(outside.position_px, SHAPE).any()
    requests = [batch.request for batch in played.sent]
    for request in requests:
        assert inside(request.position_px, SHAPE).all()
    sent, numbers = (
        np.concatenate([getattr(request, name) for request in requests]) for name in ("position_px", "point_id")
    )
    targets = sent + aimed_offsets(ledger.aim.corrections, numbers)
    assert inside(targets, SHAPE).all()
    assert len(np.unique(targets, axis=0)) == len(targets)


def test_what_lies_where_no_beam_comes_is_not_asked_for() -> None:
    played = Played(1.0, 3, repeats=0)
    played.run([((3, 0), 0.5)])
    ledger = played.decider.ledger
    assert not ledger.exposures.askable.any()
    assert not ledger.exposures.reachable[:3].any()
    assert ledger.exposures.reachable[3:].all()
    assert ledger.exposures.never[0].any()
    assert (ledger.exposures.asked | ledger.exposures.never).all()


def test_points_that_were_moved_may_not_be_repeated() -> None:
    played = Played(0.4, 3, repeats=1)
    played.run([((0, 2), 0.0)])
    ledger = played.decider.ledger
    block = ledger.points.block()
    moved = block.select((block.point_id < played.decider.ledger.aim.corrections[0].aimed_from) & ~block.indexed)
    assert len(moved)
    assert not ledger.exposures.repeatable[tuple(moved.position_px.T)].any()


def test_moving_points_leaves_alone_what_was_read_before() -> None:
    played = Played(0.4, 3, repeats=0)
    played.run([])
    ledger = played.decider.ledger
    before = ledger.points.block()
    said = before.position_px.copy()
    moved = ledger.correct(0, 1, int(before.point_id[-9]))
    assert moved.points == 9
    assert np.array_equal(before.position_px, said)
    beside = int((said[-9:, 1] == SHAPE[1] - 1).sum())
    assert (moved.outside, len(ledger.points)) == (beside, len(before) - beside)
    assert moved.aimed_from == ledger.exposures.points_asked
    back = ledger.correct(0, -1, int(before.point_id[-9]))
    assert back.outside == 0
    assert np.array_equal(ledger.points.block().position_px, said)


@pytest.mark.parametrize("shift", [(0, 0), (1, -2)])
def test_a_batch_that_is_out_counts_where_the_beam_hit(shift: tuple[int, int]) -> None:
    decider = Decider(Terms(RunPlan(budget=Budget(fraction=0.4), batches=2), capabilities(SHAPE)), "run")
    decider.begin(0.0)
    batch = decider.next_planned()
    assert batch is not None
    decider.ledger.correct(*shift, 0)
    block = block_of(batch.request, 0.0)
    decider.ledger.receive(0, block)
    closed = decider.ledger.close(
        0, ScanDone(batch=0, points=len(block), started_s=0, finished_s=float(block.time_s[-1]))
    )
    there = block.position_px + np.array(shift)
    assert np.array_equal(closed.points.position_px, there)
    assert closed.outside == (~inside(there, SHAPE)).sum()
    assert closed.displaced == (len(block) if any(shift) else 0)
    assert closed.farthest_px == pytest.approx(np.hypot(*shift))
