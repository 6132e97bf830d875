"""A whole run with pretended services in virtual time: what is measured and stored, and how it ends."""

from __future__ import annotations

import asyncio
import itertools
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grainloop.controller.record import EventsTo
from grainloop.controller.record.recording import SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Session, load_session
from grainloop.protocols.errors import DeadlineExceeded, DeviceFailed, IllegalState, OutOfLimits, Unavailable
from grainloop.protocols.messages import REASON_CODES, ProposalReason, RunCommand, RunEvent, RunFinished
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import MOVES, FinishReason, RunState, Trigger
from tests.controller.fakes import FakeInstrument, FakeModel, broken, capabilities
from tests.controller.virtual_time import in_virtual_time, run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)  # 120 of the 480 pixels


class Case:
    """A run with its fakes."""

    def __init__(self, folder: Path, plan: RunPlan = PLAN, instrument: Any = None, model: Any = None) -> None:
        self.instrument: FakeInstrument = instrument or FakeInstrument()
        self.model: FakeModel = model or FakeModel()
        self.events: list[RunEvent] = []
        self.run = Run(plan, folder, self.instrument, self.model, [EventsTo(self.events.append)])

    async def execute(self) -> tuple[RunFinished, Session]:
        finished = await self.run.execute()
        assert self.run.standing.state is RunState.FINISHED
        return finished, load_session(Path(finished.session_file))

    def heard(self, event: str) -> list[str]:
        return [e.text for e in self.events if e.event == event]


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


def kept(session: Session) -> list[dict[str, Any]]:
    """The decisions whose batches were not withdrawn."""
    withdrawn = {row["batch"] for row in session.batches if row.get("withdrawn")}
    return [decision for decision in session.decisions if decision["batch"] not in withdrawn]


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
async def test_a_failed_batch_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    case = Case(tmp_path, instrument=FakeInstrument(fail={2: broken()}))
    finished, session = await case.execute()
    assert finished.reason is FinishReason.COMPLETED
    failed = next(row for row in session.batches if row["batch"] == case.instrument.scans[2].batch)
    assert failed["ok"] is False
    assert "retracted" in failed["error"]
    assert 0 < failed["points"] < failed["asked"]
    assert finished.points_measured == 120 - failed["asked"] + failed["points"]
    assert len(case.heard("batch_failed")) == 1


@in_virtual_time
async def test_three_failed_batches_in_a_row_end_the_run(tmp_path: Path) -> None:
    case = Case(tmp_path, instrument=FakeInstrument(fail={2: broken(), 3: broken(), 4: broken()}))
    finished, session = await case.execute()
    assert finished.reason is FinishReason.FAILED
    assert "3 batches in a row failed" in finished.detail
    assert session.finish_reason == "failed"
    assert case.instrument.parked == 1


@in_virtual_time
async def test_a_vanished_instrument_ends_the_run_with_every_point_kept(tmp_path: Path) -> None:
    gone = Unavailable("The instrument service closed the connection.")
    finished, session = await Case(tmp_path, instrument=FakeInstrument(fail={2: gone})).execute()
    assert finished.reason is FinishReason.FAILED
    assert "closed the connection" in finished.detail
    assert finished.points_measured == len(session.points) >= 56


@pytest.mark.parametrize("error", [DeadlineExceeded("too slow"), Unavailable("gone"), DeviceFailed("bad weights")])
@in_virtual_time
async def test_space_filling_decides_when_the_model_does_not(tmp_path: Path, error: Any) -> None:
    case = Case(tmp_path, model=FakeModel(trouble=[None, error]))
    finished, session = await case.execute()
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == 120
    assert [d["decided_by"] for d in kept(session)] == [
        "plan", "plan", "uncertain", "space_filling", "uncertain", "uncertain"
    ]  # fmt: skip
    assert case.heard("model_failed") == [f"{error} Space filling decides this batch."]
    assert case.model.probed == 1
    filled = np.array(REASON_CODES, object)[
        session.requested.reason[session.requested.batch == kept(session)[3]["batch"]]
    ]
    assert set(filled) == {ProposalReason.SPACE_FILLING}


