"""Followers of a run that are alive and read nothing, and what they find when they read at last."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import zmq
import zmq.asyncio

from grainloop.protocols.frames import Frame
from grainloop.protocols.messages import FollowRun
from grainloop.protocols.rpc import Envelope, EnvelopeKind
from grainloop.protocols.rpc.envelope import from_frames, to_frames

STREAMS = 16
"""As many as one caller may have open."""
PING_S = 1.0
QUIET_S = 2.0
"""After so long without anything more there is nothing more."""


class FrozenFollower:
    """Asks for the events of the run, many times over one connection, and shows that it lives, but never reads.

    Nothing about the connection tells the service that it is useless: pings come every second, as from any client.
    """

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.set(zmq.RCVHWM, 1)
        self._socket.set(zmq.RCVBUF, 4096)  # the system must not read for it
        self._socket.connect(endpoint)

    async def __aenter__(self) -> Self:
        """Ask, and go on pinging."""
        for stream in range(STREAMS):
            await self._send(Envelope(EnvelopeKind.REQUEST, f"stream-{stream}", FollowRun()))
        self._pinging = asyncio.create_task(self._ping())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Vanish."""
        self._pinging.cancel()
        await asyncio.wait([self._pinging])
        self._context.destroy(linger=0)

    async def _ping(self) -> None:
        while True:
            await self._send(Envelope(EnvelopeKind.PING, "ping"))
            await asyncio.sleep(PING_S)

    async def _send(self, envelope: Envelope) -> None:
        await self._socket.send_multipart(to_frames(envelope))

    async def thaw(self) -> tuple[dict[str, list[int]], dict[str, Any]]:
        """Read what there is: numbers of events, and the last word of each stream that got one."""
        self._pinging.cancel()  # each would be answered, so that there would always be more
        heard, last = dict[str, list[int]](), dict[str, Any]()
        while await self._socket.poll(1e3 * QUIET_S):
            frames: list[Frame] = [frame.buffer for frame in await self._socket.recv_multipart(copy=False)]
            envelope = from_frames(frames)
            if envelope.kind is EnvelopeKind.PROGRESS:
                heard.setdefault(envelope.id, []).append(envelope.body["sequence"])
            elif envelope.kind in (EnvelopeKind.ERROR, EnvelopeKind.REPLY):
                last[envelope.id] = envelope.body
        return heard, last
