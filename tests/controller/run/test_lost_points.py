"""Points that the instrument service says are lost: journaled with the reason, told, and replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from grainloop.controller.figures.summary import points_lost
from grainloop.controller.journal.entries import PointsStored
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.protocols.messages import PointsMeasured, ScanDone, ScanRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import PointStatus
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.virtual_time import run

WHY = "exposed, result lost"
PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)


class Forgetful(FakeInstrument):
    """Loses the first points of its second batch."""

    async def _scan(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        def told(message: PointsMeasured) -> None:
            if request.batch == 1 and message.points.point_id[0] == request.point_id[0]:
                count = len(message.points)
                failed = message.points.model_copy(update={"status": np.full(count, PointStatus.FAILED, np.uint8)})
                message = PointsMeasured(batch=1, points=failed, lost=WHY)
            on_progress(message)

        return await super()._scan(request, told)


def test_why_points_are_lost_is_in_journal_and_events(tmp_path: Path) -> None:
    run(Run(PLAN, tmp_path, Forgetful(), FakeModel()).execute())
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    stored = [entry for entry in entries if isinstance(entry, PointsStored)]
    (lost,) = [entry for entry in stored if entry.lost is not None]
    assert (lost.batch, lost.lost) == (1, WHY)
    session = load_session(tmp_path / SESSION_NAME)
    (said,) = [event for event in session.events if event.event == "points_lost"]
    assert said.text == f"{len(lost.points)} points of batch 1 failed: {WHY}."
    assert said.numbers == {"batch": 1, "points": len(lost.points)}
    assert points_lost(session.events) == len(lost.points)
    in_words_alone = [event.model_copy(update={"numbers": {}}) for event in session.events]
    assert points_lost(in_words_alone) is None
    assert set(session.points.point_id[session.points.status == PointStatus.FAILED]) == set(lost.points.point_id)
    found = replay(entries)
    assert found.difference is None
    assert not found.notes