@in_virtual_time
async def test_a_forgotten_section_is_opened_again(tmp_path: Path) -> None:
    case = Case(tmp_path, model=FakeModel(forget={1}))
    finished, session = await case.execute()
    assert finished.reason is FinishReason.COMPLETED
    assert case.model.opened == 2
    assert case.heard("model_failed") == []
    assert session.final is not None


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


@in_virtual_time
async def test_pause_sends_nothing_more_until_resume(tmp_path: Path) -> None:
    case = Case(tmp_path)
    paused = asyncio.Event()

    async def pause_in_batch_2(_: Any) -> None:
        if len(case.instrument.scans) == 3:
            await case.run.command(RunCommand.PAUSE)
            paused.set()

    case.instrument._hold = pause_in_batch_2
    running = asyncio.create_task(case.execute())
    await paused.wait()
    for _ in range(1000):
        await asyncio.sleep(0)
    sent = len(case.instrument.scans)
    assert sent <= 4
    assert not running.done()
    assert await case.run.command(RunCommand.RESUME) is RunState.RUNNING
    finished, _ = await running
    assert finished.points_measured == 120
    assert len(case.instrument.scans) > sent


@in_virtual_time
async def test_stop_finishes_the_batch_being_measured_and_keeps_the_results(tmp_path: Path) -> None:
    case = Case(tmp_path)

    async def stop_in_batch_2(_: Any) -> None:
        if len(case.instrument.scans) == 3:
            assert await case.run.command(RunCommand.STOP) is RunState.STOPPING

    case.instrument._hold = stop_in_batch_2
    finished, session = await case.execute()
    assert finished.reason is FinishReason.STOPPED
    assert sum(row["ok"] for row in session.batches) == 3
    assert finished.points_measured < 120
    assert session.final is not None
    assert session.final.points == finished.points_measured


@in_virtual_time
async def test_stop_does_not_wait_for_the_model(tmp_path: Path) -> None:
    case = Case(tmp_path)

    async def never() -> None:
        if len(case.model.asked) == 1:
            await case.run.command(RunCommand.STOP)
            await asyncio.Event().wait()

    case.model._hold = never
    finished, session = await case.execute()
    assert finished.reason is FinishReason.STOPPED
    assert session.final is not None


@in_virtual_time
async def test_abort_parks_the_instrument_and_keeps_every_point(tmp_path: Path) -> None:
    case = Case(tmp_path)
    aborting: list[asyncio.Task[Any]] = []

    async def abort_in_batch_2(_: Any) -> None:
        if len(case.instrument.scans) == 3:
            aborting.append(asyncio.create_task(case.run.command(RunCommand.ABORT)))
            await asyncio.Event().wait()

    case.instrument._hold = abort_in_batch_2
    finished, session = await case.execute()
    assert await aborting[0] is RunState.FINISHED
    assert finished.reason is FinishReason.ABORTED
    assert case.instrument.parked == 1
    assert session.final is None
    assert session.finish_reason == "aborted"
    first_pass = sum(len(scan.point_id) for scan in case.instrument.scans[:2])
    assert len(session.points) == finished.points_measured == first_pass


