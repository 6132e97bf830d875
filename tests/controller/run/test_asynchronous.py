"""Instrument and model at any pace, in virtual time: what holds whatever the timing, and what follows from it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.decide.decider import Decider
from grainloop.controller.decide.decision import BUDGET_SPENT, NO_TIME, Batch
from grainloop.controller.journal.writing import Sync
from grainloop.controller.plans import Terms
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Session, load_session
from grainloop.protocols.capabilities import ScanTiming
from grainloop.protocols.errors import DeviceFailed
from grainloop.protocols.messages import RunFinished, ScanDone
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from tests.controller.fakes import FakeInstrument, capabilities
from tests.controller.timed import TimedInstrument, TimedModel
from tests.controller.virtual_time import run

PIXELS = 480


def carry_out(plan: RunPlan, instrument: FakeInstrument, model: TimedModel) -> tuple[RunFinished, Session]:
    """A whole run in virtual time."""
    with tempfile.TemporaryDirectory() as folder:
        finished = run(Run(plan, Path(folder), instrument, model, (), Sync.NEVER).execute())
        return finished, load_session(Path(finished.session_file))


def real(dwell_s: float = 0.02, overhead_s: float = 0.05, most: int = 1000, **options: Any) -> TimedInstrument:
    timing = ScanTiming(travel_s_per_px=1e-4, settle_s=1e-4, batch_overhead_s=overhead_s)
    limits = {"timing": timing, "default_dwell_s": dwell_s, "dwell_range_s": (1e-4, 1.0)}
    simulated = options.pop("simulated", False)
    declared = capabilities(light=False, simulated=simulated, max_points_per_scan=most, **limits)
    return TimedInstrument(declared, **options)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


BUDGETS = st.builds(
    Budget,
    fraction=st.floats(0.01, 1),
    points=maybe(st.integers(1, PIXELS)),
    instrument_s=maybe(st.floats(1.0, 30.0)),
    exposure_s=maybe(st.floats(0.2, 10.0)),
    pixel_exposure_s=maybe(st.floats(0.2, 0.6)),
)
PLANS = st.builds(
    RunPlan,
    budget=BUDGETS,
    batches=st.integers(1, 12),
    repeats=st.integers(0, 2),
    first_pass=st.floats(0.05, 1),
    first_pass_most=st.sampled_from([0.02, 0.3]),
    real_time=st.just(True),
)
SECONDS = st.lists(st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0, 3.0, 10.0, 50.0]), min_size=1, max_size=6)


@given(
    plan=PLANS,
    seconds=SECONDS,
    dwell_s=st.sampled_from([2e-4, 2e-3, 0.02, 0.2]),
    overhead_s=st.sampled_from([0.0, 0.01, 0.2]),
    most=st.sampled_from([4, 40, 1000]),
    pace=st.sampled_from([0.3, 1.0]),
    failing=st.frozensets(st.integers(0, PIXELS - 1), max_size=60),
    simulated=st.booleans(),
    gives_back=st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_limits_are_hard_nothing_is_lost_and_the_instrument_never_waits(
    plan: RunPlan,
    seconds: list[float],
    dwell_s: float,
    overhead_s: float,
    most: int,
    pace: float,
    failing: frozenset[int],
    simulated: bool,
    gives_back: bool,
) -> None:
    """For an instrument that takes as long as it declares, or less."""
    how = {"pace": pace, "failing": failing, "simulated": simulated, "gives_back": gives_back}
    instrument, model = real(dwell_s, overhead_s, most, **how), TimedModel(seconds)
    finished, session = carry_out(plan, instrument, model)
    exposed, budget = instrument.points, plan.budget
    assert finished.reason is FinishReason.COMPLETED
    assert finished.detail in (BUDGET_SPENT, NO_TIME)

    assert len(exposed) <= budget.max_points(PIXELS)
    assert instrument.clock_s <= (budget.instrument_s or np.inf) + 1e-9
    assert exposed.dwell_s.sum(dtype=np.float64) <= (budget.exposure_s or np.inf) * (1 + 1e-6)
    pixels, times = np.unique(exposed.position_px, axis=0, return_counts=True)
    assert times.max() * dwell_s <= (budget.pixel_exposure_s or np.inf) * (1 + 1e-6)

    twice = pixels[times > 1] @ np.array([20, 1])
    assert set(twice.tolist()) <= failing
    assert times.max() <= min(plan.repeats, 1) + 1
    assert sorted(session.points.point_id.tolist()) == sorted(exposed.point_id.tolist())
    assert sorted(session.requested.point_id.tolist()) == sorted(exposed.point_id.tolist())

    assert instrument.idle_s <= 0.01 * instrument.clock_s
    assert finished.idle_s == pytest.approx(instrument.idle_s, abs=1e-6)
    if budget.instrument_s is None:
        most_points = Terms(plan, instrument.capabilities).max_points
        assert len(exposed) == most_points


STEADY = RunPlan(budget=Budget(fraction=0.5), batches=4, repeats=0, real_time=True)
"""240 points; with 20 ms each a batch of the plan takes about a second."""


def kinds(session: Session) -> list[str]:
    """Every batch in the order of sending: planned, decided, measured as a stop-gap, or withdrawn."""
    withdrawn = {row["batch"] for row in session.batches if row.get("withdrawn")}
    return [
        "withdrawn"
        if row["batch"] in withdrawn
        else "stop-gap"
        if row["stop_gap"]
        else "decided"
        if row["round"]
        else "planned"
        for row in session.decisions
    ]


@pytest.mark.parametrize("simulated", [False, True])
def test_an_answer_in_time_replaces_the_stop_gap_that_waits(simulated: bool) -> None:
    instrument = real(simulated=simulated)
    finished, session = carry_out(STEADY, instrument, TimedModel([0.3]))
    found = kinds(session)
    assert found[:2] == ["planned", "planned"]
    assert found[2:] == ["withdrawn", "decided"] * 4
    assert finished.rounds == 4
    assert instrument.idle_s == 0
    assert len(instrument.points) == 240


@pytest.mark.parametrize("simulated", [False, True])
def test_late_answers_make_batches_longer_and_leave_the_instrument_no_rest(simulated: bool) -> None:
    instrument = real(simulated=simulated)
    plan = STEADY.model_copy(update={"budget": Budget(fraction=1.0), "batches": 10})
    finished, session = carry_out(plan, instrument, TimedModel([1.5]))
    found = kinds(session)
    decided = [row for row, kind in zip(session.decisions, found, strict=True) if kind == "decided"]
    assert "stop-gap" in found[2:7]  # nobody knew how long the first answer would take
    assert "stop-gap" not in found[-len(decided) :]
    assert all(row["points"] * 0.02 > 1.5 for row in decided[1:-1])
    assert 3 <= len(decided) == finished.rounds < 10
    assert instrument.idle_s == 0
    assert len(instrument.points) == PIXELS


def test_a_model_slower_than_the_whole_run_is_not_waited_for() -> None:
    instrument = real(dwell_s=2e-4)
    finished, session = carry_out(STEADY, instrument, TimedModel([50.0]))
    assert set(kinds(session)) == {"planned", "stop-gap"}
    assert (finished.rounds, instrument.idle_s, len(instrument.points)) == (0, 0, 240)
    assert session.final is not None


def test_a_plan_may_let_the_instrument_wait() -> None:
    instrument = real(dwell_s=2e-4)
    plan = STEADY.model_copy(update={"fill_in": False})
    finished, session = carry_out(plan, instrument, TimedModel([1.0]))
    assert set(kinds(session)) == {"planned", "decided"}
    assert finished.idle_s == pytest.approx(instrument.idle_s)
    assert instrument.idle_s > 0.9
    assert len(instrument.points) == 240


def test_an_instrument_that_cannot_give_back_measures_its_stop_gaps() -> None:
    instrument = real(gives_back=False)
    finished, session = carry_out(STEADY, instrument, TimedModel([0.3]))
    assert set(kinds(session)) == {"planned", "stop-gap", "decided"}
    assert finished.reason is FinishReason.COMPLETED
    assert (instrument.idle_s, len(instrument.points)) == (0, 240)


def test_a_clock_that_began_before_the_run_does_not_spend_its_time() -> None:
    plan = STEADY.model_copy(update={"budget": Budget(fraction=0.5, instrument_s=4.0)})
    early, late = real(), real(began_s=1e5)
    first, _ = carry_out(plan, early, TimedModel([0.3]))
    second, session = carry_out(plan, late, TimedModel([0.3]))
    assert first.points_measured == second.points_measured > 100
    assert second.instrument_s == pytest.approx(first.instrument_s, abs=1e-3)
    assert session.points.time_s.min() > 1e5


def test_exposure_limits_count_what_the_instrument_says_it_exposed() -> None:
    """One that exposes twice as long as asked gets half as many points, but for those that were out already."""
    plan = STEADY.model_copy(update={"budget": Budget(fraction=0.9, exposure_s=4.0)})
    honest, greedy = real(), real()
    greedy.exposure_factor = 2.0
    assert carry_out(plan, honest, TimedModel([0.1]))[0].points_measured == 200
    finished, _ = carry_out(plan, greedy, TimedModel([0.1]))
    assert 100 <= finished.points_measured < 200


FAILING = [None, None, DeviceFailed("The weights are damaged."), None]


@given(
    seconds=SECONDS,
    dwell_s=st.sampled_from([2e-3, 0.02]),
    batches=st.integers(2, 8),
    limit_s=maybe(st.floats(1.0, 8.0)),
    simulated=st.booleans(),
    real_time=st.booleans(),
)
@settings(deadline=None, max_examples=15)
def test_recorded_timing_and_replies_give_the_same_decisions_again(
    seconds: list[float], dwell_s: float, batches: int, limit_s: float | None, simulated: bool, real_time: bool
) -> None:
    plan = RunPlan(budget=Budget(fraction=0.6, instrument_s=limit_s), batches=batches, real_time=real_time)
    instrument, model = real(dwell_s, simulated=simulated), TimedModel(seconds, list(FAILING))
    _, session = carry_out(plan, instrument, model)
    again = decide_again(session, model)
    assert len(again) == len(session.decisions)
    for batch, row in zip(again, session.decisions, strict=True):
        assert batch.request.not_before_s == row["not_before_s"]
        assert (batch.decided_by, batch.stop_gap, asdict(batch.when)) == (
            row["decided_by"],
            row["stop_gap"],
            row["when"],
        )
    kept = [b.request for b, kind in zip(again, kinds(session), strict=True) if kind != "withdrawn"]
    asked = session.requested
    np.testing.assert_array_equal(np.concatenate([one.point_id for one in kept]), asked.point_id)
    np.testing.assert_array_equal(np.concatenate([one.position_px for one in kept]), asked.position_px)


def decide_again(session: Session, model: TimedModel) -> list[Batch]:
    """The decisions of a session, made again from its plan, its records and the answers of the model."""
    decider, made = Decider(session.terms, "again"), list[Batch]()
    decider.begin(0.0)
    over, asked = 0, 0

    def catch_up(until: int) -> None:
        nonlocal over
        while over < until:
            replay_end(decider, session, over)
            over += 1

    answering = [row["when"] for row in session.decisions if row["when"]["question"] is not None]
    for row in session.decisions:
        when = row["when"]
        for one in answering[asked:]:
            if one["asked_sent"] > len(made):
                break
            catch_up(one["asked_over"])
            assert decider.question() is not None
            asked += 1
        catch_up(when["over"])
        if when["question"] is not None:
            batch = decider.decide(model.answers[when["question"] - 1], lambda when=when: when["elapsed_s"])
        else:
            batch = decider.stop_gap() if row["stop_gap"] else decider.next_planned()
        assert isinstance(batch, Batch)
        made.append(batch)
    return made


def replay_end(decider: Decider, session: Session, number: int) -> None:
    """A batch is closed, or was withdrawn, as the session tells."""
    row = session.batches[number]
    if row.get("withdrawn"):
        decider.ledger.withdraw(row["batch"])
        return
    decider.ledger.receive(row["batch"], session.points.select(session.batch == row["batch"]))
    times = {name: row[name] for name in ("started_s", "finished_s", "idle_s")} if row["ok"] else {}
    decider.ledger.close(
        row["batch"], ScanDone(batch=row["batch"], points=row["points"], **times) if row["ok"] else None
    )
