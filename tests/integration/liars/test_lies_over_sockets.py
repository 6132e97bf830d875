"""Some of the lies over real sockets: what a client refuses and what passes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grainloop.controller.run.run import Run
from grainloop.protocols.aio import Client
from grainloop.protocols.messages import (
    CheckHealth,
    CloseSection,
    Describe,
    DescribeModel,
    InstrumentReply,
    InstrumentRequest,
    LightRequest,
    ModelReply,
    ModelRequest,
    OpenSection,
    Park,
    ReconstructRequest,
    ScanRequest,
    Stored,
    Sync,
    Withdraw,
)
from grainloop.protocols.states import FinishReason
from tests.controller.fakes import FakeInstrument, FakeModel, capabilities
from tests.controller.serve.test_service import hosted, serving
from tests.integration.liars.lies import Lie, lies_of
from tests.integration.liars.services import PLAN, SHAPE
from tests.integration.liars.telling import LiarAtTheWire
from tests.integration.liars.truth import require_readable

TOLD = {
    "instrument": (
        "points_measured.points.orientation=nan",
        "points_measured.points.time_s=inf",
        "points_measured.points.status=nine",
        "points_measured.points.dwell_s=shorter",
        "points_measured.points.point_id=duplicated",
        "scan_done.idle_s=huge",
        "scan_done.finished_s=nan",
        "light_taken.light.images=nan",
        "light_taken.light.images=other_dtype",
    ),
    "model": (
        "reconstruction.p_wrong=nan",
        "reconstruction.orientation=turned",
        "reconstruction.grain=other_dtype",
        "reconstruction.proposals.reason=nine",
        "reconstruction.proposals.gain=shorter",
        "section_opened.section_key=foreign",
        "model_description.methods=empty",
    ),
}
LIES = [lie for service in TOLD for lie in lies_of(service) if str(lie) in TOLD[service]]


def test_all_of_these_are_lies() -> None:
    assert len(LIES) == sum(map(len, TOLD.values()))


@pytest.mark.parametrize("lie", LIES, ids=str)
async def test_a_lie_over_sockets_is_not_believed(lie: Lie, tmp_path: Path) -> None:
    fakes: dict[str, Any] = {"instrument": FakeInstrument(capabilities(SHAPE)), "model": FakeModel()}
    liar = fakes[lie.service] = LiarAtTheWire(fakes[lie.service], lie)
    at_instrument = (CheckHealth, Describe, LightRequest, ScanRequest, Stored, Withdraw, Park)
    at_model = (CheckHealth, DescribeModel, OpenSection, ReconstructRequest, CloseSection)
    instrument = hosted("instrument", InstrumentRequest, at_instrument, fakes["instrument"])
    model = hosted("model", ModelRequest, at_model, fakes["model"])
    async with (
        serving(instrument) as here,
        serving(model) as there,
        Client(here, InstrumentReply, service="instrument") as asks_instrument,
        Client(there, ModelReply, service="model") as asks_model,
    ):
        finished = await Run(PLAN, tmp_path, asks_instrument, asks_model, sync=Sync.NEVER).execute()
    assert liar.told
    assert finished.reason in (FinishReason.COMPLETED, FinishReason.FAILED)
    assert "a fault in the controller" not in finished.detail
    assert finished.reason is FinishReason.COMPLETED or lie.service == "instrument"
    require_readable(tmp_path, finished)
