"""The words of an operator: pause, resume, stop and abort, at any moment."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grainloop.controller.session.reader import load_session
from grainloop.protocols.errors import IllegalState, Unavailable
from grainloop.protocols.messages import RunCommand
from grainloop.protocols.states import MOVES, FinishReason, RunState, Trigger
from tests.controller.case import Case
from tests.controller.fakes import FakeInstrument, broken
from tests.controller.virtual_time import in_virtual_time, run


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
async def test_stop_before_the_first_point(tmp_path: Path) -> None:
    async def stop() -> None:
        assert await case.run.command(RunCommand.STOP) is RunState.STOPPING

    case = Case(tmp_path, instrument=FakeInstrument(light=stop))
    finished, session = await case.execute()
    assert finished.reason is FinishReason.STOPPED
    assert len(session.points) == 0
    assert session.result is None


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
