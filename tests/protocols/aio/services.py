"""A service whose handlers do what a test says, over real sockets, and one in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from grainloop.protocols.aio import Call, Client, Service
from grainloop.protocols.messages import (
    CheckHealth,
    Health,
    InstrumentReply,
    InstrumentRequest,
    Park,
    Parked,
    PointsMeasured,
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.rpc import Heartbeat
from grainloop.protocols.security import Access
from grainloop.protocols.values import PointBlock
from tests.patience import HANG_S

ANY_PORT = "tcp://127.0.0.1:0"


DONE = ScanDone(batch=0, points=0, started_s=0, finished_s=0)


QUICK = Heartbeat(interval_s=0.1, silence_s=0.5)


def scan(batch: int = 0) -> ScanRequest:
    return ScanRequest(batch=batch, point_id=np.arange(1), position_px=np.zeros((1, 2), np.int32), dwell_s=1)


def block(number: int) -> PointsMeasured:
    return PointsMeasured(batch=0, points=PointBlock.one(number, (0, 0), time_s=number, dwell_s=1))


class Handlers:
    """A service whose scans do what the test says."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.call: Call | None = None
        self.scan: Callable[[ScanRequest, Call], Any] = self.wait_for_cancel

    async def health(self, _request: CheckHealth, _call: Call) -> Health:
        return Health(service="instrument", version="1", ok=True)

    async def park(self, _request: Park, _call: Call) -> Parked:
        raise ZeroDivisionError("a bug")

    async def on_scan(self, request: ScanRequest, call: Call) -> ScanDone:
        self.call = call
        self.started.set()
        try:
            return await self.scan(request, call)
        finally:
            self.ended.set()

    async def wait_for_cancel(self, _request: ScanRequest, call: Call) -> ScanDone:
        await asyncio.to_thread(call.cancelled.wait, HANG_S)
        return DONE

    def service(self, **options: Any) -> Service:
        handlers = {CheckHealth: self.health, Park: self.park, ScanRequest: self.on_scan}
        return Service("instrument", InstrumentRequest, handlers, **options)


@asynccontextmanager
async def running(service: Service, endpoint: str = ANY_PORT, access: Access | None = None) -> AsyncIterator[str]:
    """The service while it runs; gives its endpoint."""
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(service.run(endpoint, ready=ready.set, stop=stop, access=access))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if task.done():
            await task
        assert service.endpoint is not None
        yield service.endpoint
    finally:
        stop.set()
        await task


def client(endpoint: str, **options: Any) -> Client:
    return Client(endpoint, InstrumentReply, service="instrument", **options)


SERVER = """
import asyncio, sys
from grainloop.protocols.aio import Service, run
from grainloop.protocols.messages import CheckHealth, InstrumentRequest, ScanRequest, Health

async def health(request, call):
    return Health(service="instrument", version="1", ok=True)

async def scan(request, call):
    print("scanning", flush=True)
    await asyncio.Event().wait()

async def main():
    service = Service("instrument", InstrumentRequest, {CheckHealth: health, ScanRequest: scan})
    await service.run("tcp://127.0.0.1:0", ready=lambda: print(service.endpoint, flush=True))

run(main())
"""
