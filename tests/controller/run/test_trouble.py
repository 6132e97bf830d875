"""What goes wrong in a run: batches, services, the camera, the disk, the time. Whatever it is, every point is kept."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.protocols.errors import DeadlineExceeded, DeviceFailed, Unavailable
from grainloop.protocols.messages import REASON_CODES, ProposalReason
from grainloop.protocols.plan import Budget
from grainloop.protocols.record_file import RecordFile
from grainloop.protocols.states import FinishReason, RunState
from tests.controller.case import PLAN, Case, kept
from tests.controller.fakes import FakeInstrument, FakeModel, broken
from tests.controller.virtual_time import in_virtual_time


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
async def test_a_broken_disk_ends_the_run_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, write, calls = Case(tmp_path), RecordFile.write, 0

    def broken(self: RecordFile, data: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise OSError(errno.EIO, "Input/output error")
        write(self, data)

    monkeypatch.setattr(RecordFile, "write", broken)
    finished = await case.run.execute()
    assert finished.reason is FinishReason.FAILED
    assert "cannot be written: Input/output error" in finished.detail
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
