"""A hosted driver with a spool and a dead-man timer, and callers that vanish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from grainloop.protocols.aio import Client
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.messages import InstrumentReply, ScanRequest
from grainloop.protocols.rpc import Envelope, EnvelopeKind
from grainloop.protocols.rpc.envelope import to_frames
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import CAPABILITIES, Asker, Bench

AHEAD_ONE = CAPABILITIES.model_copy(update={"exposes_ahead": 1})


@asynccontextmanager
async def asking(endpoint: str, **options: Any) -> AsyncIterator[Asker]:
    async with Client(endpoint, InstrumentReply, service="instrument", **options) as client:
        yield Asker(client)


@asynccontextmanager
async def served(bench: Bench, spool: Path | None = None, dead_man_s: float = 30.0) -> AsyncIterator[Asker]:
    async with running(DriverService(bench, spool, dead_man_s)) as endpoint, asking(endpoint) as asker:
        yield asker
        bench.let_on.set()


class Mute:
    """A caller that sends what it is told and never pings."""

    def __init__(self, endpoint: str) -> None:
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(endpoint)

    async def send(self, message: ScanRequest, name: str = "1") -> None:
        await self.socket.send_multipart(to_frames(Envelope(EnvelopeKind.REQUEST, name, message)))

    def vanish(self) -> None:
        self.context.destroy(linger=0)


async def held(bench: Bench) -> None:
    await asyncio.to_thread(bench.holding.wait)
    bench.holding.clear()
