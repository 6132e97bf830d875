"""The dead-man timer: a scan whose caller is silent ends, and its rest is measured later."""

from __future__ import annotations

import asyncio

import pytest

from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.messages import Describe
from tests.protocols.aio.services import running
from tests.protocols.conftest import Leap
from tests.protocols.hosting.bench import Asker, Bench, busy, overtaken, scan
from tests.protocols.hosting.served import AHEAD_ONE, Mute, asking, held


@pytest.fixture
def bench() -> Bench:
    return Bench(AHEAD_ONE)


async def test_a_silent_caller_ends_the_scan_and_the_rest_is_measured_when_it_asks_again(bench, leap):
    bench.hold_at = 4
    service = DriverService(bench, None, 5.0)
    async with running(service) as endpoint, asking(endpoint) as asker:
        assert (await asker.ask(Describe())).dead_man_s == 5.0
        mute = Mute(asker.client.endpoint)
        await mute.send(scan())
        await held(bench)
        await stopped(service, asker, leap)
        bench.let_on.set()
        frames = await last_answer(mute)
        assert b"Nothing was heard of the controller for 5 s" in frames
        assert bench.exposed == [0, 1, 2, 3, 4]
        assert bench.log == ["scan 0", "end 0", "park"]
        mute.vanish()
        assert (await asker.ask(scan())).points == 10
        assert bench.exposed == asker.points == [*range(10)]


async def test_a_caller_that_pings_is_not_silent(bench, leap):
    bench.hold_at = 4
    service = DriverService(bench, None, 5.0)
    async with running(service) as endpoint, asking(endpoint) as asker, asking(endpoint) as other:
        task = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        mute = Mute(endpoint)
        await mute.send(scan(10, batch=1))
        await busy(other, 2)
        await stopped(service, other, leap, 1)  # as long as it takes for one that is silent
        mute.vanish()
        bench.let_on.set()
        assert (await task).points == 10


async def stopped(service: DriverService, asker: Asker, leap: Leap, batch: int = 0) -> None:
    """Return when the timer of a batch has run out."""
    (found,) = [one for one in service._scans._going.values() if one.batch.request.batch == batch]
    while not found.stopped:
        leap(1.0)
        await overtaken(asker)


async def last_answer(mute: Mute) -> bytes:
    while True:
        frames = await mute.socket.recv_multipart()
        if b"error" in frames[0] or b"reply" in frames[0]:
            return frames[0]
