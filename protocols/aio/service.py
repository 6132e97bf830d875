"""Serve requests: a ROUTER socket around `protocols.rpc.ServerCore`, one asyncio task per request.

What a request means is the business of its handler. A handler that raises a `GrainloopError` answers with it; anything
else is a bug, which is logged with a trace id and answered as INTERNAL, and the service lives on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import zmq

from grainloop.protocols.aio.authenticator import Authenticator
from grainloop.protocols.aio.call import Call
from grainloop.protocols.aio.context import new_context, out_of_descriptors, reason
from grainloop.protocols.aio.port import Port
from grainloop.protocols.aio.telling import Telling, kind_of
from grainloop.protocols.aio.timer import Timer
from grainloop.protocols.endpoints import answers_on_ipc, port_of, require_endpoint, require_local
from grainloop.protocols.errors import Cancelled, ErrorCode, GrainloopError, Unavailable, UnknownKind
from grainloop.protocols.frames import LIMITS, Frame, Limits
from grainloop.protocols.observability import NO_METRICS, Metrics, about
from grainloop.protocols.rpc.heartbeat import SERVER_HEARTBEAT, Heartbeat
from grainloop.protocols.rpc.rate import Rate
from grainloop.protocols.rpc.server import ServerCore, permit_all
from grainloop.protocols.rpc.server_actions import RequestKey, SendTo, Serve, ServerAction, Withdraw
from grainloop.protocols.security.access import ZAP_DOMAIN, Access
from grainloop.protocols.values import Value

Handler = Callable[[Any, Call], Awaitable[Value]]
"""`async (request, call) -> reply`."""

STOP_GRACE_S = 5.0
"""How long handlers may take to let go after the service was told to stop."""


class Service:
    """A named service.

    Args:
        name: as errors and logs carry it.
        requests: closed union of what it accepts, such as `InstrumentRequest`.
        handlers: what to do with each type of request.
        max_open: open requests that one caller may have.
        limits: of what is sent to it.
        rate: of messages of one caller.
        metrics: told how many requests are open, refused and failed.
    """

    def __init__(
        self,
        name: str,
        requests: Any,
        handlers: Mapping[type[Value], Handler],
        *,
        max_open: int = 16,
        heartbeat: Heartbeat = SERVER_HEARTBEAT,
        limits: Limits = LIMITS,
        rate: Rate | None = None,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self.name = name
        self.endpoint: str | None = None
        self._requests = requests
        self._handlers = dict(handlers)
        self._max_open = max_open
        self._heartbeat = heartbeat
        self._limits = limits
        self._rate = Rate() if rate is None else rate
        self._metrics = metrics

    async def run(
        self,
        endpoint: str,
        *,
        ready: Callable[[], object] | None = None,
        stop: asyncio.Event | None = None,
        access: Access | None = None,
    ) -> None:
        """Serve at `endpoint` until `stop` is set or the task is cancelled.

        Args:
            endpoint: without `access` loopback or ipc; port 0 lets the system choose, `self.endpoint` then tells which.
            ready: called once requests are accepted.
            stop: ends the service: open calls are cancelled, whose handlers have `STOP_GRACE_S` for a last word.
            access: encrypts the socket and says whose keys are let in; without it nobody is asked for a key.

        Raises:
            Unavailable: the port is in use or cannot be listened on, or nobody could check keys.
            NotPermitted: other machines could reach the endpoint, and there is no `access`.
        """
        (require_local if access is None else require_endpoint)(endpoint, self.name)
        running = _Running(self._core(access), self._handlers, access, self._metrics)
        try:
            self.endpoint = running.bind(endpoint)
            running.telling.started(self.endpoint, keys=access is not None)
            if ready is not None:
                ready()
            await (stop or asyncio.Event()).wait()
        finally:
            await running.close()
            if self.endpoint is not None:
                running.telling.stopped(self.endpoint)
            self.endpoint = None

    def _core(self, access: Access | None) -> ServerCore:
        return ServerCore(
            self.name,
            self._requests,
            asyncio.get_running_loop().time,
            max_open=self._max_open,
            heartbeat=self._heartbeat,
            limits=self._limits,
            rate=self._rate,
            permit=permit_all if access is None else partial(access.permit, self.name),
        )


class _Running:
    """One run of a service: socket, core, and a task per open request."""

    def __init__(
        self,
        core: ServerCore,
        handlers: Mapping[type[Value], Handler],
        access: Access | None = None,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._core, self._metrics = core, metrics
        self._handlers = handlers
        self._access = access
        self._authenticator: Authenticator | None = None
        self.telling = Telling(core.service, metrics)
        self._stopping = False
        self._calls: dict[RequestKey, Call] = {}
        self._tasks: dict[RequestKey, asyncio.Task[None]] = {}
        self._timer = Timer(self._tick, lambda: core.wake_at)
        self._context = new_context(f"The {core.service} service does not start")
        try:
            self._port = Port(self._context, zmq.ROUTER, self._received, self._gone, core.limits.array_bytes)
        except zmq.ZMQError as error:
            self._context.term()
            raise Unavailable(reason(f"The {core.service} service does not start", error)) from None

    def bind(self, endpoint: str) -> str:
        """Listen; returns the endpoint with the port that was chosen."""
        try:
            if self._access is not None:
                self._guard(self._access)
            if answers_on_ipc(endpoint):
                raise zmq.ZMQError(zmq.EADDRINUSE)
            self._port.socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise self._unavailable(endpoint, error) from None
        self._port.start()
        return self._port.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def _guard(self, access: Access) -> None:
        """Encrypt, and let nobody in without asking; whoever is asked must be there before the socket listens."""
        self._authenticator = Authenticator(self._context, access, self._core.service, self._metrics)
        socket = self._port.socket
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, access.own.secret.encode())
        self._port.tells_users = True

    async def close(self) -> None:
        """Let the handlers end and give their last word, end those that do not, close the socket."""
        self._stopping = True
        for call in self._calls.values():
            call.cancel()
        self._port.wake()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks.values(), timeout=STOP_GRACE_S)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
        self._timer.stop()
        self._port.close()
        if self._authenticator is not None:
            self._authenticator.close()
        self._context.term()

    def _received(self, frames: list[Frame]) -> None:
        peer, *message = frames
        self._do(self._core.receive(bytes(peer), message, self._port.user))

    def _tick(self) -> None:
        self._port.read_all()
        self._do(self._core.tick())

    def _gone(self, peer: bytes) -> None:
        self._do(self._core.lost(peer, "The caller closed the connection."))

    def _do(self, actions: Sequence[ServerAction]) -> None:
        for action in actions:
            match action:
                case SendTo(peer, frames, refused):
                    self._port.send(frames, peer)
                    if refused is not None:
                        self.telling.refused(peer, refused)
                case Serve():
                    self._start(action)
                case Withdraw(key, _, gone):
                    self.telling.withdrawn(action)
                    self._calls[key].cancel(gone=gone)
                    self._port.wake()

    def _start(self, work: Serve) -> None:
        if self._stopping:
            self._do(self._core.fail(work.key, self._stopped()))
            return
        left = math.inf if work.deadline_s is None else work.deadline_s
        send = _Progress(self, work.key)
        now, silence_s = asyncio.get_running_loop().time(), partial(self._core.silence_s, work.key)
        call = Call(work.key.id, now + left, send, work.key.peer, work.caller, silence_s)
        self._calls[work.key] = call
        self._timer.plan()
        self.telling.opened(work, len(self._calls))
        name = f"{self._core.service}:{work.key.id}"
        with about(request=work.key.id):
            self._tasks[work.key] = asyncio.create_task(self._serve(work, call), name=name)

    async def _serve(self, work: Serve, call: Call) -> None:
        try:
            if call.cancelled:
                raise Cancelled("The request was withdrawn before work on it began.")
            reply = await self._handler(work.request)(work.request, call)
            if not isinstance(reply, Value):  # pyright: ignore[reportUnnecessaryIsInstance]  # handlers are others' code
                raise TypeError(f"the handler returned {type(reply).__name__} where a message was expected")
            self._do(self._core.reply(work.key, reply))
        except GrainloopError as error:
            given_up = self._stopping and error.code is ErrorCode.CANCELLED
            self.telling.failed(work, error)
            self._do(self._core.fail(work.key, self._stopped() if given_up else error))
        except asyncio.CancelledError:
            self._do(self._core.fail(work.key, self._stopped()))
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  # a handler must not end the service
            self._do(self._core.fail(work.key, *self._fault(work, error)))
        finally:
            del self._calls[work.key], self._tasks[work.key]
            self.telling.closed(len(self._calls))

    def _handler(self, request: Value) -> Handler:
        try:
            return self._handlers[type(request)]
        except KeyError:
            kind = getattr(request, "kind", type(request).__name__)
            raise UnknownKind(f"{self._core.service} does not serve {kind}.", field="kind", value=kind) from None

    def _fault(self, work: Serve, error: BaseException) -> tuple[GrainloopError, str | None]:
        scarce = out_of_descriptors(error, f"The {self._core.service} service cannot do {kind_of(work)}")
        if scarce is not None:
            self.telling.failed(work, scarce)
            return scarce, None
        trace_id = uuid4().hex
        self.telling.broke(work, error, trace_id)
        sentence = f"The {self._core.service} service failed on {kind_of(work)}; its log tells more under {trace_id}."
        return GrainloopError(sentence), trace_id

    async def progress(self, key: RequestKey, message: Value) -> None:
        self._do(self._core.progress(key, message))
        while self._core.heard(key) and self._port.full(key.peer):
            await self._port.room()

    def _stopped(self) -> Unavailable:
        return Unavailable(f"The {self._core.service} service is stopping.")

    def _unavailable(self, endpoint: str, error: zmq.ZMQError) -> Unavailable:
        head = f"The {self._core.service} service cannot listen on {endpoint}"
        used = f"port {port_of(endpoint)} is already in use" if port_of(endpoint) else "it is already in use"
        message = f"{head}: {used}." if error.errno == zmq.EADDRINUSE else reason(head, error)
        return Unavailable(message, field="endpoint", value=endpoint)


class _Progress:
    """Sends progress of one request."""

    def __init__(self, running: _Running, key: RequestKey) -> None:
        self._running = running
        self._key = key

    def __call__(self, message: Value) -> Awaitable[None]:
        return self._running.progress(self._key, message)
