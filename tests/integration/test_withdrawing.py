"""A run over real sockets on an instrument that queues by itself: stop-gaps are withdrawn, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.protocols.aio import Client
from grainloop.protocols.capabilities import ScanTiming
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.messages import InstrumentReply
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from tests.controller.fakes import FakeModel
from tests.integration.processes import cropped
from tests.protocols.aio.services import running


async def test_stop_gaps_are_withdrawn_from_a_real_queue_and_never_exposed(tmp_path: Path) -> None:
    """The simulator in real time stands for a real instrument; the model answers at once."""
    config = SimConfig(speed_up=1.0, timing=ScanTiming(), default_dwell_s=0.02, light_kind=None)
    driver = SimulatedInstrument(cropped(), config)
    driver.capabilities = driver.capabilities.model_copy(update={"simulated": False})
    plan = RunPlan(budget=Budget(points=300, fraction=1.0), batches=3, repeats=0)
    async with (
        running(DriverService(driver)) as endpoint,
        Client(endpoint, InstrumentReply, service="instrument") as it,
    ):
        finished = await Run(plan, tmp_path, it, FakeModel()).execute()
    assert (finished.reason, finished.detail) == (FinishReason.COMPLETED, "the budget is spent")
    session = load_session(Path(finished.session_file))
    withdrawn = [row["batch"] for row in session.batches if row.get("withdrawn")]
    assert withdrawn
    assert not np.isin(session.batch, withdrawn).any()
    exposures = driver._exposures[0]
    assert exposures.max() == 1
    assert exposures.sum() == len(session.points) == 300
    assert (exposures[tuple(session.points.position_px.T)] == 1).all()
    assert np.array_equal(np.sort(session.requested.point_id), np.sort(session.points.point_id))
