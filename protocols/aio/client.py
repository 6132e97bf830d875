"""Ask a service: a DEALER socket around `protocols.rpc.ClientCore`.

Reconnecting is left to ZeroMQ and repeating a request to the caller, who alone knows whether that is safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

import zmq

from grainloop.protocols.aio.connection import Connection, monitored
from grainloop.protocols.aio.context import Context, give_back, reason, take
from grainloop.protocols.aio.port import Port
from grainloop.protocols.aio.telling import AskingLog
from grainloop.protocols.aio.timer import Timer
from grainloop.protocols.endpoints import require_near
from grainloop.protocols.errors import BadMessage, GrainloopError, Unavailable
from grainloop.protocols.frames import Frame
from grainloop.protocols.rpc.client import ClientAction, ClientCore, Failed, Progressed, Replied, Send
from grainloop.protocols.rpc.heartbeat import CLIENT_HEARTBEAT, Heartbeat
from grainloop.protocols.security.access import Credentials
from grainloop.protocols.values import Value

OnProgress = Callable[[Any], None]
T = TypeVar("T")


CANCEL_GRACE_S = 2.0
"""How long a withdrawn request may bring what was measured before it ended."""


class _Waiting:
    """One request of a task that awaits `outcome`; cancelling the task cancels that future, so a new one follows."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self.on_progress = on_progress
        self.renew()

    def renew(self) -> None:
        self.outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def look(self) -> None:
        """Take note of an error that nobody will raise, so that asyncio does not warn of it."""
        if self.outcome.done() and not self.outcome.cancelled():
            self.outcome.exception()

    def progress(self, message: Value) -> None:
        failed = self.outcome.done() and not self.outcome.cancelled()
        if self.on_progress is None or failed:
            return
        try:
            self.on_progress(message)
        except Exception as error:  # noqa: BLE001  # it belongs to the caller, who awaits the outcome
            self.fail(error)

    def reply(self, message: Value) -> None:
        if not self.outcome.done():
            self.outcome.set_result(message)

    def fail(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class Client:
    """One connection to one service, for any number of requests at the same time.

    Args:
        endpoint: where the service listens, such as `tcp://127.0.0.1:5701`.
        replies: closed union of what it may answer, such as `InstrumentReply`.
        service: its name in error sentences.
        heartbeat: how long a silence to bear.
        credentials: own key and that of the service; without them only services on this machine are asked.
    """

    def __init__(
        self,
        endpoint: str,
        replies: Any,
        *,
        service: str,
        heartbeat: Heartbeat = CLIENT_HEARTBEAT,
        credentials: Credentials | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.service = service
        self._replies = replies
        self._heartbeat = heartbeat
        self._credentials = credentials
        self._peer = f"The {service} service at {endpoint}"
        self._connection = Connection(self._peer, credentials)
        self._telling = AskingLog(service, endpoint)
        self._waiting: dict[str, _Waiting] = {}
        self._open = False
        self._closing = ExitStack()
        self._refused: GrainloopError | None = None

    async def __aenter__(self) -> Self:
        if self._credentials is None:
            require_near(self.endpoint, self.service)
        loop = asyncio.get_running_loop()
        self._core = ClientCore(self._replies, self._peer, loop.time, self._heartbeat)
        self._timer = Timer(self._tick, lambda: self._core.wake_at)
        context = take(f"{self._peer} cannot be reached")
        self._closing.callback(give_back)
        try:
            self._connect(context)
        except zmq.ZMQError as error:
            self._close()
            message = reason(f"{self._peer} cannot be reached", error)
            raise Unavailable(message, field="endpoint", value=self.endpoint) from None
        except BaseException:
            self._close()
            raise
        self._monitor.start()
        self._port.start()
        self._open = True
        return self

    def _connect(self, context: Context) -> None:
        self._port = Port(context, zmq.DEALER, self._received)
        self._closing.callback(self._port.close)
        # Must exist before connecting; its messages say that the connection broke.
        self._monitor = Port(context, zmq.PAIR, self._disconnected)
        self._closing.callback(self._monitor.close)
        self._closing.callback(self._port.socket.disable_monitor)
        self._monitor.socket.connect(monitored(self._port.socket))
        self._prove(self._port.socket)
        self._port.socket.connect(self.endpoint)

    def _prove(self, socket: zmq.Socket[bytes]) -> None:
        if (credentials := self._credentials) is not None:
            socket.setsockopt(zmq.CURVE_SERVERKEY, credentials.server.encode())
            socket.setsockopt(zmq.CURVE_PUBLICKEY, credentials.own.public.encode())
            socket.setsockopt(zmq.CURVE_SECRETKEY, credentials.own.secret.encode())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._do(self._core.lost(f"The client of the {self.service} service was closed."))
        self._close()

    async def request(self, message: Value, *, deadline_s: float, on_progress: OnProgress | None = None) -> Any:
        """Ask, hand each progress message to `on_progress`, return the reply.

        Cancelling the awaiting task withdraws the request: the service stops soon, what it measured until then still
        goes to `on_progress`, and the task ends when the service has let go (after `CANCEL_GRACE_S` at the latest, at
        once if cancelled again). An exception in `on_progress` withdraws the request too and is raised here.

        Args:
            message: the request.
            deadline_s: how long to wait; the service is told, and stops then.
            on_progress: called in the event loop, in order, before the reply returns; must not block.

        Raises:
            RemoteError: the service reported an error; `code` says which.
            DeadlineExceeded: no reply in time.
            Unavailable: the service is silent, went away, or this client is closed.
            NotPermitted: the service does not accept the key of this side.
            BadMessage: the service answered with something that is no reply.
        """
        if not self._open:
            raise Unavailable(f"The client of the {self.service} service is not open.", field="endpoint")
        self._monitor.read_all()  # a connection that broke before is no trouble of this request
        if self._refused is not None:
            raise self._refused
        request_id, actions = self._core.request(message, deadline_s)
        kind, began_s = str(getattr(message, "kind", "?")), asyncio.get_running_loop().time()
        self._waiting[request_id] = waiting = _Waiting(on_progress)
        try:
            self._do(actions)
            self._timer.plan()
            reply = await waiting.outcome
        except GrainloopError as error:
            self._telling.unanswered(kind, request_id, asyncio.get_running_loop().time() - began_s, error)
            raise
        except asyncio.CancelledError:
            await self._wind_down(request_id, waiting)
            raise
        finally:
            del self._waiting[request_id]
            self._do(self._core.abandon(request_id))
        self._telling.answered(kind, request_id, asyncio.get_running_loop().time() - began_s)
        return reply

    async def _wind_down(self, request_id: str, waiting: _Waiting) -> None:
        """Tell the service to stop, and listen until it has, for a while."""
        waiting.look()
        waiting.renew()
        cancel = self._core.cancel(request_id)
        self._do(cancel)
        if cancel:
            await asyncio.wait([waiting.outcome], timeout=CANCEL_GRACE_S)
        waiting.look()

    def _received(self, frames: list[Frame]) -> None:
        self._do(self._core.receive(frames))

    def _tick(self) -> None:
        self._port.read_all()
        self._do(self._core.tick())

    def _disconnected(self, event: list[Frame]) -> None:
        self._port.read_all()
        stood, found = self._connection.stands, self._connection.heard(event)
        if self._connection.stands and not stood:
            self._telling.connected()
        if found is None:
            return
        self._telling.lost(found.sentence)
        if found.final:
            self._refused = found.error(found.sentence, field="keys")
        self._do(self._core.lost(found.sentence, found.error))

    def _do(self, actions: Sequence[ClientAction]) -> None:
        for action in actions:
            match action:
                case Send(frames):
                    self._port.send(frames)
                case Progressed(request_id, message):
                    self._waiting[request_id].progress(message)
                case Replied(request_id, message):
                    self._waiting[request_id].reply(message)
                case Failed(request_id, error):
                    self._waiting[request_id].fail(error)

    def _close(self) -> None:
        self._open = False
        self._timer.stop()
        self._closing.close()


def expect(reply: Any, kind: type[T], service: str) -> T:
    """`reply`, if it is of this kind.

    Raises:
        BadMessage: it is something else.
    """
    if not isinstance(reply, kind):
        raise BadMessage(f"The {service} service answered with {type(reply).__name__} instead of {kind.__name__}.")
    return reply
