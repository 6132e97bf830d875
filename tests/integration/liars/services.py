"""An honest instrument and an honest model that say whatever can be said, and what they reply in a run.

Both are those of `tests.controller.faulty` in virtual time, or those of `tests.controller.shaped` where shapes are
asked for. Lies are told in the place of their replies (`telling`).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from grainloop.controller.run.run import Run
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.frames import pack, unpack
from grainloop.protocols.messages import (
    LightDiagnostics,
    PointsMeasured,
    Reconstruction,
    ReconstructProgress,
    ReconstructRequest,
    RunFinished,
    Sync,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import Phase, PointStatus
from tests.controller import shaped
from tests.controller.fakes import broken, capabilities
from tests.controller.faulty import FaultyInstrument, FaultyModel
from tests.controller.virtual_time import run

SHAPE = (12, 12)
PLAN = RunPlan(
    budget=Budget(fraction=1.0, points=51), batches=3, light_angles_deg=(0.0, 45.0, 90.0), model_deadline_s=20.0
)
SHAPED_PLAN = PLAN.model_copy(update={"budget": Budget(fraction=1.0, points=400)})


class Instrument(FaultyInstrument):
    """Loses the result of a point of its second batch, and says so."""

    async def _serve(self, request: Any, tell: Callable[[Any], None]) -> Any:
        def lossy(message: PointsMeasured) -> None:
            if request.batch == 1 and message.points.point_id[0] == request.point_id[0]:
                failed = np.full(len(message.points), PointStatus.FAILED, np.uint8)
                points = message.points.model_copy(update={"status": failed})
                message = PointsMeasured(batch=1, points=points, lost="exposed, result lost")
            tell(message)

        return await super()._serve(request, lossy)


class Model(FaultyModel):
    """Answers in full, fails once, so that its health is asked for, and tells how far it is."""

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        if isinstance(message, ReconstructRequest) and on_progress is not None:
            on_progress(ReconstructProgress(fraction=0.5, stage="thinking"))
        return await super().request(message, deadline_s=deadline_s, on_progress=on_progress)

    async def _reconstruct(self, message: ReconstructRequest) -> Any:
        if len(self.asked) == 1 and not self.probed:
            raise broken()
        return full(await super()._reconstruct(message), message)


def full(answer: Reconstruction, question: ReconstructRequest) -> Reconstruction:
    """An answer with everything that it may hold."""
    shape = answer.phase_id.shape
    diagnostics = LightDiagnostics(
        used=True,
        explained_variance=0.8,
        distrusted_share=0.1,
        registration_residual_px=0.2,
        registration_px=1.0,
        notes=("A note.",),
    )
    update: dict[str, Any] = {
        "denoised": answer.orientation,
        "light_features": np.zeros((2, *shape), np.float32),
        "light_denoised": np.zeros((2, *shape), np.float32),
        "light": diagnostics,
        "steps": 3,
        "weights_sha256": "f" * 64,
        "degraded": ("Something was left out.",),
    }
    if answer.proposals is not None:
        count = len(answer.proposals.position_px)
        more = {
            "p_wrong": np.full(count, 0.4, np.float32),
            "competing": np.full(count, 2, np.uint8),
            "misorientation_deg": np.full(count, 30.0, np.float32),
        }
        update["proposals"] = answer.proposals.model_copy(update=more)
    return answer.model_copy(update=update)


def declared() -> Capabilities:
    """An instrument that declares whatever can be declared."""
    phase = Phase(phase_id=1, name="Ti", point_group="6/mmm", lattice_angstrom=(2.95, 2.95, 4.68))
    return capabilities(SHAPE, simulated=False, exposes_ahead=5, phases=(phase,))


def services(*, shapes: bool) -> tuple[Any, Any]:
    """An instrument and a model, of shapes or of points."""
    if shapes:
        return shaped.ShapedInstrument(shaped.queue()), shaped.ShapedModel([0.3])
    return Instrument(declared(), spools=False), Model()


async def executed(asked: Run, instrument: Any) -> RunFinished:
    """A run to its end, and that of what nobody waits for."""
    try:
        return await asked.execute()
    finally:
        if isinstance(instrument, Instrument) and (exposing := instrument.close()):
            await asyncio.wait(exposing)


class Overheard:
    """An honest service whose replies are kept, as trees of the wire."""

    def __init__(self, service: Any, heard: list[Any]) -> None:
        self._service, self._heard = service, heard

    async def request(self, message: Any, *, deadline_s: float = 0.0, on_progress: Any = None) -> Any:
        def progress(news: Any) -> None:
            self._keep(news)
            if on_progress is not None:
                on_progress(news)

        reply = await self._service.request(message, deadline_s=deadline_s, on_progress=progress)
        self._keep(reply)
        return reply

    def _keep(self, reply: Any) -> None:
        self._heard.append(unpack([bytes(frame) for frame in pack(reply)]))


@cache
def honest(*, shapes: bool) -> tuple[Any, ...]:
    """All replies of one run, as trees of the wire."""
    heard = list[Any]()
    instrument, model = services(shapes=shapes)
    with tempfile.TemporaryDirectory() as folder:
        plan = SHAPED_PLAN if shapes else PLAN
        asked = Run(plan, Path(folder), Overheard(instrument, heard), Overheard(model, heard), sync=Sync.NEVER)
        finished = run(executed(asked, instrument))
    assert finished.reason is FinishReason.COMPLETED, finished.detail
    return tuple(heard)
