"""The same request again: while it runs, after its caller died, after the service was started again, once stored."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import ErrorCode
from grainloop.protocols.messages import Describe
from grainloop.protocols.shapes import Piece, ScanShape, encode_pieces
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import Bench, busy, overtaken, refused, scan
from tests.protocols.hosting.served import AHEAD_ONE, Mute, asking, held, served


@pytest.fixture
def bench() -> Bench:
    return Bench(AHEAD_ONE)


# --- while it runs ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("spooled", [False, True])
async def test_who_asks_again_is_attached_and_sees_the_rest_live(bench, tmp_path, spooled):
    bench.hold_at = 4
    async with served(bench, tmp_path if spooled else None) as asker, asking(asker.client.endpoint) as other:
        first = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        behind = asyncio.create_task(asker.ask(scan(10, batch=1)))
        await busy(asker, 2)
        again = asyncio.create_task(other.ask(scan()))
        await busy(asker, 3)
        await overtaken(other)
        if not spooled:  # with a spool quick points are told together
            assert other.points == asker.points == [0, 1, 2, 3]
        bench.hold_at, held_now, bench.let_on = 13, bench.let_on, threading.Event()
        held_now.set()
        assert await first == await again  # before what waits behind it is over
        assert not behind.done()
        bench.let_on.set()
        await behind
        assert other.points == [*range(10)]
        assert bench.exposed == [*range(20)]


async def test_a_scan_goes_on_for_the_caller_that_is_left(bench):
    bench.hold_at = 4
    async with served(bench) as asker, asking(asker.client.endpoint) as other:
        first = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        again = asyncio.create_task(other.ask(scan()))
        await busy(asker, 2)
        first.cancel()
        await overtaken(asker)
        bench.let_on.set()
        assert (await again).points == 10
        await asyncio.wait([first])
        assert bench.exposed == other.points == [*range(10)]


async def test_a_controller_that_vanished_finds_its_batch_finished(bench):
    bench.hold_at = 4
    async with served(bench) as asker:
        mute = Mute(asker.client.endpoint)
        await mute.send(scan())
        await held(bench)
        mute.vanish()
        bench.let_on.set()
        done = await asker.ask(scan())
        assert done.points == 10
        assert bench.exposed == asker.points == [*range(10)]
        assert bench.log == ["scan 0", "end 0"]


async def test_what_waits_of_a_controller_that_vanished_is_not_begun(bench, leap):
    bench.hold_at = 4
    service = DriverService(bench)
    async with running(service) as endpoint, asking(endpoint) as asker:
        first = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        mute = Mute(endpoint)
        await mute.send(scan(10, batch=1))
        await busy(asker, 2)
        while not any(call.gone for call in service._calls):
            leap(1.0)
            await overtaken(asker)
        mute.vanish()
        bench.let_on.set()
        await first
        await asker.ask(scan(20, batch=2))
        assert bench.log == ["scan 0", "end 0", "scan 2", "end 2"]


@pytest.mark.parametrize("spooled", [False, True])
async def test_duplicates_and_another_order_expose_every_point_once(bench, tmp_path, spooled):
    batches = [scan(10 * n, batch=n) for n in range(4)]
    order = np.random.default_rng(5).permutation([0, 1, 2, 3] * 3)
    async with served(bench, tmp_path if spooled else None) as asker:
        replies = await asyncio.gather(*(asker.ask(batches[n]) for n in order))
        assert len({done.model_dump_json() for done in replies}) == 4
        assert sorted(bench.exposed) == [*range(40)]
        assert sorted(asker.points) == sorted([*range(40)] * 3)


# --- after the service was started again -----------------------------------------------------------------------------
async def test_a_finished_batch_is_told_again_after_a_restart(bench, tmp_path):
    async with served(bench, tmp_path) as asker:
        assert (await asker.ask(Describe())).spools
        done = await asker.ask(scan())
    after = Bench(AHEAD_ONE)
    async with served(after, tmp_path) as asker:
        assert await asker.ask(scan()) == done
        assert asker.points == bench.exposed == [*range(10)]
        assert after.exposed == []
        error = await refused(asker, scan(5, batch=1))
        assert str(error).startswith("Point 5 of run 'r1' was already asked for in batch 0")


async def test_a_cancelled_batch_goes_on_after_a_restart_and_nothing_counts_as_lost(bench, tmp_path):
    bench.hold_at = 4
    async with served(bench, tmp_path) as asker:
        task = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        task.cancel()
        await overtaken(asker)
        bench.let_on.set()
        await asyncio.wait([task])
    after = Bench(AHEAD_ONE)
    async with served(after, tmp_path) as asker:
        assert (await asker.ask(scan())).points == 10
        assert asker.points == bench.exposed + after.exposed == [*range(10)]


# --- what is refused -------------------------------------------------------------------------------------------------
PIECES = encode_pieces([Piece(ScanShape.POINTS, 10)])


CHANGED = {
    "dwell": scan(dwell_s=0.2),
    "points": scan(5, 10),
    "fewer": scan(0, 9),
    "new points": scan(30),
    "order": scan(point_id=np.arange(10)[::-1].copy()),
    "place": scan(position_px=scan().position_px + 1),
    "pieces": scan(pieces=PIECES),
}


@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED.keys())
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_changed_batch_is_refused(bench, tmp_path, changed, restarted):
    async with served(bench, tmp_path) as asker:
        await asker.ask(scan())
        error = None if restarted else await refused(asker, changed)
    if restarted:
        async with served(bench, tmp_path) as asker:
            error = await refused(asker, changed)
    assert error is not None
    assert error.code is ErrorCode.OUT_OF_LIMITS
    assert str(error).startswith("Batch 0 of run 'r1' was asked for before ")
    assert bench.exposed == [*range(10)]
