"""The model service: answers requests, keeps the event loop free, serves several controllers in turns.

What a reconstruction is belongs to `reconstruction`, what is held to `sections`; here they meet the socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from grainloop.model.acquire import DEFAULT_POLICY, POLICIES
from grainloop.model.crystal import LAUE_GROUP_NAMES
from grainloop.model.reconstruct import Options, Problem, SparsePoints, never, no_report
from grainloop.model.service.methods import default_method, methods, shipped_weights
from grainloop.model.service.reconstruction import reconstruct
from grainloop.model.service.sections import MEMORY_BYTES, Sections, prepare
from grainloop.model.service.turns import Turns
from grainloop.model.service.warming import warm_up
from grainloop.protocols.aio import Call, Service
from grainloop.protocols.endpoints import MODEL_ENDPOINT
from grainloop.protocols.errors import Cancelled
from grainloop.protocols.memory import give_back_memory
from grainloop.protocols.messages import (
    CheckHealth,
    CloseSection,
    DescribeModel,
    Health,
    ModelDescription,
    ModelRequest,
    OpenSection,
    Reconstruction,
    ReconstructProgress,
    ReconstructRequest,
    SectionClosed,
    SectionOpened,
)
from grainloop.protocols.observability import NO_METRICS, Metrics, bind, get_logger
from grainloop.protocols.observability.metrics import MODEL
from grainloop.protocols.security import Access
from grainloop.protocols.version import grainloop_version

SERVICE = "model"

TINY_WRONG_PX = 32
"""Pixels that a working method may get wrong in the tiny section: nothing says where exactly it is divided."""


class ModelService:
    """The handlers and what they share.

    Args:
        memory_bytes: for all sections together.
        metrics: told of requests and how long they took.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES, metrics: Metrics = NO_METRICS) -> None:
        self._sections = Sections(memory_bytes)
        self._metrics, self._log = metrics, get_logger(service=SERVICE)
        self.service = Service(
            SERVICE,
            ModelRequest,
            {
                CheckHealth: self._health,
                DescribeModel: self._describe,
                OpenSection: self._open,
                ReconstructRequest: self._reconstruct,
                CloseSection: self._close,
            },
            metrics=metrics,
        )

    @property
    def endpoint(self) -> str | None:
        """Where the service listens while it runs."""
        return self.service.endpoint

    async def run(
        self,
        endpoint: str = MODEL_ENDPOINT,
        *,
        ready: Callable[[], object] | None = None,
        stop: asyncio.Event | None = None,
        access: Access | None = None,
    ) -> None:
        """Serve until `stop` is set or the task is cancelled.

        Raises:
            Unavailable: the port is in use.
            NotPermitted: other machines could reach the endpoint, and there is no `access`.
        """
        self._turns = Turns(f"{SERVICE} work")
        try:
            await self.service.run(endpoint, ready=ready, stop=stop, access=access)
        finally:
            await self._turns.close()

    async def _health(self, _request: CheckHealth, _call: Call) -> Health:
        """A tiny real reconstruction, beside the work in hand so that a busy service is not taken for a dead one."""
        wrong = await asyncio.to_thread(tiny_reconstruction)
        detail = (
            f"A 16×16 section reconstructed by {default_method()}: {wrong} pixels wrong. {len(self._sections)} held."
        )
        return Health(service=SERVICE, version=grainloop_version(), ok=wrong <= TINY_WRONG_PX, detail=detail)

    async def _describe(self, _request: DescribeModel, _call: Call) -> ModelDescription:
        return ModelDescription(
            version=grainloop_version(),
            methods=tuple(methods()),
            default_method=default_method(),
            policies=tuple(POLICIES),
            default_policy=DEFAULT_POLICY,
            point_groups=LAUE_GROUP_NAMES,
            weights_sha256=shipped_weights(),
        )

    async def _open(self, request: OpenSection, call: Call) -> SectionOpened:
        bind(run=request.section_key)
        self._sections.require_room(request)
        section = await self._turns.do(call.peer, lambda: prepare(request))
        usable = section.features is not None
        began_s = asyncio.get_running_loop().time()
        if await self._turns.do(call.peer, lambda: warm_up(section.declared, light=usable)):
            self._log.info("made ready", seconds=round(asyncio.get_running_loop().time() - began_s, 3))
        self._sections.put(section)
        self._log.info("section opened", shape_px=request.grid.shape_px, light_usable=usable, held=len(self._sections))
        return SectionOpened(section_key=request.section_key, light_usable=usable, notes=section.notes)

    async def _reconstruct(self, request: ReconstructRequest, call: Call) -> Reconstruction:
        bind(run=request.section_key)
        section = self._sections.get(request.section_key)
        began_s = asyncio.get_running_loop().time()
        self._sections.require_room(section.declared, request.n_samples)

        def work() -> Reconstruction:
            if call.cancelled:
                raise Cancelled("The reconstruction was withdrawn before its turn came.")
            try:
                return reconstruct(section, request, _reporter(call), lambda: bool(call.cancelled))
            finally:
                give_back_memory()

        answer = await self._turns.do(call.peer, work)
        seconds = asyncio.get_running_loop().time() - began_s
        self._metrics.observe(MODEL, seconds)
        figures = {"method": answer.method, "predicted_wrong": answer.predicted_wrong, "work_s": answer.seconds}
        self._log.info("question answered", points=len(request.points), seconds=round(seconds, 6), **figures)
        return answer

    async def _close(self, request: CloseSection, _call: Call) -> SectionClosed:
        self._sections.drop(request.section_key)
        return SectionClosed(section_key=request.section_key)


def _reporter(call: Call) -> Callable[[float, str], None]:
    def report(fraction: float, stage: str) -> None:
        call.progress_from_thread(ReconstructProgress(fraction=min(max(fraction, 0.0), 1.0), stage=stage))

    return report


def tiny_reconstruction() -> int:
    """How many pixels the default method gets wrong in a 16×16 section of two grains with a point in each corner."""
    turn = np.radians(10.0)
    left, right = (1.0, 0.0, 0.0, 0.0), (np.cos(turn), 0.0, np.sin(turn), 0.0)
    corners = np.array([(3, 3), (12, 3), (3, 12), (12, 12)], dtype=np.int32)
    orientation = np.array([left, left, right, right], dtype=np.float32)
    points = SparsePoints(corners, orientation, np.ones(4, dtype=np.bool_))
    found = methods()[default_method()](Problem((16, 16), "6/mmm", points), Options(), no_report, never)
    truth = np.where((np.arange(16) < 8)[None, :, None], orientation[0], orientation[2])
    return int(np.sum(np.abs(found.orientation - truth).max(axis=-1) > 1e-3))


async def run_model_service(
    endpoint: str = MODEL_ENDPOINT,
    ready: Callable[[], object] | None = None,
    stop: asyncio.Event | None = None,
    access: Access | None = None,
    metrics: Metrics = NO_METRICS,
) -> None:
    """Serve the model at `endpoint` until `stop` is set; `ready` is called once requests are accepted."""
    await ModelService(metrics=metrics).run(endpoint, ready=ready, stop=stop, access=access)
