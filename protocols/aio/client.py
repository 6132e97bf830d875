"""Ask a service: a DEALER socket around `protocols.rpc.ClientCore`.

Reconnecting is left to ZeroMQ and repeating a request to the caller, who alone knows whether that is safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import zmq

from protocols.aio.port import Port
from protocols.aio.timer import Timer
from protocols.errors import Unavailable
from protocols.frames import Frame
from protocols.rpc.client import ClientAction, ClientCore, Failed, Progressed, Replied, Send
from protocols.rpc.heartbeat import CLIENT_HEARTBEAT, Heartbeat
from protocols.values import Value

OnProgress = Callable[[Any], None]


CANCEL_GRACE_S = 2.0
"""How long a withdrawn request may bring what was measured before it ended."""


class _Waiting(NamedTuple):
    future: asyncio.Future[Any]
    on_progress: OnProgress | None


class Client:
    """One connection to one service, for any number of requests at the same time.

    Args:
        endpoint: where the service listens, such as `tcp://127.0.0.1:5701`.
        replies: closed union of what it may answer, such as `InstrumentReply`.
        service: its name in error sentences.
        heartbeat: how long a silence to bear.
    """

    def __init__(self, endpoint: str, replies: Any, *, service: str, heartbeat: Heartbeat = CLIENT_HEARTBEAT) -> None:
        self.endpoint = endpoint
        self.service = service
        self._replies = replies
        self._heartbeat = heartbeat
        self._waiting: dict[str, _Waiting] = {}
        self._open = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        peer = f"The {self.service} service at {self.endpoint}"
        self._core = ClientCore(self._replies, peer, loop.time, self._heartbeat)
        self._timer = Timer(self._tick, lambda: self._core.wake_at)
        self._context = zmq.Context(io_threads=1)
        self._port = Port(self._context, zmq.DEALER, self._received)
        # Must exist before connecting; its messages say that the connection broke.
        self._monitor = Port(self._context, zmq.PAIR, self._disconnected)
        self._monitor.socket.connect(_monitored(self._port.socket))
        try:
            self._port.socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            self._close()
            raise Unavailable(f"{peer} cannot be reached: {error}.", field="endpoint", value=self.endpoint) from None
        self._monitor.start()
        self._port.start()
        self._open = True
        return self

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
            BadMessage: the service answered with something that is no reply.
        """
        if not self._open:
            raise Unavailable(f"The client of the {self.service} service is not open.", field="endpoint")
        request_id, actions = self._core.request(message, deadline_s)
        waiting = _Waiting(asyncio.get_running_loop().create_future(), on_progress)
        self._waiting[request_id] = waiting
        try:
            self._do(actions)
            return await asyncio.shield(waiting.future)
        except asyncio.CancelledError:
            self._do(self._core.cancel(request_id))
            await asyncio.wait([waiting.future], timeout=CANCEL_GRACE_S)
            raise
        finally:
            del self._waiting[request_id]
            self._do(self._core.abandon(request_id))

    def _received(self, frames: list[Frame]) -> None:
        self._do(self._core.receive(frames))

    def _tick(self) -> None:
        self._port.read_all()
        self._do(self._core.tick())

    def _disconnected(self, _event: list[Frame]) -> None:
        self._port.read_all()
        sentence = f"The {self.service} service at {self.endpoint} closed the connection; it stopped or crashed."
        self._do(self._core.lost(sentence))

    def _do(self, actions: Sequence[ClientAction]) -> None:
        for action in actions:
            match action:
                case Send(frames):
                    self._port.send(frames)
                case Progressed(request_id, message):
                    self._progress(request_id, message)
                case Replied(request_id, message):
                    self._settle(request_id, lambda future, message=message: future.set_result(message))
                case Failed(request_id, error):
                    self._settle(request_id, lambda future, error=error: future.set_exception(error))
        self._timer.plan()

    def _progress(self, request_id: str, message: Value) -> None:
        waiting = self._waiting.get(request_id)
        if waiting is None or waiting.on_progress is None or waiting.future.done():
            return
        try:
            waiting.on_progress(message)
        except Exception as error:  # noqa: BLE001  # it belongs to the caller, who awaits the future
            waiting.future.set_exception(error)

    def _settle(self, request_id: str, settle: Callable[[asyncio.Future[Any]], None]) -> None:
        waiting = self._waiting.get(request_id)
        if waiting is not None and not waiting.future.done():
            settle(waiting.future)

    def _close(self) -> None:
        self._open = False
        self._timer.stop()
        self._port.socket.disable_monitor()
        self._monitor.close()
        self._port.close()
        self._context.term()


def _monitored(socket: zmq.Socket[bytes]) -> str:
    """The inproc address at which libzmq tells of broken connections of `socket`."""
    address = f"inproc://monitor-{id(socket)}"
    socket.monitor(address, zmq.EVENT_DISCONNECTED)
    return address
