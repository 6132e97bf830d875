"""A whole run with pretended services in virtual time: what is measured and stored, and how it ends."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.controller.record.recording import SESSION_NAME
from grainloop.controller.session.reader import load_session
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.messages import REASON_CODES, ProposalReason
from grainloop.protocols.plan import Budget
from grainloop.protocols.states import FinishReason, RunState
from tests.controller.case import PLAN, Case, kept
from tests.controller.fakes import FakeInstrument, FakeModel, capabilities
from tests.controller.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_run_measures_its_budget_and_stores_everything(tmp_path: Path) -> None:
    case = Case(tmp_path)
    finished, session = await case.execute()
    assert finished.reason is FinishReason.COMPLETED
    assert finished.detail == "the budget is spent"
    assert finished.points_measured == len(session.points) == 120
    assert finished.rounds == 4
    assert len(np.unique(session.points.position_px, axis=0)) == 120
    assert np.array_equal(session.requested.point_id, session.points.point_id)
    assert session.finish_reason == "completed"
    assert session.final is not None
    assert session.final.points == 120
    assert session.latest is not None
    assert session.latest.points < 120
    assert session.light is not None
    assert len(session.light.images) == 18
    assert [e.sequence for e in case.events] == list(range(1, len(case.events) + 1))
    assert session.events == tuple(case.events)
    assert case.instrument.parked == 1
    assert case.model.closed == 1


@in_virtual_time
async def test_reasons_and_gains_of_every_point_are_stored(tmp_path: Path) -> None:
    _, session = await Case(tmp_path).execute()
    reasons = np.array(REASON_CODES, object)[session.requested.reason]
    first_pass = np.isin(session.requested.batch, [0, 1])
    assert set(reasons[first_pass]) == {ProposalReason.FIRST_PASS}
    assert set(reasons[~first_pass]) == {ProposalReason.UNCERTAIN}
    assert (session.requested.gain[~first_pass] > 0).all()
    assert [d["round"] for d in kept(session)] == [0, 0, 1, 2, 3, 4]


@in_virtual_time
async def test_the_weights_of_the_model_are_written_down(tmp_path: Path) -> None:
    _, session = await Case(tmp_path).execute()
    assert session.software["weights for 6/mmm"] == "f" * 64


@in_virtual_time
async def test_decisions_know_all_but_the_batch_being_measured(tmp_path: Path) -> None:
    """A model quicker than a batch always decides in time: decision k knows all batches up to k − 2."""
    _, session = await Case(tmp_path).execute()
    sizes = [row["points"] for row in session.batches if not row.get("withdrawn")]
    for number, decision in enumerate(kept(session)):
        if decision["round"]:
            assert decision["data_points"] == sum(sizes[: number - 1])
            assert decision["when"]["over"] == decision["when"]["asked_over"] + 1  # the stop-gap gave way
    assert not any(decision["stop_gap"] for decision in kept(session))
    assert sum(decision["stop_gap"] for decision in session.decisions) == 4


@in_virtual_time
async def test_a_quick_instrument_and_a_slow_one_are_told_the_same(tmp_path: Path) -> None:
    """Whether a simulator is faster than time makes no difference, nor do a few turns of the event loop."""

    async def dawdle(*_: Any) -> None:
        for _i in range(20):
            await asyncio.sleep(0)

    quick = await Case(tmp_path / "a").execute()
    slow_scan = await Case(tmp_path / "b", instrument=FakeInstrument(hold=dawdle)).execute()
    slow_model = await Case(tmp_path / "c", model=FakeModel(hold=dawdle)).execute()
    for _, session in (slow_scan, slow_model):
        assert np.array_equal(session.requested.position_px, quick[1].requested.position_px)
        assert np.array_equal(session.requested.batch, quick[1].requested.batch)


@in_virtual_time
async def test_requests_do_not_start_before_they_could_have_been_decided(tmp_path: Path) -> None:
    case = Case(tmp_path)
    await case.execute()
    _, session = case, load_session(tmp_path / "session.h5")
    ends = [row["finished_s"] for row in session.batches if not row.get("withdrawn")]
    starts = [d["not_before_s"] for d in kept(session)]
    for k in range(2, len(starts)):
        assert starts[k] >= max(ends[k - 2], starts[k - 1])
        assert starts[k] == pytest.approx(max(ends[k - 2], starts[k - 1]), abs=1.0)


@in_virtual_time
async def test_the_stop_rule_ends_the_run_early_and_says_why(tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"stop_below": 0.1})
    finished, session = await Case(tmp_path, plan, model=FakeModel(predicted_wrong=[0.4, 0.05])).execute()
    assert finished.reason is FinishReason.COMPLETED
    assert "5.00% of the pixels, is below 10.00%" in finished.detail
    assert finished.points_measured == len(session.points) < 120


@in_virtual_time
async def test_the_run_ends_when_a_second_of_measuring_no_longer_pays(tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"least_gain_per_s": 1e6})
    finished, session = await Case(tmp_path / "dear", plan, model=FakeModel()).execute()
    assert finished.reason is FinishReason.COMPLETED
    assert re.search(r"the next batch would put [\d.e+]+ pixels right per second, below 1e\+06", finished.detail)
    assert finished.points_measured == len(session.points) < 120
    plan = PLAN.model_copy(update={"least_gain_per_s": 1e-9})
    finished, _ = await Case(tmp_path / "cheap", plan, model=FakeModel()).execute()
    assert finished.points_measured == 120


@pytest.mark.parametrize(("fraction", "points"), [(1.0, 480), (0.002, 1), (0.005, 2), (0.0065, 3)])
@in_virtual_time
async def test_extreme_budgets(tmp_path: Path, fraction: float, points: int) -> None:
    plan = PLAN.model_copy(update={"budget": Budget(fraction=fraction)})
    finished, session = await Case(tmp_path, plan).execute()
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == points
    assert len(np.unique(session.points.position_px, axis=0)) == points


@in_virtual_time
async def test_a_plan_outside_the_limits_measures_nothing_and_leaves_no_file(tmp_path: Path) -> None:
    case = Case(tmp_path, PLAN.model_copy(update={"section": 3}))
    with pytest.raises(OutOfLimits, match="asks for section 3, but Fake-1 has 1"):
        await case.run.execute()
    assert case.run.standing.state is RunState.FINISHED
    assert not (tmp_path / SESSION_NAME).exists()
    assert case.instrument.scans == []


@in_virtual_time
async def test_cubic_phases_go_without_light(tmp_path: Path) -> None:
    phases = tuple(p.model_copy(update={"point_group": "m-3m", "name": "Ni"}) for p in capabilities().phases)
    case = Case(tmp_path, instrument=FakeInstrument(capabilities(phases=phases)))
    _, session = await case.execute()
    assert session.light is None
    assert case.heard("no_light") == ["Ni (m-3m) is cubic and shows no PL contrast: EBSD alone."]
