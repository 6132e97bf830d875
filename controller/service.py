"""The control service: starts runs, tells their events, and passes the operator's four words on.

One run at a time. A run belongs to the service, not to whoever asked for it: when the asker goes away the run goes on,
and its state can still be asked for. What a run does is the business of `controller.loop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from controller.loop import Run
from protocols.aio import Call, Client, Service
from protocols.endpoints import CONTROLLER_ENDPOINT, INSTRUMENT_ENDPOINT, MODEL_ENDPOINT
from protocols.errors import Busy, IllegalState
from protocols.messages import (
    Accepted,
    CheckHealth,
    Command,
    ControlRequest,
    GetStatus,
    Health,
    InstrumentReply,
    ModelReply,
    RunEvent,
    RunFinished,
    RunRequest,
    RunStatus,
)
from protocols.states import RunState
from protocols.version import grainloop_version

SERVICE = "controller"


class ControlService:
    """The controller as a service.

    Args:
        instrument: endpoint of the instrument service.
        model: endpoint of the model service.
    """

    def __init__(self, instrument: str = INSTRUMENT_ENDPOINT, model: str = MODEL_ENDPOINT) -> None:
        self._instrument, self._model = instrument, model
        self._run: Run | None = None
        self._working: asyncio.Task[RunFinished] | None = None
        self._listeners: set[asyncio.Queue[RunEvent]] = set()
        self.service = Service(
            SERVICE,
            ControlRequest,
            {
                CheckHealth: self._health,
                RunRequest: self._start,
                GetStatus: self._status,
                Command: self._command,
            },
        )

    async def run(
        self,
        endpoint: str = CONTROLLER_ENDPOINT,
        *,
        ready: Callable[[], object] | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Serve until `stop` is set; a run that is under way is aborted, its file closed, before this returns."""
        let_go = asyncio.Event()
        ending = asyncio.create_task(self._end_at(stop or asyncio.Event(), let_go))
        try:
            await self.service.run(endpoint, ready=ready, stop=let_go)
        finally:
            ending.cancel()
            await self._end_run()

    async def _end_at(self, stop: asyncio.Event, let_go: asyncio.Event) -> None:
        """The run ends first, so that whoever asked for it still hears how."""
        await stop.wait()
        await self._end_run()
        let_go.set()

    async def _end_run(self) -> None:
        if self._run is not None and self._working is not None and not self._working.done():
            self._run.abort("the controller was stopped")
            await asyncio.wait([self._working])

    async def _health(self, _request: CheckHealth, _call: Call) -> Health:
        """Order a small path and write a small session file: what every run needs."""
        return Health(service=SERVICE, version=grainloop_version(), ok=True, detail=await asyncio.to_thread(_prove))

    async def _start(self, request: RunRequest, call: Call) -> RunFinished:
        """Run the plan, and tell its events to the caller for as long as there is one."""
        if self._working is not None and not self._working.done():
            raise Busy("The controller is busy with a run; one at a time.")
        events: asyncio.Queue[RunEvent] = asyncio.Queue()
        self._listeners.add(events)
        self._working = working = asyncio.create_task(self._execute(request))
        try:
            await _tell(events, working, call)
            return await asyncio.shield(working)
        finally:
            self._listeners.discard(events)

    async def _execute(self, request: RunRequest) -> RunFinished:
        async with (
            Client(self._instrument, InstrumentReply, service="instrument") as instrument,
            Client(self._model, ModelReply, service="model") as model,
        ):
            self._run = Run(request.plan, Path(request.session_dir), instrument, model, self._heard)
            return await self._run.execute()

    async def _status(self, _request: GetStatus, _call: Call) -> RunStatus:
        if self._run is None:
            return RunStatus(state=RunState.IDLE)
        return RunStatus(state=self._run.standing.state, last=self._run.standing.last)

    async def _command(self, request: Command, _call: Call) -> Accepted:
        if self._run is None:
            raise IllegalState(f"There is no run to {request.command}.", field="state", value=RunState.IDLE)
        return Accepted(state=await self._run.command(request.command))

    def _heard(self, event: RunEvent) -> None:
        for events in self._listeners:
            events.put_nowait(event)


async def _tell(events: asyncio.Queue[RunEvent], working: asyncio.Task[RunFinished], call: Call) -> None:
    """Pass events on until the run is over and all are told."""
    while not working.done() or not events.empty():
        getting = asyncio.create_task(events.get())
        await asyncio.wait([getting, working], return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            await call.progress(getting.result())
        else:
            getting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await getting


def _prove() -> str:
    from controller.proof import write_and_read_back

    with tempfile.TemporaryDirectory() as folder:
        return write_and_read_back(Path(folder))
