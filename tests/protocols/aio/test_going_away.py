"""Services and callers that come late, stop, die, freeze or fall silent."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from typing import Any

import pytest
import zmq

from grainloop.protocols.aio import Call, Client
from grainloop.protocols.errors import (
    Cancelled,
    ErrorCode,
    Unavailable,
)
from grainloop.protocols.messages import (
    CheckHealth,
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, to_frames
from tests.patience import HANG_S
from tests.protocols.aio.services import DONE, QUICK, Handlers, block, client, running, scan


async def test_nobody_there(free_endpoint):
    async with client(free_endpoint, heartbeat=QUICK) as asking:
        with pytest.raises(Unavailable, match=f"instrument service at {free_endpoint} has not answered for 0.5 s"):
            await asking.request(CheckHealth(), deadline_s=HANG_S)


async def test_a_service_that_starts_late_is_found(handlers, free_endpoint):
    async with client(free_endpoint) as asking:
        early = asyncio.create_task(asking.request(CheckHealth(), deadline_s=HANG_S))
        async with running(handlers.service(), free_endpoint):
            assert (await early).ok


async def stopped_at_work(handlers: Handlers, endpoint: str, asking: Client) -> Any:
    """What the caller hears when the service stops during a scan."""
    async with running(handlers.service(), endpoint):
        task = asyncio.create_task(asking.request(scan(), deadline_s=HANG_S))
        await handlers.started.wait()
    return (await asyncio.gather(task, return_exceptions=True))[0]


async def test_a_stopping_service_lets_its_handlers_have_their_last_word(handlers, free_endpoint):
    async with client(free_endpoint) as asking:
        assert await stopped_at_work(handlers, free_endpoint, asking) == DONE


async def test_a_stopping_service_says_so(handlers, free_endpoint):
    async def give_up(_request: ScanRequest, call: Call) -> ScanDone:
        await asyncio.to_thread(call.cancelled.wait, HANG_S)
        raise Cancelled("Withdrawn.")

    handlers.scan = give_up
    async with client(free_endpoint) as asking:
        error = await stopped_at_work(handlers, free_endpoint, asking)
        assert (error.code, str(error)) == (ErrorCode.UNAVAILABLE, "The instrument service is stopping.")


async def test_a_handler_that_does_not_stop_is_ended(handlers, free_endpoint, monkeypatch):
    async def deaf(_request: ScanRequest, _call: Call) -> ScanDone:
        await asyncio.Event().wait()
        return DONE

    monkeypatch.setattr("grainloop.protocols.aio.service.STOP_GRACE_S", 0.1)
    handlers.scan = deaf
    async with client(free_endpoint) as asking:
        error = await stopped_at_work(handlers, free_endpoint, asking)
        assert (error.code, str(error)) == (ErrorCode.UNAVAILABLE, "The instrument service is stopping.")


async def test_a_restarted_service_is_found_again(handlers, free_endpoint):
    """A request may meet the end of the old connection; who knows that it is harmless asks again, as here."""
    async with client(free_endpoint) as asking:
        for _ in range(3):
            async with running(handlers.service(), free_endpoint):
                assert (await asked_twice_at_most(asking)).ok


async def asked_twice_at_most(asking: Client) -> Any:
    try:
        return await asking.request(CheckHealth(), deadline_s=HANG_S)
    except Unavailable as error:
        if "closed the connection" not in str(error):
            raise
    return await asking.request(CheckHealth(), deadline_s=HANG_S)


async def test_a_service_that_dies_at_work_is_unavailable_at_once(server_process):
    address = server_process.stdout.readline().strip()
    async with client(address) as asking:
        task = asyncio.create_task(asking.request(scan(), deadline_s=HANG_S))
        assert await asyncio.to_thread(server_process.stdout.readline) == "scanning\n"
        server_process.kill()
        with pytest.raises(Unavailable, match=f"instrument service at {address} closed the connection"):
            await task  # no heartbeat and no deadline says so


async def test_a_request_is_not_told_of_a_connection_that_broke_before_it(handlers, server_process):
    address = server_process.stdout.readline().strip()
    async with client(address) as asking:
        assert (await asking.request(CheckHealth(), deadline_s=HANG_S)).ok
        server_process.kill()
        server_process.wait()
        select.select([asking._monitor._fd], [], [])  # it is known that the connection broke, but not yet in the loop
        task = asyncio.create_task(asking.request(CheckHealth(), deadline_s=HANG_S))
        async with running(handlers.service(), address):
            assert (await task).ok


@pytest.mark.skipif(sys.platform == "win32", reason="no way to freeze a process")
async def test_a_frozen_service_is_unavailable_after_a_while(server_process):
    address = server_process.stdout.readline().strip()
    async with client(address) as patient, client(address, heartbeat=QUICK) as asking:
        assert (await patient.request(CheckHealth(), deadline_s=HANG_S)).ok
        os.kill(server_process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable, match="has not answered"):
                await asking.request(CheckHealth(), deadline_s=HANG_S)
        finally:
            os.kill(server_process.pid, signal.SIGCONT)
        assert (await patient.request(CheckHealth(), deadline_s=HANG_S)).ok


async def test_a_caller_that_vanishes_stops_the_work(handlers, endpoint):
    async def pour(_request: ScanRequest, call: Call) -> ScanDone:
        while not call.cancelled:
            await call.progress(block(0))
            await asyncio.sleep(0)
        return DONE

    handlers.scan = pour
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.connect(endpoint)
        peer.send_multipart(to_frames(Envelope(EnvelopeKind.REQUEST, "1", scan(), 60.0)))
        await handlers.started.wait()
    await handlers.ended.wait()


async def test_a_caller_gone_silent_stops_the_work(handlers):
    async with running(handlers.service(heartbeat=QUICK)) as address:
        with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
            peer.linger = 0
            peer.connect(address)
            peer.send_multipart(to_frames(Envelope(EnvelopeKind.REQUEST, "1", scan(), None)))
            await handlers.ended.wait()
            assert handlers.call is not None
            assert handlers.call.cancelled
