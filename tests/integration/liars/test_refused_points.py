"""Points that cannot be believed: failed in the session, kept in the journal as they came, told once for each batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.controller.journal.entries import PointsStored
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.protocols.errors import BadMessage
from grainloop.protocols.messages import PointsMeasured, Reconstruction, ScanDone, ScanRequest, Severity, Sync
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import PointBlock, PointStatus
from tests.controller.case import Case
from tests.controller.fakes import FakeInstrument, FakeModel, broken, capabilities
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)  # 120 of the 480 pixels
NOWHERE = np.array([np.nan] * 4, np.float32)


class Odd(FakeInstrument):
    """Tells some points of one batch, or of all, otherwise; each point in a message of its own."""

    def __init__(self, field: str, value: Any, batch: int | None = 1, rows: slice = slice(2, 5)) -> None:
        super().__init__(capabilities())
        self._field, self._value, self._batch, self._rows = field, value, batch, rows
        self.told = list[PointBlock]()

    async def _scan(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        if self._batch not in (None, request.batch):
            return await super()._scan(request, on_progress)
        lies = set(request.point_id[self._rows].tolist())

        def told(message: PointsMeasured) -> None:
            for row, point in enumerate(message.points.point_id.tolist()):
                one = message.points.select([row])
                if point in lies:
                    column = np.array(getattr(one, self._field))
                    column[...] = self._value
                    one = one.model_copy(update={self._field: column})
                    self.told.append(one)
                on_progress(PointsMeasured(batch=message.batch, points=one))

        return await super()._scan(request, told)


@pytest.mark.parametrize(
    ("field", "value"), [("orientation", NOWHERE), ("time_s", np.inf), ("position_px", (24, 0)), ("dwell_s", -1e30)]
)
def test_points_that_cannot_be_believed_have_failed_and_are_kept_as_they_came(
    tmp_path: Path, field: str, value: Any
) -> None:
    instrument = Odd(field, value)
    case = Case(tmp_path, PLAN, instrument)
    finished, session = run(case.execute())
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == len(session.points) == 120
    lies = PointBlock.concatenate(instrument.told)
    assert len(lies) == 3
    there = session.points.select(np.isin(session.points.point_id, lies.point_id))
    assert (there.status == PointStatus.FAILED).all()
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    kept = [entry.refused for entry in entries if isinstance(entry, PointsStored) and entry.refused is not None]
    assert PointBlock.concatenate([one.points for one in kept]) == lies
    assert all(f"delivered point {int(one.points.point_id[0])} " in one.why for one in kept)
    first, last = case.heard("points_refused")
    assert first.endswith("1 point of batch 1 counts as failed, and is in the journal as sent.")
    assert last.endswith("3 points of batch 1 count as failed, and are in the journal as sent.")
    assert {event.severity for event in case.events if event.event == "points_refused"} == {Severity.ERROR}
    again = replay(entries)
    assert (again.difference, again.notes) == (None, [])
    assert again.decider.ledger.points.block() == session.points


def test_an_instrument_of_which_nothing_can_be_believed_ends_the_run_in_a_sentence(tmp_path: Path) -> None:
    case = Case(tmp_path, PLAN, Odd("confidence", np.nan, batch=None, rows=slice(None)))
    finished, session = run(case.execute())
    assert finished.reason is FinishReason.FAILED
    assert finished.detail.startswith("3 batches in a row failed; the last: Nothing of batch ")
    assert "with confidence nan." in finished.detail
    assert not session.points.indexed.any()


def test_a_run_with_refused_points_is_gone_on_with(tmp_path: Path) -> None:
    case = Case(tmp_path, PLAN, Odd("confidence", np.nan, batch=None, rows=slice(None)))
    _, session = run(case.execute())
    again = Run.taken_up(tmp_path, FakeInstrument(capabilities()), FakeModel(), sync=Sync.NEVER)
    finished = run(again.execute())
    assert finished.reason is FinishReason.COMPLETED, finished.detail
    assert finished.points_measured == 120
    points = load_session(Path(finished.session_file)).points
    assert (points.status[np.isin(points.point_id, session.points.point_id)] == PointStatus.FAILED).all()


class Careless(FakeModel):
    """Proposes pixels twice and beside the grid, or maps of another shape at the end."""

    async def _reconstruct(self, message: Any) -> Reconstruction:
        answer = await super()._reconstruct(message)
        if answer.proposals is None:
            return answer.model_copy(update={"p_wrong": answer.p_wrong.T})
        places = answer.proposals.position_px.copy()
        places[1] = places[0] if len(self.asked) % 2 else (-1, 0)
        return answer.model_copy(update={"proposals": answer.proposals.model_copy(update={"position_px": places})})


def test_of_a_careless_model_nothing_is_taken_and_space_filling_decides(tmp_path: Path) -> None:
    case = Case(tmp_path, PLAN, model=Careless())
    finished, session = run(case.execute())
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == 120
    assert session.final is None
    assert session.latest is None
    told = case.heard("model_failed")
    assert any("a pixel proposed twice. Space filling decides this batch." in text for text in told)
    assert any("at row -1, column 0, outside the grid. Space filling decides" in text for text in told)
    (missing,) = case.heard("final_missing")
    assert missing.endswith("p_wrong of (20, 24) px for (24, 20) px. The final reconstruction is missing.")
    assert {decision["decided_by"] for decision in session.decisions} <= {"plan", "space_filling"}


def test_a_model_that_says_it_cannot_serve_is_not_asked(tmp_path: Path) -> None:
    class Ill(FakeModel):
        async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
            reply = await super().request(message, deadline_s=deadline_s, on_progress=on_progress)
            return (
                reply.model_copy(update={"ok": False, "detail": "no\x1b memory"}) if reply.kind == "health" else reply
            )

    case = Case(tmp_path, PLAN, model=Ill([broken()]))
    finished, _ = run(case.execute())
    assert finished.reason is FinishReason.COMPLETED
    assert len(case.model.asked) == 1
    ill = [text for text in case.heard("model_failed") if "says that it cannot serve: no\\x1b memory." in text]
    assert ill


def test_an_unbelievable_park_is_none(tmp_path: Path) -> None:
    class Unparked(FakeInstrument):
        async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
            if message.kind == "park":
                raise BadMessage("parked: is no message")
            return await super().request(message, deadline_s=deadline_s, on_progress=on_progress)

    case = Case(tmp_path, PLAN, Unparked())
    finished, _ = run(case.execute())
    assert finished.reason is FinishReason.COMPLETED
    assert len(case.heard("not_parked")) == 1
