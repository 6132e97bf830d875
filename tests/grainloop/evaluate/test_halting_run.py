"""What is played is what is run: the same loop, with a journal on disk or without, with stop-gaps and drift and all."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from grainloop.controller.recorded import VirtualLoop
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Session, load_session
from grainloop.evaluate.acquisition.playing import Stage, play, set_up
from grainloop.evaluate.instrument_here import InstrumentHere
from grainloop.evaluate.model_here import ModelHere, model_named
from grainloop.instrument_sim.config import SimConfig
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.messages import Park, Reconstruction, ReconstructRequest
from grainloop.protocols.plan import Budget, RunPlan
from tests.grainloop.small_maps import chessboard

PLAN = RunPlan(budget=Budget(fraction=0.1), batches=4, method="pl_candidates", seed=5)


def stage() -> Stage:
    return set_up(chessboard(), SimConfig(), 5)


def lived(plan: RunPlan, folder: Path) -> Session:
    """The run of a plan on such a stage with a journal and a session file."""
    here = stage()
    phases, light = here.instrument.capabilities.phases, here.light
    assert light is not None
    model = ModelHere(model_named(plan.method, phases), phases)
    instrument = InstrumentHere(here.instrument, (light, here.light_s))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(Run(plan, folder, instrument, model).execute())
    return load_session(folder / "session.h5")


@pytest.mark.parametrize(("decision_s", "fill_in"), [(0.0, True), (0.3, True), (0.3, False), (6.0, True)])
def test_a_played_run_asks_what_a_run_asks(decision_s: float, fill_in: bool, tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"decision_s": decision_s, "fill_in": fill_in})
    session, questions = lived(plan, tmp_path), list[ReconstructRequest]()

    def hear(question: ReconstructRequest, _reply: Reconstruction) -> None:
        questions.append(question)

    moments = list(play(stage(), plan, hear=hear))
    decided = [row for row in session.decisions if row["when"]["question"] is not None]
    assert [m.asked for m in moments[:-1]] == [row["points"] for row in decided]
    assert [m.points for m in moments[:-1]] == [row["data_points"] for row in decided]
    assert questions[-1].points == session.points
    gaps = sum(row["stop_gap"] for row in session.decisions)
    withdrawn = sum(bool(row.get("withdrawn")) for row in session.batches)
    assert (gaps > 0, gaps > withdrawn) == (fill_in, fill_in and decision_s > 1)


def test_who_hears_is_told_before_the_moment_and_of_nothing_later() -> None:
    heard = list[int]()
    for moment in play(stage(), PLAN, hear=lambda question, _: heard.append(len(question.points))):
        assert heard[-1] == moment.points


def test_who_plays_no_more_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    parked, here = list[bool](), stage()
    request = InstrumentHere.request

    async def watched(self: InstrumentHere, message: Any, **how: Any) -> Any:
        parked.append(isinstance(message, Park))
        return await request(self, message, **how)

    monkeypatch.setattr(InstrumentHere, "request", watched)
    playing = play(here, PLAN)
    next(playing)
    assert isinstance(playing, Generator)
    playing.close()
    assert parked[-1]


def test_a_plan_that_cannot_be_carried_out_is_refused() -> None:
    with pytest.raises(OutOfLimits, match="dwell_s"):
        list(play(stage(), PLAN.model_copy(update={"dwell_s": 1e6})))
