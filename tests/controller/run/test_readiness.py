"""Nothing is scanned before the model service is ready, however long it compiles; what is expected of it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from grainloop.controller.record import EventsTo
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.instrument_sim.presets import MAP_QUEUE
from grainloop.protocols.errors import DeadlineExceeded
from grainloop.protocols.messages import Expected, OpenSection, RunEvent
from grainloop.protocols.plan import Budget, RunPlan
from tests.controller.fakes import capabilities
from tests.controller.timed import TimedInstrument, TimedModel
from tests.controller.virtual_time import run

PLAN = RunPlan(budget=Budget(fraction=0.5), method="nearest", model_deadline_s=60.0)


class Compiling(TimedModel):
    """Needs minutes to open a section, and keeps to deadlines."""

    def __init__(self, opens_s: float, scans: list[Any]) -> None:
        super().__init__([0.05])
        self._opens_s, self._scans = opens_s, scans
        self.expects: list[Expected | None] = []
        self.scans_before = 0

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        if isinstance(message, OpenSection):
            self.expects.append(message.expects)
            await asyncio.sleep(min(self._opens_s, deadline_s))
            if self._opens_s > deadline_s:
                raise DeadlineExceeded("The model is late.")
            self.scans_before = len(self._scans)
        return await super().request(message, deadline_s=deadline_s, on_progress=on_progress)


def test_a_fresh_model_is_waited_for_before_the_first_scan(tmp_path: Path) -> None:
    instrument = TimedInstrument(capabilities(light=False, simulated=False))
    model, events = Compiling(300.0, instrument.exposed), list[RunEvent]()
    finished = run(Run(PLAN, tmp_path, instrument, model, [EventsTo(events.append)]).execute())
    assert [event.text for event in events if event.event == "model_failed"] == []
    assert model.scans_before == 0
    assert model.expects == [Expected(method="nearest")]
    session = load_session(Path(finished.session_file))
    chosen = [decision["decided_by"] for decision in session.decisions if decision["decided_by"] != "plan"]
    assert chosen.index("uncertain") <= 1  # one stop-gap queued, as before every answer


def test_a_model_that_never_gets_ready_is_no_obstacle(tmp_path: Path) -> None:
    instrument = TimedInstrument(capabilities(light=False, simulated=False))
    events = list[RunEvent]()
    finished = run(
        Run(PLAN, tmp_path, instrument, Compiling(1e5, instrument.exposed), [EventsTo(events.append)]).execute()
    )
    assert finished.points_measured == 240
    assert [event.event for event in events].count("model_failed") == 1


def test_what_the_instrument_scans_is_told(tmp_path: Path) -> None:
    declared = capabilities((40, 40), light=False, simulated=False, shapes=MAP_QUEUE.shapes)
    instrument = TimedInstrument(declared)
    model = Compiling(1.0, instrument.exposed)
    run(Run(RunPlan(budget=Budget(fraction=0.9)), tmp_path, instrument, model).execute())
    (expected,) = model.expects
    assert expected is not None
    assert expected.means is not None
    assert expected.means.shapes == MAP_QUEUE.shapes
