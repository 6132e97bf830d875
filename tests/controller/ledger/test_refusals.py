"""Points that cannot be believed have failed where they were asked for; what came of them is kept as it came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grainloop.controller.decide.decider import Decider
from grainloop.controller.ledger.ledger import Ledger
from grainloop.controller.plans import Terms
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointBlock, PointStatus
from tests.controller.fakes import block_of, capabilities

PLAN = RunPlan(budget=Budget(points=20), batches=2)
ROW = 1
LIES = {
    "status": (99, "with status 99"),
    "no status": (0, "with status 0"),
    "phase_id": (7, "with phase_id 7"),
    "orientation": (np.nan, "with orientation [nan nan nan nan]"),
    "no orientation": (0.0, "with orientation [0. 0. 0. 0.]"),
    "half an orientation": (0.25, "with orientation"),
    "confidence": (np.nan, "with confidence nan"),
    "much confidence": (3.0, "with confidence 3.0"),
    "fit_deg": (-1.0, "with fit_deg -1.0"),
    "endless fit_deg": (np.inf, "with fit_deg inf"),
    "time_s": (np.nan, "with time_s nan"),
    "endless time_s": (np.inf, "with time_s inf"),
    "late time_s": (1e300, "with time_s 1e+300"),
    "early time_s": (-5.0, "with time_s -5.0, so its clock ran backwards"),
    "dwell_s": (-1e30, "with dwell_s -1"),
    "endless dwell_s": (np.inf, "with dwell_s inf"),
    "long dwell_s": (1e4, "with dwell_s 10000.0, longer than it can have been"),
    "position_px": (-1, "at row -1, column -1, outside the grid"),
    "far position_px": (2**30, "outside the grid"),
}


@pytest.fixture
def ledger() -> Ledger:
    decider = Decider(Terms(PLAN, capabilities()), "run")
    decider.begin(0.0)
    batch = decider.next_planned()
    assert batch is not None
    return decider.ledger


def request_of(ledger: Ledger) -> ScanRequest:
    return ledger._orders[0].request


def lied(block: PointBlock, field: str, value: Any, row: int = ROW) -> PointBlock:
    columns = {name: np.array(getattr(block, name)) for name in PointBlock.model_fields}
    columns[field.rsplit(maxsplit=1)[-1]][row] = value
    return PointBlock(**columns)


@pytest.mark.parametrize("lie", LIES)
def test_a_point_that_cannot_be_believed_has_failed_where_it_was_asked_for(ledger: Ledger, lie: str) -> None:
    request = request_of(ledger)
    truth = block_of(request, 3.0)
    told = lied(truth, lie, LIES[lie][0])
    received = ledger.look_at(0, told)
    assert (received.failed, received.fault) == (1, None)
    assert received.why.startswith(f"Fake-1 delivered point {ROW} ")
    assert LIES[lie][1] in received.why
    assert received.refused == told.select([ROW])
    others = np.arange(len(truth)) != ROW
    assert received.kept.select(others) == truth.select(others)
    failed = received.kept.select([ROW])
    assert failed.status == PointStatus.FAILED
    assert failed.position_px.tolist() == request.position_px[[ROW]].tolist()
    assert failed.orientation.tolist() == [[1, 0, 0, 0]]
    assert (failed.time_s, failed.dwell_s) == (truth.time_s[ROW - 1], np.float32(request.dwell_s))


def test_what_is_true_is_kept_as_it_is(ledger: Ledger) -> None:
    truth = block_of(request_of(ledger), 3.0)
    received = ledger.look_at(0, truth)
    assert received.kept is truth
    assert (received.failed, received.fault, received.why, len(received.refused)) == (0, None, "", 0)


def test_a_clock_must_not_run_back_from_one_message_to_the_next(ledger: Ledger) -> None:
    truth = block_of(request_of(ledger), 3.0)
    half = len(truth) // 2
    ledger.look_at(0, truth.select(slice(half, None)))
    received = ledger.look_at(0, truth.select(slice(half)))
    assert received.failed == half
    assert "ran backwards" in received.why
    assert (received.kept.time_s == truth.time_s[-1]).all()


def test_after_another_controller_a_clock_may_begin_anew(ledger: Ledger) -> None:
    truth = block_of(request_of(ledger), 1000.0)
    ledger.look_at(0, truth.select(slice(2)))
    ledger.meet_again()
    anew = block_of(request_of(ledger), 0.0)
    assert ledger.look_at(0, anew).failed == 0


def test_the_beginning_is_not_found_by_a_point_that_cannot_be_believed(ledger: Ledger) -> None:
    truth = block_of(request_of(ledger), 5e8)
    ledger.look_at(0, lied(truth.select(slice(1)), "time_s", np.inf, 0))
    ledger.look_at(0, truth.select(slice(1, None)))
    ledger.close(0, None)
    assert 0 < ledger.clock_s < 60


def test_lost_points_have_failed_and_may_be_of_any_time(ledger: Ledger) -> None:
    truth = block_of(request_of(ledger), 50.0)
    ledger.look_at(0, truth.select([0]))
    gone = lied(lied(truth.select([1]), "status", 3, 0), "time_s", 0.0, 0)
    assert ledger.look_at(0, gone, lost=True).failed == 0
    measured = ledger.look_at(0, truth.select([2]), lost=True)
    assert measured.failed == 1
    assert measured.why == "Fake-1 delivered point 2 as lost, with status 1 that is not failed."


def test_a_point_without_an_orientation_may_hold_anything_for_one(ledger: Ledger) -> None:
    truth = block_of(request_of(ledger), 3.0)
    told = lied(lied(lied(truth, "status", 2), "orientation", np.nan), "phase_id", 9)
    received = ledger.look_at(0, told)
    assert received.failed == 0
    assert received.kept.orientation[ROW].tolist() == [1, 0, 0, 0]
    assert received.kept.phase_id[ROW] == 0


def test_of_points_that_nobody_asked_for_the_first_ones_are_kept_as_evidence(ledger: Ledger) -> None:
    truth = block_of(request_of(ledger), 3.0)
    strangers = PointBlock.concatenate([truth] * 400)
    columns = {name: np.array(getattr(strangers, name)) for name in PointBlock.model_fields}
    columns["point_id"] += 5000
    received = ledger.look_at(0, PointBlock(**columns))
    assert received.fault is not None
    assert len(received.kept) == 0
    assert len(received.refused) == 1000
