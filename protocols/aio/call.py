"""What a handler knows of the request it works on: progress out, cancelled and time left in."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable

from grainloop.protocols.security.roles import LOCAL, Caller
from grainloop.protocols.values import Value


class Flag(threading.Event):
    """An event that is also true once it is set; may be polled from any thread."""

    def __bool__(self) -> bool:
        return self.is_set()


class Call:
    """One request being served.

    Attributes:
        id: request id, for logs.
        peer: who asks, as the socket names the connection; tells callers apart and says nothing else of them.
        caller: who that is, by the key that the socket checked.
        cancelled: set when nobody waits for the answer any more (cancel, deadline, caller gone, service stopping).
        gone: of these it was only that the caller fell silent or its connection broke.
        silence_s: tells for how long there has been no sign of life of the caller.
    """

    def __init__(
        self,
        request_id: str,
        deadline: float,
        send: Callable[[Value], Awaitable[None]],
        peer: bytes = b"",
        caller: Caller = LOCAL,
        silence_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.id = request_id
        self.peer = peer
        self.caller = caller
        self.cancelled = Flag()
        self.gone = False
        self.silence_s = silence_s
        self._deadline = deadline
        self._send = send
        self._loop = asyncio.get_running_loop()

    def cancel(self, *, gone: bool = False) -> None:
        """Nobody waits for the answer any more."""
        self.gone = gone
        self.cancelled.set()

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline; infinite without one, never negative."""
        return math.inf if math.isinf(self._deadline) else max(0.0, self._deadline - self._loop.time())

    async def progress(self, message: Value) -> None:
        """Send a progress message; waits while the caller takes no more. Once cancelled, it does nothing."""
        await self._send(message)

    def progress_from_thread(self, message: Value) -> None:
        """The same from a worker thread; returns when the message is handed over."""
        asyncio.run_coroutine_threadsafe(self._progress(message), self._loop).result()

    async def _progress(self, message: Value) -> None:
        await self._send(message)
