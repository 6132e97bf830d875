"""What a journal holds is decided again, byte for byte, whatever the timing was; what was tampered with is named."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.controller.journal.entries import (
    BatchClosed,
    Began,
    Decided,
    PointsStored,
    QuestionAnswered,
    QuestionAsked,
    Started,
    Stopped,
    entry_bytes,
)
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.controller.run.run import Run
from grainloop.protocols.errors import BadInput, GrainloopError, Unavailable
from grainloop.protocols.plan import Budget, RunPlan
from tests.controller.fakes import FakeInstrument, FakeModel, broken
from tests.controller.run.test_asynchronous import PLANS, SECONDS, real
from tests.controller.timed import TimedModel
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)


def journal_of(plan: RunPlan, instrument: Any, model: Any) -> Sequence[Any]:
    """The entries of a whole run in virtual time."""
    with tempfile.TemporaryDirectory() as folder:
        run(Run(plan, Path(folder), instrument, model).execute())
        found = read_journal(Path(folder) / JOURNAL_NAME)
        assert not found.damage
        return found.entries


def changed(entries: Sequence[Any], kind: type, which: int, **fields: Any) -> list[Any]:
    """The entries with other fields in one of a kind."""
    places = [number for number, entry in enumerate(entries) if isinstance(entry, kind)]
    entries = list(entries)
    entries[places[which]] = entries[places[which]].model_copy(update=fields)
    return entries


@given(
    plan=PLANS,
    seconds=SECONDS,
    dwell_s=st.sampled_from([2e-4, 2e-3, 0.02, 0.2]),
    pace=st.sampled_from([0.3, 1.0, 3.0]),
    failing=st.frozensets(st.integers(0, 479), max_size=60),
    trouble=st.lists(st.none() | st.just(Unavailable("The model is gone.")), max_size=3),
    simulated=st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_every_run_is_decided_again(
    plan: RunPlan,
    seconds: list[float],
    dwell_s: float,
    pace: float,
    failing: frozenset[int],
    trouble: list[GrainloopError | None],
    simulated: bool,
) -> None:
    instrument = real(dwell_s, 0.05, 100, pace=pace, failing=failing, simulated=simulated)
    entries = journal_of(plan, instrument, TimedModel(seconds, trouble))
    found = replay(entries)
    assert found.difference is None
    decided = [entry for entry in entries if isinstance(entry, Decided)]
    assert len(decided) <= found.decisions <= len(decided) + 1
    assert found.ended is not None
    assert not found.sent
    ledger = found.decider.ledger
    assert np.array_equal(ledger.points.block().point_id, instrument.points.point_id)
    assert ledger.clock_s == pytest.approx(found.decider.ledger.clock_s)


@pytest.mark.parametrize(
    ("plan", "model"),
    [
        (PLAN, FakeModel()),
        (PLAN.model_copy(update={"stop_below": 0.3}), FakeModel(predicted_wrong=[0.5, 0.2])),
        (PLAN.model_copy(update={"use_light": False, "repeats": 2}), FakeModel([broken(), None, broken()])),
    ],
    ids=["budget", "tolerance", "model fails"],
)
def test_two_runs_of_a_plan_have_the_same_decisions_byte_for_byte(plan: RunPlan, model: FakeModel) -> None:
    first = replay(journal_of(plan, FakeInstrument(), model))
    again = replay(journal_of(plan, FakeInstrument(fail={1: broken()}), FakeModel()))
    assert first.difference is None
    assert again.difference is None
    assert first.decisions > 2


THREE = {
    "points, with stop-gaps": RunPlan(budget=Budget(fraction=0.6), batches=6, seed=11),
    "instrument time and repeats, without PL": RunPlan(
        budget=Budget(fraction=0.4, instrument_s=6.0), batches=5, repeats=2, use_light=False, seed=12
    ),
    "tolerance, one batch after the other": RunPlan(
        budget=Budget(fraction=0.3), batches=7, fill_in=False, stop_below=0.3, exploration_share=0.2, seed=13
    ),
}


@pytest.mark.parametrize("name", THREE)
@pytest.mark.parametrize("simulated", [True, False])
def test_the_decision_log_of_three_plans_is_the_same_live_and_replayed(name: str, simulated: bool) -> None:
    """Byte for byte, and twice; only the name of the run is another each time."""

    def live() -> Sequence[Any]:
        instrument = real(0.02, 0.05, 100, failing=frozenset(range(0, 480, 7)), simulated=simulated)
        return journal_of(THREE[name], instrument, Decreasing([0.3, 0.05, 0.6]))

    first, second = live(), live()
    assert log_of(first) == log_of(second)
    for entries in (first, second):
        found = replay(entries)
        assert found.difference is None, str(found.difference)
        assert found.decisions == len(log_of(entries)) > 4
    early = any(isinstance(entry, Stopped) and "predicted share" in entry.why for entry in first)
    gaps = any(isinstance(entry, Decided) and entry.stop_gap for entry in first)
    assert (early, gaps) == (THREE[name].stop_below > 0, THREE[name].fill_in)


class Decreasing(TimedModel):
    """Predicts fewer wrong pixels each time: 60 %, 50 %, …"""

    async def _reconstruct(self, message: Any) -> Any:
        answer = await super()._reconstruct(message)
        return answer.model_copy(update={"predicted_wrong": max(0.05, 0.7 - 0.1 * len(self.answers))})


def log_of(entries: Sequence[Any]) -> list[bytes]:
    """Every decision as it is in the journal, with the name of the run left out."""
    log = list[bytes]()
    for entry in entries:
        if isinstance(entry, Decided):
            entry = entry.model_copy(update={"request": entry.request.model_copy(update={"run": ""})})
        if isinstance(entry, (Decided, Stopped)):
            log.append(entry_bytes(entry))
    return log


def test_a_run_is_known_at_every_moment_of_its_journal() -> None:
    """What was out when the controller died is out again, with the points that had come."""
    entries = journal_of(PLAN, real(), TimedModel([0.3]))
    for length in range(1, len(entries) + 1):
        found = replay(entries[:length])
        assert found.difference is None
        before = entries[:length]
        sent = [entry.request.batch for entry in before if isinstance(entry, Decided)]
        over = [entry.batch for entry in before if isinstance(entry, BatchClosed)]
        assert list(found.sent) == [batch for batch in sent if batch not in over]
        asked = [entry.question for entry in before if isinstance(entry, QuestionAsked)]
        assert found.decider.questions == (asked[-1] if asked else 0)


def test_a_decision_that_differs_is_named() -> None:
    entries = journal_of(PLAN, FakeInstrument(), FakeModel())
    decided = [entry for entry in entries if isinstance(entry, Decided)]
    swapped = decided[2].request.model_copy(update={"position_px": decided[2].request.position_px[::-1].copy()})
    found = replay(changed(entries, Decided, 2, request=swapped))
    assert found.decisions == 2
    assert "Decision 2 differs" in str(found.difference)
    assert "`position_px` is another" in str(found.difference)
    found = replay(changed(entries, Decided, 1, decided_by="somebody"))
    assert "`decided_by` is another" in str(found.difference)
    assert found.decisions == 1


def test_other_replies_lead_to_other_decisions() -> None:
    entries = journal_of(PLAN, FakeInstrument(), FakeModel())
    found = replay(changed(entries, QuestionAnswered, 0, proposals=None))
    assert found.difference is not None
    assert "space_filling" in found.difference.decided
    found = replay(changed(entries, QuestionAnswered, 1, predicted_wrong=-1.0))
    assert "to stop since the predicted share of wrong pixels" in str(found.difference)
    found = replay(changed(entries, Started, 0, light_s=40.0))
    assert "`not_before_s` is another" in str(found.difference)


def test_points_that_are_missing_are_told() -> None:
    entries = journal_of(PLAN, FakeInstrument(), FakeModel())
    lost = next(entry for entry in entries if isinstance(entry, PointsStored))
    found = replay([entry for entry in entries if entry is not lost])
    assert found.notes == [f"Batch 0 brought 40 points; the journal holds {40 - len(lost.points)}."]
    assert not replay(entries).notes


def test_a_journal_begins_with_a_run() -> None:
    entries = journal_of(PLAN, FakeInstrument(), FakeModel())
    assert isinstance(entries[0], Began)
    with pytest.raises(BadInput, match="begins with `"):
        replay(entries[1:])
    with pytest.raises(BadInput, match="is empty"):
        replay([])
