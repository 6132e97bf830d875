"""A ZeroMQ socket in the running asyncio loop: frames in by callback, frames out without ever blocking.

The loop watches the socket's file descriptor, which is edge-triggered: it only says "look again". So everything that
can be read is read before returning to the loop, and every send is followed by another look, for it may have taken the
edge. What the frames mean is the business of `protocols.rpc`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

import zmq

from grainloop.protocols.frames import LIMITS, Frame

HIGH_WATER = 256
"""Messages that libzmq holds per direction and peer."""
MAX_WAITING = 64
"""Messages that wait here for one peer before it counts as full."""
MOST_WAITING = 1024
"""Messages that wait here for one peer at most; one that still reads nothing counts as gone, and gets no more."""
# As plain integers: arithmetic with pyzmq's enums costs more than the system calls it accompanies.
_POLLIN = int(zmq.POLLIN)
_EVENTS = int(zmq.EVENTS)
_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
BURST = 64
"""Messages read in a row before other tasks get their turn."""
CLOSE_LINGER_MS = 100
"""So that a last cancel or error still leaves; without it closing would throw it away."""
ZMTP_HEARTBEAT_MS = 2_000
ZMTP_TIMEOUT_MS = 10_000
HANDSHAKE_MS = 10_000
"""How long a stranger may take to prove who it is."""


class Port:
    """One socket.

    Args:
        context: owner of the I/O thread.
        kind: socket type, such as `zmq.DEALER`.
        on_message: called with the frames of each message; on a ROUTER the first one is the peer.
        on_gone: called with a peer that can no longer be reached (ROUTER only).
        frame_bytes: largest frame that is taken from the other side; a larger one ends its connection.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        kind: int,
        on_message: Callable[[list[Frame]], None],
        on_gone: Callable[[bytes], None] = lambda _peer: None,
        frame_bytes: int = LIMITS.array_bytes,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.socket = context.socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, frame_bytes)
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self.socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        self.socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, ZMTP_HEARTBEAT_MS)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, ZMTP_TIMEOUT_MS)
        if kind == zmq.ROUTER:
            self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._on_message = on_message
        self._on_gone = on_gone
        self.user = ""
        """Who sent the message being delivered, as the authenticator called it."""
        self.tells_users = False
        """Whether an authenticator guards the socket; libzmq then names the sender of each message."""
        self._waiting: dict[bytes, deque[list[Frame]]] = {}
        self._room = asyncio.Event()
        self._look_planned = False
        self._fd = cast("int", self.socket.getsockopt(zmq.FD))

    def start(self) -> None:
        """Begin to read; the socket is bound or connected."""
        self._loop.add_reader(self._fd, self._look)
        self._plan_look()

    def send(self, frames: Sequence[Frame], peer: bytes = b"") -> None:
        """Send, or keep for later while the peer takes no more. A ROUTER needs the peer."""
        if self.socket.closed:
            return
        message = [peer, *frames] if peer else list(frames)
        queue = self._waiting.get(peer)
        if queue is not None:
            self._keep(queue, message, peer)
        elif not self._try_send(message, peer):
            self._waiting[peer] = deque([message])
        if self._readable():
            self._plan_look()

    def _keep(self, queue: deque[list[Frame]], message: list[Frame], peer: bytes) -> None:
        if len(queue) < MOST_WAITING:
            queue.append(message)
        else:
            self._loop.call_soon(self._on_gone, peer)

    def read_all(self) -> None:
        """Deliver what has already arrived; before judging a peer by its silence."""
        while not self.socket.closed and self._readable():
            self._deliver()

    def full(self, peer: bytes = b"") -> bool:
        """Whether so many messages wait for the peer that its sender should `await room()`."""
        return len(self._waiting.get(peer, ())) >= MAX_WAITING

    async def room(self) -> None:
        """Return when messages have left, or at `wake`; look again then."""
        self._room.clear()
        await self._room.wait()

    def wake(self) -> None:
        """Let everybody in `room` look again."""
        self._room.set()

    def close(self) -> None:
        """Stop reading and close; what waited here is dropped. May be called repeatedly."""
        if self.socket.closed:
            return
        self._loop.remove_reader(self._fd)
        self._waiting.clear()
        self._room.set()
        self.socket.close(linger=CLOSE_LINGER_MS)

    def _plan_look(self) -> None:
        if not self._look_planned:
            self._look_planned = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._look_planned = False
        for _ in range(BURST):
            if self.socket.closed:
                return
            if not self._readable():
                break
            self._deliver()
        else:
            self._plan_look()
        if self._waiting:
            self._send_waiting()

    def _deliver(self) -> None:
        try:
            self._on_message(self._receive())
        except BaseException:
            self._plan_look()  # a fault of the receiver must not leave the rest unread
            raise

    def _readable(self) -> bool:
        return bool(cast("int", self.socket.get(_EVENTS)) & _POLLIN)

    def _receive(self) -> list[Frame]:
        frames: list[Frame] = []
        more = True
        while more:
            part = self.socket.recv(_NOBLOCK, copy=False)
            frames.append(part.buffer)
            more = part.more
            if not more and self.tells_users:
                self.user = str(part.get("User-Id"))
        return frames

    def _send_waiting(self) -> None:
        for peer, queue in list(self._waiting.items()):
            while queue and self._try_send(queue[0], peer):
                queue.popleft()
            if not queue:
                del self._waiting[peer]
        self._room.set()

    def _try_send(self, message: list[Frame], peer: bytes) -> bool:
        """Whether the message is out of our hands."""
        try:
            for frame in message[:-1]:
                self.socket.send(frame, _MORE, copy=False)
            self.socket.send(message[-1], _NOBLOCK, copy=False)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._loop.call_soon(self._on_gone, peer)
        return True
