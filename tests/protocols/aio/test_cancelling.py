"""Withdrawn requests, deadlines, and listeners that fail or are slow."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
import zmq

from grainloop.protocols.aio import Call
from grainloop.protocols.aio.port import HIGH_WATER, MAX_WAITING
from grainloop.protocols.errors import (
    DeadlineExceeded,
    Unavailable,
)
from grainloop.protocols.messages import (
    CheckHealth,
    PointsMeasured,
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, to_frames
from grainloop.protocols.values import PointBlock
from tests.patience import HANG_S
from tests.protocols.aio.services import DONE, block, client, scan


async def test_cancelling_the_task_cancels_the_work(handlers, asking):
    task = asyncio.create_task(asking.request(scan(), deadline_s=HANG_S))
    await handlers.started.wait()
    task.cancel()
    await handlers.ended.wait()
    assert handlers.call is not None
    assert handlers.call.cancelled
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await asking.request(CheckHealth(), deadline_s=HANG_S)).ok


async def test_what_is_measured_until_the_end_still_arrives(handlers, asking):
    async def one_more(_request: ScanRequest, call: Call) -> ScanDone:
        await call.progress(block(0))
        await asyncio.to_thread(call.cancelled.wait, HANG_S)
        await call.progress(block(1))
        return DONE

    handlers.scan = one_more
    got: list[PointsMeasured] = []
    first = asyncio.Event()

    def listen(message: PointsMeasured) -> None:
        got.append(message)
        first.set()

    task = asyncio.create_task(asking.request(scan(), deadline_s=HANG_S, on_progress=listen))
    await first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert got == [block(0), block(1)]


async def test_a_second_cancel_does_not_wait(handlers, asking):
    release = asyncio.Event()

    async def deaf(_request: ScanRequest, _call: Call) -> ScanDone:
        await release.wait()
        return DONE

    handlers.scan = deaf
    task = asyncio.create_task(asking.request(scan(), deadline_s=HANG_S))
    await handlers.started.wait()
    task.cancel()
    await asking.request(CheckHealth(), deadline_s=HANG_S)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()


async def test_a_fault_of_the_listener_withdraws_the_request(handlers, asking):
    async def stream(_request: ScanRequest, call: Call) -> ScanDone:
        await call.progress(block(0))
        return await handlers.wait_for_cancel(_request, call)

    def listener(_message: PointsMeasured) -> None:
        raise OSError("disk full")

    handlers.scan = stream
    with pytest.raises(OSError, match="disk full"):
        await asking.request(scan(), deadline_s=HANG_S, on_progress=listener)
    await handlers.ended.wait()


async def test_a_deadline_ends_both_sides(handlers, asking, leap):
    asked = asyncio.create_task(asking.request(scan(), deadline_s=1e4))
    await handlers.started.wait()
    leap(1e4)
    with pytest.raises(DeadlineExceeded, match=r"instrument.* 10000 s|before the deadline"):
        await asked
    await handlers.ended.wait()
    assert handlers.call is not None
    assert handlers.call.cancelled
    assert handlers.call.remaining_s < HANG_S


async def test_the_handler_knows_its_deadline(handlers, asking):
    async def tell(_request: ScanRequest, call: Call) -> ScanDone:
        return DONE.model_copy(update={"finished_s": call.remaining_s})

    handlers.scan = tell
    assert 1e4 - HANG_S < (await asking.request(scan(), deadline_s=1e4)).finished_s <= 1e4


async def test_closing_the_client_withdraws_what_it_asked(handlers, endpoint):
    async with client(endpoint) as asking:
        task = asyncio.create_task(asking.request(scan(), deadline_s=HANG_S))
        await handlers.started.wait()
    with pytest.raises(Unavailable, match="closed"):
        await task
    await handlers.ended.wait()
    with pytest.raises(Unavailable, match="not open"):
        await asking.request(CheckHealth(), deadline_s=1)


async def test_a_slow_listener_holds_the_sender_back(handlers, endpoint, leap):
    """A peer that reads nothing costs the service a bounded number of messages."""
    sent, many = 0, asyncio.Event()

    async def pour(_request: ScanRequest, call: Call) -> ScanDone:
        nonlocal sent
        points = PointBlock.one(0, (0, 0), time_s=1, dwell_s=1).select(np.zeros(2_000, np.int64))
        while not call.cancelled:
            await call.progress(PointsMeasured(batch=0, points=points))
            sent += 1
            if sent == MAX_WAITING:
                many.set()
        return DONE

    handlers.scan = pour
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.setsockopt(zmq.RCVHWM, 1)
        peer.connect(endpoint)
        peer.send_multipart(to_frames(Envelope(EnvelopeKind.REQUEST, "1", scan(), 1e4)))
        await many.wait()
        for _turn in range(10 * HIGH_WATER):  # as many chances to send more
            await asyncio.sleep(0)
        leap(1e4)
        await handlers.ended.wait()
    assert MAX_WAITING <= sent < MAX_WAITING + HIGH_WATER + 200  # what the kernel buffers comes on top


async def test_the_flag_of_a_call_works_from_threads(handlers, asking):
    polled = threading.Event()

    def poll(call: Call) -> None:
        while not call.cancelled:
            polled.set()
            call.cancelled.wait(0.01)

    async def work(_request: ScanRequest, call: Call) -> ScanDone:
        await asyncio.to_thread(poll, call)
        return DONE

    handlers.scan = work
    task = asyncio.create_task(asking.request(scan(), deadline_s=HANG_S))
    await asyncio.to_thread(polled.wait)
    task.cancel()
    await handlers.ended.wait()
    await asyncio.gather(task, return_exceptions=True)
