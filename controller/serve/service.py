"""The control service: starts runs, tells their events, and passes the operator's four words on.

One run at a time. A run belongs to the service, not to whoever asked for it: when the asker goes away the run goes on,
and its state can still be asked for and its events followed. What a run does is the business of `controller.run.run`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from grainloop.controller.run import Run, RunObserver
from grainloop.controller.serve.followers import Followers
from grainloop.controller.serve.updates import RunTold
from grainloop.protocols.aio import FOR_A_CONTEXT, FOR_A_RUN, Call, Client, Service, held, require_descriptors
from grainloop.protocols.endpoints import CONTROLLER_ENDPOINT, INSTRUMENT_ENDPOINT, MODEL_ENDPOINT
from grainloop.protocols.errors import Busy, Cancelled, GrainloopError, IllegalState, NotPermitted
from grainloop.protocols.files import require_legible
from grainloop.protocols.frames import Limits
from grainloop.protocols.messages import (
    Accepted,
    CheckHealth,
    Command,
    ControlRequest,
    FollowRun,
    GetMaps,
    GetPoints,
    GetSnapshot,
    GetStatus,
    Health,
    InstrumentReply,
    ModelReply,
    PointsPage,
    ResumeRequest,
    RunFinished,
    RunMaps,
    RunRequest,
    RunSnapshot,
    RunStatus,
    Sync,
)
from grainloop.protocols.observability import NO_METRICS, Metrics, about, get_logger
from grainloop.protocols.security import Access, Caller, Credentials, Role
from grainloop.protocols.states import RunState
from grainloop.protocols.version import grainloop_version

SERVICE = "controller"
REQUEST_LIMITS = Limits(array_bytes=2**20, total_bytes=2**21)
"""Nobody sends arrays to the controller."""


def _no_log(_folder: Path) -> AbstractContextManager[None]:
    return nullcontext()


class ControlService:
    """The controller as a service.

    Args:
        instrument: endpoint of the instrument service.
        model: endpoint of the model service.
        instrument_keys: how the controller proves itself to the instrument service, if that asks for keys.
        model_keys: the same for the model service.
        sessions: folder that relative session folders are in, and outside of which only an owner may store sessions.
        sync: when records of a run must be on disk.
        metrics: told of runs, requests and followers.
        log_beside: keeps a log in the folder of a session, for as long as the context lasts.
    """

    def __init__(
        self,
        instrument: str = INSTRUMENT_ENDPOINT,
        model: str = MODEL_ENDPOINT,
        *,
        instrument_keys: Credentials | None = None,
        model_keys: Credentials | None = None,
        sessions: Path = Path(),
        sync: Sync = Sync.ALWAYS,
        metrics: Metrics = NO_METRICS,
        log_beside: Callable[[Path], AbstractContextManager[None]] = _no_log,
    ) -> None:
        self._metrics, self._log_beside, self._log = metrics, log_beside, get_logger(service=SERVICE)
        self._to_instrument, self._to_model = (instrument, instrument_keys), (model, model_keys)
        self._sessions, self._sync = sessions, sync
        self._run: Run | None = None
        self._working: asyncio.Task[RunFinished] | None = None
        self._followers, self._told = Followers(metrics), RunTold(metrics)
        self.service = Service(
            SERVICE,
            ControlRequest,
            {
                CheckHealth: self._health,
                RunRequest: self._start,
                ResumeRequest: self._start,
                FollowRun: self._follow,
                GetStatus: self._status,
                GetSnapshot: self._snapshot,
                GetPoints: self._points,
                GetMaps: self._maps,
                Command: self._command,
            },
            limits=REQUEST_LIMITS,
            metrics=metrics,
        )

    async def run(
        self,
        endpoint: str = CONTROLLER_ENDPOINT,
        *,
        ready: Callable[[], object] | None = None,
        stop: asyncio.Event | None = None,
        access: Access | None = None,
    ) -> None:
        """Serve until `stop` is set; a run that is under way is aborted, its file closed, before this returns."""
        with held("The controller service does not start"):
            await serve_until(stop or asyncio.Event(), self.service, self._end_run, endpoint, ready, access)

    async def _end_run(self) -> None:
        if self._run is not None and self._working is not None and not self._working.done():
            self._run.abort("the controller was stopped")
            await asyncio.wait([self._working])

    async def _health(self, _request: CheckHealth, _call: Call) -> Health:
        """Order a small path and write a small session file: what every run needs."""
        require_descriptors("The controller cannot prove its health", FOR_A_CONTEXT)
        ok, detail = await asyncio.to_thread(_prove)
        return Health(service=SERVICE, version=grainloop_version(), ok=ok, detail=detail)

    async def _start(self, request: RunRequest | ResumeRequest, call: Call) -> RunFinished:
        """Run the plan, or go on with a recorded run, and tell its events to the caller for as long as there is one."""
        if self._working is not None and not self._working.done():
            raise Busy("The controller is busy with a run; one at a time.")
        folder = session_folder(request.session_dir, self._sessions, call.caller)
        self._followers.begin()
        self._told.close()
        self._told = RunTold(self._metrics)
        self._working = working = asyncio.create_task(self._execute(request, folder))
        working.add_done_callback(self._over)
        return await self._tell(working, call, FollowRun(after=0))

    async def _follow(self, request: FollowRun, call: Call) -> RunFinished:
        if self._working is None:
            raise IllegalState("There is no run to follow.", field="state", value=RunState.IDLE)
        if request.run is not None:
            self._told.check_run(request.run)
        return await self._tell(self._working, call, request)

    async def _tell(self, working: asyncio.Task[RunFinished], call: Call, request: FollowRun) -> RunFinished:
        def over() -> bool:
            return working.done() or call.cancelled.is_set()

        if request.updates:
            await self._told.follow(call.progress, request.after, over)
        else:
            with self._followers.follow(request.after) as follower:
                await follower.pass_on(call.progress, over)
        if not working.done():
            raise Cancelled("The caller listens no more; the run goes on.")
        return working.result()

    def _over(self, working: asyncio.Task[RunFinished]) -> None:
        if not working.cancelled():
            working.exception()  # whoever listens is told; with nobody there asyncio would complain
        self._followers.over()
        self._told.close()

    async def _execute(self, request: RunRequest | ResumeRequest, folder: Path) -> RunFinished:
        with self._log_beside(folder), about(session=folder.name):
            self._log.info("run asked for", kind=request.kind, folder=folder)
            try:
                finished = await self._carry_out(request, folder)
            except GrainloopError as error:
                self._log.warning("run refused", code=error.code, why=error.message)
                raise
            self._log.info("run finished", **finished.model_dump(mode="json", exclude={"kind", "session_file"}))
            return finished

    async def _carry_out(self, request: RunRequest | ResumeRequest, folder: Path) -> RunFinished:
        require_descriptors("The run does not begin", FOR_A_RUN)
        (at_instrument, instrument_keys), (at_model, model_keys) = self._to_instrument, self._to_model
        async with (
            Client(at_instrument, InstrumentReply, service="instrument", credentials=instrument_keys) as instrument,
            Client(at_model, ModelReply, service="model", credentials=model_keys) as model,
        ):
            if isinstance(request, ResumeRequest):
                self._run = Run.taken_up(folder, instrument, model, sync=self._sync)
            else:
                self._run = Run(request.plan, folder, instrument, model, sync=self._sync)
            standing = self._run.standing
            for view in (RunObserver(standing, self._metrics), self._told, self._followers):
                standing.views.add(view)
            return await self._run.execute()

    async def _status(self, _request: GetStatus, _call: Call) -> RunStatus:
        if self._run is None:
            return RunStatus(state=RunState.IDLE, sync=self._sync)
        standing, session = self._run.standing, str(self._run.path.parent)
        return RunStatus(state=standing.state, last=standing.last, sync=self._sync, session=session)

    async def _snapshot(self, _request: GetSnapshot, _call: Call) -> RunSnapshot:
        return self._told.snapshot()

    async def _points(self, request: GetPoints, _call: Call) -> PointsPage:
        return self._told.points(request)

    async def _maps(self, request: GetMaps, _call: Call) -> RunMaps:
        return self._told.maps(request)

    async def _command(self, request: Command, _call: Call) -> Accepted:
        if self._run is None:
            raise IllegalState(f"There is no run to {request.command}.", field="state", value=RunState.IDLE)
        return Accepted(state=await self._run.command(request.command))


def session_folder(named: str, sessions: Path, caller: Caller) -> Path:
    """Where a session is stored: `named`, as seen from the folder of all sessions.

    Raises:
        BadInput: no session can have such a name.
        NotPermitted: outside of that folder, and the caller is no owner.
    """
    require_legible(named, "session_dir", "A session")
    folder = (sessions / named).resolve()
    if not folder.is_relative_to(sessions.resolve()) and not caller.at_least(Role.OWNER):
        raise NotPermitted(
            f"Only an owner may store a session in {folder}; {caller.name} may within {sessions.resolve()}.",
            field="session_dir",
            value=named,
        )
    return folder


def _prove() -> tuple[bool, str]:
    """Whether a session can be stored, and a sentence about it: a disk without room is no fault of the program."""
    from grainloop.controller.serve.proof import write_and_read_back

    try:
        with tempfile.TemporaryDirectory() as folder:
            return True, write_and_read_back(Path(folder))
    except (OSError, ImportError) as error:
        return False, f"A small session cannot be stored: {error}."


async def serve_until(
    stop: asyncio.Event,
    service: Service,
    end: Callable[[], Awaitable[None]],
    endpoint: str,
    ready: Callable[[], object] | None,
    access: Access | None,
) -> None:
    """Serve until `stop` is set, `end` what goes on, and only then let callers go; a failed start is ended too."""
    let_go = asyncio.Event()

    async def end_first() -> None:
        await stop.wait()
        await end()
        let_go.set()

    ending = asyncio.create_task(end_first())
    try:
        await service.run(endpoint, ready=ready, stop=let_go, access=access)
    finally:
        ending.cancel()
        await end()
