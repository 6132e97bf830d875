"""What a run tells of itself: a line per decision that says what it is about, figures that agree with the session."""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from grainloop.controller.journal.entries import EventTold
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.controller.run.observer import RunObserver
from grainloop.controller.run.run import Run
from grainloop.controller.run.standing import Standing
from grainloop.protocols.errors import Unavailable
from grainloop.protocols.messages import EventKind, RunEvent, RunFinished, Severity
from grainloop.protocols.observability.metrics import (
    BATCH,
    BATCHES_OUT,
    BUDGET,
    IDLE,
    JOURNAL,
    MODEL,
    POINTS,
    ROUNDS,
    WRONG,
    Metric,
)
from grainloop.protocols.observability.output import LogOptions, logging_to
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason, RunState
from tests.controller.fakes import FakeInstrument, FakeModel
from tests.controller.virtual_time import in_virtual_time

LEVELS = dict(zip(Severity, ("debug", "info", "warning", "error"), strict=True))
PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)  # 120 of the 480 pixels


class Told:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.counted: Counter[Metric] = Counter()
        self.gauges: dict[Metric, list[float]] = defaultdict(list)
        self.observed: dict[Metric, list[float]] = defaultdict(list)

    def add(self, metric: Metric, by: float = 1.0, label: str = "") -> None:
        assert not label
        self.counted[metric] += by  # pyright: ignore[reportArgumentType]  # figures may be fractions

    def set(self, metric: Metric, value: float) -> None:
        self.gauges[metric].append(value)

    def observe(self, metric: Metric, seconds: float) -> None:
        self.observed[metric].append(seconds)


async def observed(folder: Path, level: str, model: Any = None) -> tuple[RunFinished, Told, list[dict[str, Any]]]:
    """A run, its figures, and its lines."""
    told, out = Told(), io.StringIO()
    with logging_to(LogOptions(level), out):
        run = Run(PLAN, folder, FakeInstrument(), model or FakeModel())
        run.standing.views.add(RunObserver(run.standing, told))
        finished = await run.execute()
    return finished, told, [json.loads(line) for line in out.getvalue().splitlines()]


@in_virtual_time
async def test_figures_agree_with_the_session(tmp_path: Path) -> None:
    finished, told, _ = await observed(tmp_path, "info")
    assert finished.reason is FinishReason.COMPLETED
    assert told.counted[POINTS] == finished.points_measured == 120
    assert told.counted[ROUNDS] == finished.rounds
    assert told.counted[IDLE] == pytest.approx(finished.idle_s)
    assert told.gauges[BUDGET][-1] == 0
    assert told.gauges[BATCHES_OUT][-1] == 0
    assert max(told.gauges[BATCHES_OUT]) == 2
    assert 0 <= told.gauges[WRONG][-1] <= 1
    assert len(told.observed[MODEL]) == finished.rounds
    assert sum(told.observed[BATCH]) <= finished.instrument_s
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    assert len(told.observed[JOURNAL]) == len(entries) - 1  # the first one begins the journal


@in_virtual_time
async def test_about_one_line_per_decision_and_each_says_what_it_is_about(tmp_path: Path) -> None:
    finished, _, lines = await observed(tmp_path, "info")
    decided = [line for line in lines if line["event"] == "batch decided"]
    assert [line["round"] for line in decided if line["round"]] == list(range(1, finished.rounds + 1))
    assert len({line["batch"] for line in decided}) == len(decided)
    assert len({(line["run"], line["section"]) for line in lines}) == 1
    assert all(line["service"] == "controller" for line in lines)
    assert len(lines) < 2 * finished.rounds + 10


@in_virtual_time
async def test_every_batch_is_told_at_the_level_debug(tmp_path: Path) -> None:
    _, _, lines = await observed(tmp_path, "debug")
    events = Counter(line["event"] for line in lines)
    assert events["batch decided"] == events["batch closed"] + events["batch withdrawn"]
    assert events["question asked"] == events["question answered"]
    assert sum(line["points"] for line in lines if line["event"] == "batch closed") == 120
    assert all("round" in line for line in lines if line["event"].startswith("batch "))


@in_virtual_time
async def test_a_dead_model_is_told_as_a_warning(tmp_path: Path) -> None:
    gone = Unavailable("The model service is silent.")
    finished, told, lines = await observed(tmp_path, "warning", FakeModel(trouble=[gone] * 20))
    assert finished.points_measured == told.counted[POINTS] == 120
    assert {line["event"] for line in lines} >= {"model_failed", "final_missing"}
    assert all("The model service is silent." in line["what"] for line in lines if line["event"] == "model_failed")
    assert told.observed[MODEL] == []


def test_the_level_of_an_event_follows_from_its_kind() -> None:
    out = io.StringIO()
    with logging_to(LogOptions("debug"), out):
        observer = RunObserver(Standing(), Told())
        for number, kind in enumerate(EventKind, 1):
            event = RunEvent(
                sequence=number,
                state=RunState.RUNNING,
                event=kind,
                text="",
                points_measured=0,
                points_budget=9,
                numbers={"points": number},
            )
            observer.show(EventTold(event=event), number, 0.0)
    lines = {line["event"]: line for line in map(json.loads, out.getvalue().splitlines())}
    assert set(lines) == set(EventKind)
    for number, kind in enumerate(EventKind, 1):
        assert lines[kind]["level"] == LEVELS[kind.severity]
        assert lines[kind].get("numbers") == ({"points": number} if kind.severity >= Severity.WARNING else None)
