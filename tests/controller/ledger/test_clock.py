"""Instrument time of a run on clocks that begin at any time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.controller.ledger.clock import RunClock
from grainloop.controller.ledger.orders import Order
from grainloop.controller.ledger.pace import Pace
from grainloop.controller.plans import Terms
from grainloop.protocols.messages import ScanDone, ScanRequest
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.values import PointBlock
from tests.controller.fakes import DWELL_S, block_of, capabilities

APPROACH_S = 0.1


def order(number: int, not_before_s: float = 0.0) -> Order:
    pixels = np.array([[0, 0], [0, 1]], np.int32)
    request = ScanRequest(
        run="run",
        section=0,
        batch=number,
        point_id=2 * number + np.arange(2),
        position_px=pixels,
        dwell_s=DWELL_S,
        not_before_s=not_before_s,
    )
    return Order(request, pixels, not_before_s, 0.2, np.zeros(2, np.bool_))


def measured(one: Order, start_s: float) -> PointBlock:
    block = block_of(one.request, 0.0)
    times = start_s + APPROACH_S + DWELL_S * (1 + np.arange(len(block)))
    block = block.model_copy(update={"time_s": times})
    return one.receive(block, (24, 20), "Fake-1").kept


def clock() -> RunClock:
    return RunClock(Pace(Terms(RunPlan(), capabilities())), APPROACH_S)


@given(began_s=st.floats(20, 1e6), light_s=st.floats(0, 100))
def test_time_counts_from_the_beginning_of_the_run(began_s: float, light_s: float) -> None:
    one, first = clock(), order(0)
    one.begin(light_s)
    one.find_beginning(first, measured(first, began_s + light_s))
    assert one.found
    assert one.run_s(began_s) == pytest.approx(0, abs=1e-6)
    assert one.instrument_s(5.0) == pytest.approx(began_s + 5)
    done = ScanDone(batch=0, points=2, started_s=began_s + light_s, finished_s=began_s + light_s + 0.3)
    one.close(first, done)
    assert one.now_s == pytest.approx(light_s + 0.3, abs=1e-6)


def test_a_first_point_that_is_a_little_late_was_slow() -> None:
    one, first = clock(), order(0)
    one.find_beginning(first, measured(first, 3.0))
    assert one.run_s(3.0) == 3.0


def test_a_clock_that_began_anew_may_have_begun_behind_the_run() -> None:
    one, first, second = clock(), order(0), order(1, 50.0)
    one.find_beginning(first, measured(first, 0.0))
    one.lose_beginning()
    assert not one.found
    one.find_beginning(second, measured(second, 2.0))
    assert one.run_s(2.0) == pytest.approx(50.0)
    assert one.instrument_s(10.0) == 0.0


def test_a_batch_that_failed_may_have_taken_as_long_as_declared() -> None:
    one, out = clock(), order(1)
    assert one.free_at_s([out]) == pytest.approx(0.2)
    one.close(out, None)
    assert (one.now_s, one.busy_until_s) == (0.0, pytest.approx(0.2))
    assert one.free_at_s([order(2, 1.0), order(3)]) == pytest.approx(1.4)