@in_virtual_time
async def test_cancelling_a_run_aborts_it(tmp_path: Path) -> None:
    case = Case(tmp_path)
    begun = asyncio.Event()

    async def hang(request: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    case.instrument._hold = hang
    running = asyncio.create_task(case.execute())
    await begun.wait()
    running.cancel()
    finished, _ = await running
    assert finished.reason is FinishReason.ABORTED
    assert finished.detail == "the controller was stopped"


@pytest.mark.parametrize("command", list(RunCommand))
@in_virtual_time
async def test_commands_that_the_table_does_not_hold_are_refused(tmp_path: Path, command: RunCommand) -> None:
    case = Case(tmp_path)
    with pytest.raises(IllegalState):
        await case.run.command(command)
    await case.execute()
    with pytest.raises(IllegalState):
        await case.run.command(command)


@in_virtual_time
async def test_every_state_change_is_a_legal_move(tmp_path: Path) -> None:
    case = Case(tmp_path)
    await case.execute()
    states = [RunState.PREPARING, *(e.state for e in case.events)]
    for before, after in itertools.pairwise(states):
        assert before is after or after in MOVES[before].values()


@in_virtual_time
async def test_a_full_disk_ends_the_run_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from grainloop.controller.session.writer import SessionFile

    case, flush, calls = Case(tmp_path), SessionFile.flush, 0

    def full(self: SessionFile) -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise OSError("Unable to write (No space left on device)")
        flush(self)

    monkeypatch.setattr(SessionFile, "flush", full)
    finished = await case.run.execute()
    assert finished.reason is FinishReason.FAILED
    assert "cannot be written: No space left on device" in finished.detail
    assert case.run.standing.state is RunState.FINISHED
    assert case.instrument.parked == 1


@in_virtual_time
async def test_a_camera_that_fails_leaves_ebsd_alone(tmp_path: Path) -> None:
    async def fail() -> None:
        raise DeviceFailed("The PL camera of Fake-1 is off.")

    case = Case(tmp_path, instrument=FakeInstrument(light=fail))
    finished, session = await case.execute()
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == 120
    assert session.light is None
    assert case.heard("light_failed") == ["The PL camera of Fake-1 is off. EBSD alone."]


@in_virtual_time
async def test_stop_before_the_first_point(tmp_path: Path) -> None:
    async def stop() -> None:
        assert await case.run.command(RunCommand.STOP) is RunState.STOPPING

    case = Case(tmp_path, instrument=FakeInstrument(light=stop))
    finished, session = await case.execute()
    assert finished.reason is FinishReason.STOPPED
    assert len(session.points) == 0
    assert session.result is None


@in_virtual_time
async def test_an_instrument_slower_than_it_declared_is_stopped_when_its_time_is_over(tmp_path: Path) -> None:
    """What had been exposed when the limit passed is kept; nothing is sent after it."""
    budget = Budget(fraction=1.0, instrument_s=11.0)
    case = Case(tmp_path, PLAN.model_copy(update={"budget": budget}), instrument=FakeInstrument(pace=20.0))
    finished, session = await case.execute()
    assert finished.reason is FinishReason.COMPLETED
    assert finished.detail == "no instrument time is left"
    assert len(case.heard("batch_failed")) >= 1
    assert 0 < len(session.points) < len(session.requested.point_id)
    assert sum(session.points.time_s > 11.0) <= len(case.instrument.scans[0].point_id)


STEPS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(RunCommand)), max_size=4)
FAULTS = st.dictionaries(st.integers(0, 5), st.sampled_from(["broken", "gone"]), max_size=2)


@given(steps=STEPS, faults=FAULTS)
@settings(deadline=None, max_examples=40)
@example(steps=[(1, RunCommand.ABORT)], faults={})
def test_any_commands_and_faults_end_in_finished_with_a_parked_instrument_and_a_whole_file(
    steps: list[tuple[int, RunCommand]], faults: dict[int, str]
) -> None:
    """The operator's words come after any number of turns of the event loop; the last one always lets the run go on."""

    async def scenario(folder: Path) -> None:
        kinds: dict[str, Any] = {"broken": broken, "gone": lambda: Unavailable("The instrument is gone.")}
        fail = {batch: kinds[kind]() for batch, kind in faults.items()}
        case = Case(folder, instrument=FakeInstrument(fail=fail))
        running = asyncio.create_task(case.run.execute())
        for turns, command in [*steps, (5, RunCommand.RESUME)]:
            for _ in range(turns):
                await asyncio.sleep(0)
            before = case.run.standing.state
            legal = Trigger(command.value) in MOVES[before]
            try:
                after = await case.run.command(command)
                assert legal
                assert after in (MOVES[before][Trigger(command.value)], RunState.FINISHED)
            except IllegalState:
                assert not legal
        finished = await running
        assert case.run.standing.state is RunState.FINISHED
        assert case.instrument.parked >= 1
        if not case.heard("described"):  # aborted before the instrument had said what there is to store
            assert finished.reason is FinishReason.ABORTED
            assert finished.points_measured == 0
            assert not case.instrument.scans
            return
        session = load_session(Path(finished.session_file))
        assert session.finish_reason == finished.reason
        assert len(session.points) == finished.points_measured <= 120
        assert len(np.unique(session.requested.position_px, axis=0)) == len(session.requested.position_px)

    with tempfile.TemporaryDirectory() as folder:
        run(scenario(Path(folder)))
