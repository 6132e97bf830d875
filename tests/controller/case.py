"""A run with a pretended instrument and model, and what is asked of it afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grainloop.controller.record import EventsTo
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Session, load_session
from grainloop.protocols.messages import RunEvent, RunFinished
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import RunState
from tests.controller.fakes import FakeInstrument, FakeModel

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


def kept(session: Session) -> list[dict[str, Any]]:
    """The decisions whose batches were not withdrawn."""
    withdrawn = {row["batch"] for row in session.batches if row.get("withdrawn")}
    return [decision for decision in session.decisions if decision["batch"] not in withdrawn]
