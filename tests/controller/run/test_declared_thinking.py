"""On a simulated instrument a decision counts a declared time: how fast the computer is changes nothing."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import h5py
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from grainloop.controller.journal.entries import Began, Decided, QuestionAnswered, Reconstructed, entry_bytes
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.writing import Sync
from grainloop.controller.plans.terms import Terms
from grainloop.controller.record import EventsTo
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.protocols.capabilities import ScanTiming
from grainloop.protocols.errors import DeviceFailed
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.plan import Budget, RunPlan
from tests.controller.dying import cut_at, record_ends
from tests.controller.fakes import FakeInstrument, capabilities
from tests.controller.timed import TimedInstrument, TimedModel
from tests.controller.virtual_time import run

SHAPE = (24, 20)
DEVICE = DeviceFailed("The weights are damaged.")


def simulator(dwell_s: float, delays_s: list[float]) -> FakeInstrument:
    """Answers late, in turn; its own clock knows nothing of that."""
    timing = ScanTiming(travel_s_per_px=1e-4, settle_s=1e-4, batch_overhead_s=0.05)
    limits = {"timing": timing, "default_dwell_s": dwell_s, "dwell_range_s": (1e-4, 1.0)}
    scans = iter(range(10_000))

    async def hold(_request: ScanRequest) -> None:
        await asyncio.sleep(delays_s[next(scans) % len(delays_s)])

    return FakeInstrument(capabilities(SHAPE, light=False, **limits), hold=hold)


def told(folder: Path) -> list[bytes]:
    """Everything that the journal of a run holds, in order, but for the name of the run and the time of day."""
    found = list[bytes]()
    for entry in read_journal(folder / JOURNAL_NAME).entries:
        if isinstance(entry, Began):
            entry = entry.model_copy(update={"run": "", "created": ""})
        elif isinstance(entry, QuestionAnswered):
            entry = entry.model_copy(update={"seconds": None})
        elif isinstance(entry, Reconstructed):
            answer = entry.answer.model_copy(update={"section_key": "", "seconds": 0.0})
            entry = entry.model_copy(update={"answer": answer})
        elif isinstance(entry, Decided):
            entry = entry.model_copy(update={"request": entry.request.model_copy(update={"run": ""})})
        found.append(entry_bytes(entry))
    return found


def carry_out(plan: RunPlan, instrument: FakeInstrument, model: TimedModel) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        run(Run(plan, Path(folder), instrument, model, sync=Sync.NEVER).execute())
        return told(Path(folder))


DELAYS = st.lists(st.sampled_from([0.0, 1e-3, 0.05, 0.3, 2.0, 20.0]), min_size=1, max_size=5)
PLANS = st.builds(
    RunPlan,
    budget=st.builds(Budget, fraction=st.floats(0.2, 1), instrument_s=st.none() | st.floats(2.0, 30.0)),
    batches=st.integers(1, 8),
    fill_in=st.booleans(),
    decision_s=st.none() | st.sampled_from([0.0, 0.02, 0.5, 5.0]),
    seed=st.integers(0, 3),
)


@given(
    plan=PLANS,
    dwell_s=st.sampled_from([2e-4, 2e-3, 0.02]),
    delays_s=st.tuples(DELAYS, DELAYS),
    failing=st.lists(st.sampled_from([None, None, DEVICE]), max_size=3),
)
@settings(deadline=None, max_examples=25)
def test_late_answers_of_model_and_instrument_change_nothing(
    plan: RunPlan, dwell_s: float, delays_s: tuple[list[float], list[float]], failing: list[Any]
) -> None:
    """Not even the order of what the journal tells; also where the model fails now and then."""
    prompt = carry_out(plan, simulator(dwell_s, [0.0]), TimedModel([0.0], list(failing)))
    late = carry_out(plan, simulator(dwell_s, delays_s[0]), TimedModel(delays_s[1], list(failing)))
    assert late == prompt


def test_in_real_time_they_do() -> None:
    plan = RunPlan(budget=Budget(fraction=0.5), batches=4, real_time=True)
    prompt = carry_out(plan, simulator(0.02, [0.0]), TimedModel([0.0]))
    assert carry_out(plan, simulator(0.02, [0.0]), TimedModel([3.0])) != prompt


def test_the_session_says_which(tmp_path: Path) -> None:
    events, plan = list[str](), RunPlan(budget=Budget(fraction=0.3), batches=2)
    run(
        Run(
            plan, tmp_path, simulator(0.02, [0.0]), TimedModel([1.0]), [EventsTo(lambda e: events.append(e.text))]
        ).execute()
    )
    session = load_session(tmp_path / "session.h5")
    declared_s = session.plan.decision_s
    assert declared_s == pytest.approx(0.2 + 1.5e-5 * 480)
    assert {row["when"]["elapsed_s"] for row in session.decisions if row["when"]["question"]} == {declared_s}
    with h5py.File(tmp_path / "session.h5") as file:
        assert file.attrs["thinking"] == "declared"
    assert any("A decision counts 0.21 s, however long it takes." in text for text in events)


@pytest.mark.parametrize("simulated", [True, False])
def test_a_real_instrument_and_real_time_count_what_it_takes(tmp_path: Path, simulated: bool) -> None:
    declared = capabilities(SHAPE, light=False, simulated=simulated)
    plan = RunPlan(budget=Budget(fraction=0.5), batches=2, real_time=simulated, dwell_s=0.2)
    plan = plan if simulated else plan.model_copy(update={"decision_s": 5.0})
    run(Run(plan, tmp_path, TimedInstrument(declared), TimedModel([1.5])).execute())
    session = load_session(tmp_path / "session.h5")
    assert session.plan.decision_s is None
    thought = [row["when"]["elapsed_s"] for row in session.decisions if row["when"]["question"]]
    assert thought == pytest.approx([1.5, 1.5])
    with h5py.File(tmp_path / "session.h5") as file:
        assert "thinking" not in file.attrs


def test_who_goes_on_with_a_run_counts_the_same(tmp_path: Path) -> None:
    plan = RunPlan(budget=Budget(fraction=0.5), batches=4, decision_s=0.3)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(Run(plan, whole, simulator(0.02, [0.0]), TimedModel([0.0])).execute())
    ends = record_ends(whole)
    cut_at(whole, cut, ends[len(ends) // 2])
    run(Run.taken_up(cut, simulator(0.02, [0.0]), TimedModel([7.0])).execute())
    session = load_session(cut / "session.h5")
    assert {row["when"]["elapsed_s"] for row in session.decisions if row["when"]["question"]} == {0.3}


def test_a_plan_declares_a_time_or_asks_for_the_real_one() -> None:
    with pytest.raises(ValidationError, match="decision_s declares a time"):
        RunPlan(decision_s=1.0, real_time=True)
    large = capabilities((200, 200))
    assert Terms(RunPlan(), large).with_decision_time().plan.decision_s == pytest.approx(0.8)
    assert Terms(RunPlan(decision_s=2.5), large).with_decision_time().plan.decision_s == 2.5
