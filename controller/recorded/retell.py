"""A recorded run told again, event by event and update by update, as a controller tells one that goes on.

`grainloop watch` follows it. It begins when the first follower has come, and goes by the instrument clock of the run:
what happened between two events is told with the later one. Followers are waited for, since a recording has the time.
Nothing is measured or decided here; whoever wants to command it is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from grainloop.controller.journal import entries as of
from grainloop.controller.journal import replay
from grainloop.controller.serve import REQUEST_LIMITS, SERVICE, Followers, RunTold, serve_until
from grainloop.protocols.aio import Call, Service
from grainloop.protocols.endpoints import CONTROLLER_ENDPOINT
from grainloop.protocols.errors import BadInput, Cancelled, IllegalState
from grainloop.protocols.messages import (
    CheckHealth,
    Command,
    ControlRequest,
    FollowRun,
    GetMaps,
    GetPoints,
    GetSnapshot,
    GetStatus,
    Health,
    PointsPage,
    ResumeRequest,
    RunEvent,
    RunFinished,
    RunMaps,
    RunRequest,
    RunSnapshot,
    RunStatus,
)
from grainloop.protocols.observability import NO_METRICS, Metrics
from grainloop.protocols.security import Access
from grainloop.protocols.sentences import counted
from grainloop.protocols.states import FinishReason, RunState
from grainloop.protocols.version import grainloop_version


class Retelling:
    """A recorded run as a service that can be followed.

    Args:
        entries: of its journal.
        session_file: that followers are told of.
        speed: instrument seconds per second; infinite for no waiting.
        metrics: told of requests and followers.

    Raises:
        BadInput: the entries do not begin with a run, or hold no event.
    """

    def __init__(
        self, entries: Sequence[of.Item], session_file: str, speed: float, metrics: Metrics = NO_METRICS
    ) -> None:
        self._entries = [entry for entry in entries if not isinstance(entry, of.Missing)]
        events = [entry.event for entry in self._entries if isinstance(entry, of.EventTold)]
        if not events:
            raise BadInput("The recorded run holds no event to tell.", field="session")
        self._count, self._began_s = len(events), events[0].instrument_s
        self._end, self._speed = finished_of(entries, session_file), speed
        self._followers, self._told = Followers(metrics), RunTold(metrics)
        self._last: RunEvent | None = None
        self._telling: asyncio.Task[None] | None = None
        self.service = Service(
            SERVICE,
            ControlRequest,
            {
                CheckHealth: self._health,
                FollowRun: self._follow,
                GetStatus: self._status,
                GetSnapshot: self._snapshot,
                GetPoints: self._points,
                GetMaps: self._maps,
                Command: self._refuse,
                RunRequest: self._refuse,
                ResumeRequest: self._refuse,
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
        """Serve until `stop` is set; what was not told by then is not told, and followers hear so."""
        await serve_until(stop or asyncio.Event(), self.service, self._end_telling, endpoint, ready, access)

    async def _end_telling(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])

    async def _health(self, _request: CheckHealth, _call: Call) -> Health:
        detail = f"A recording of {counted(self._count, 'event')}."
        return Health(service=SERVICE, version=grainloop_version(), ok=True, detail=detail)

    async def _status(self, _request: GetStatus, _call: Call) -> RunStatus:
        return RunStatus(state=RunState.IDLE if self._last is None else self._last.state, last=self._last)

    async def _refuse(self, _request: Command | RunRequest | ResumeRequest, _call: Call) -> RunStatus:
        raise IllegalState("This is a recording that is told again: it can be followed, and nothing else.")

    async def _follow(self, request: FollowRun, call: Call) -> RunFinished:
        if request.run is not None:
            self._told.check_run(request.run)
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())
        telling = self._telling

        def over() -> bool:
            return telling.done() or call.cancelled.is_set()

        if request.updates:
            await self._told.follow(call.progress, request.after, over)
        else:
            with self._followers.follow(request.after) as follower:
                await follower.pass_on(call.progress, over)
        if not telling.done():
            raise Cancelled("The caller listens no more; the recording goes on.")
        if telling.cancelled():
            raise Cancelled("The recording was stopped before its end.")
        return self._end

    async def _snapshot(self, _request: GetSnapshot, _call: Call) -> RunSnapshot:
        return self._told.snapshot()

    async def _points(self, request: GetPoints, _call: Call) -> PointsPage:
        return self._told.points(request)

    async def _maps(self, request: GetMaps, _call: Call) -> RunMaps:
        return self._told.maps(request)

    async def _tell(self) -> None:
        """Everything, each event when it is its time, with what was recorded before it."""
        loop, before_s, waiting = asyncio.get_running_loop(), self._began_s, list[of.Entry]()
        due = loop.time()
        try:
            for entry in self._entries:
                waiting.append(entry)
                if isinstance(entry, of.EventTold):
                    due += max(0.0, entry.event.instrument_s - before_s) / self._speed
                    before_s = max(before_s, entry.event.instrument_s)
                    await asyncio.sleep(due - loop.time())
                    await self._tell_all(waiting)
                    waiting = []
            await self._tell_all(waiting)
        finally:
            loop.call_soon(self._close)  # when this task is done, as they will see

    async def _tell_all(self, entries: Sequence[of.Entry]) -> None:
        for entry in entries:
            for view in (self._told, self._followers):
                view.show(entry, 0, 0.0)
            if isinstance(entry, of.EventTold):
                self._last = entry.event
            await self._told.caught_up()
        await self._followers.caught_up()

    def _close(self) -> None:
        self._followers.over()
        self._told.close()


def finished_of(entries: Sequence[of.Item], session_file: str) -> RunFinished:
    """How a recorded run ended, as its controller told; a recording without an end has failed."""
    found = replay(entries)
    ended, ledger = found.ended, found.decider.ledger
    return RunFinished(
        reason=FinishReason.FAILED if ended is None else ended.reason,
        detail="the recording ends before the run" if ended is None else ended.detail,
        session_file=session_file,
        points_measured=len(ledger.points),
        rounds=found.decider.rounds,
        instrument_s=ledger.clock_s,
        idle_s=ledger.idle_s,
        wall_s=0.0,
    )
