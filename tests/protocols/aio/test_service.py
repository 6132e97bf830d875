"""Client and service over real sockets: requests, progress, replies and typed errors."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from grainloop.protocols import aio
from grainloop.protocols.aio import Call
from grainloop.protocols.errors import (
    DeviceFailed,
    ErrorCode,
    RemoteError,
    Unavailable,
)
from grainloop.protocols.messages import (
    CheckHealth,
    Describe,
    Health,
    LightRequest,
    Park,
    PointsMeasured,
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.values import PointBlock
from tests.patience import HANG_S
from tests.protocols.aio.services import DONE, block, client, running, scan


# --- request, progress, reply ----------------------------------------------------------------------------------------
async def test_ask_and_answer(asking):
    reply = await asking.request(CheckHealth(), deadline_s=HANG_S)
    assert reply == Health(service="instrument", version="1", ok=True)


async def test_progress_comes_in_order_before_the_reply(handlers, asking):
    async def stream(_request: ScanRequest, call: Call) -> ScanDone:
        for number in range(300):
            await call.progress(block(number))
        return DONE

    handlers.scan = stream
    got: list[PointsMeasured] = []
    assert await asking.request(scan(), deadline_s=HANG_S, on_progress=got.append) == DONE
    assert [int(message.points.point_id[0]) for message in got] == list(range(300))


async def test_progress_from_a_worker_thread(handlers, asking):
    def work(call: Call) -> None:
        for number in range(20):
            call.progress_from_thread(block(number))

    async def stream(_request: ScanRequest, call: Call) -> ScanDone:
        await asyncio.to_thread(work, call)
        return DONE

    handlers.scan = stream
    got: list[PointsMeasured] = []
    await asking.request(scan(), deadline_s=HANG_S, on_progress=got.append)
    assert got == [block(number) for number in range(20)]


async def test_several_requests_at_once_over_one_connection(handlers, asking):
    gates = [asyncio.Event() for _ in range(3)]

    async def in_reverse(request: ScanRequest, _call: Call) -> ScanDone:
        if request.batch < 2:
            await gates[request.batch + 1].wait()
        gates[request.batch].set()
        return DONE.model_copy(update={"batch": request.batch})

    handlers.scan = in_reverse
    replies = await asyncio.gather(*(asking.request(scan(n), deadline_s=HANG_S) for n in range(3)))
    assert [reply.batch for reply in replies] == [0, 1, 2]


async def test_two_clients_do_not_mix(handlers, endpoint):
    async def echo(request: ScanRequest, _call: Call) -> ScanDone:
        return DONE.model_copy(update={"batch": request.batch})

    handlers.scan = echo
    async with client(endpoint) as one, client(endpoint) as two:
        replies = await asyncio.gather(*(c.request(scan(n), deadline_s=HANG_S) for n in range(8) for c in (one, two)))
    assert [reply.batch for reply in replies] == [n for n in range(8) for _ in "ab"]


async def test_a_large_array_travels(handlers, asking):
    points = PointBlock.concatenate([PointBlock.one(n, (0, 0), time_s=n, dwell_s=1) for n in range(10)])
    large = points.select(np.zeros(400_000, np.int64))

    async def stream(_request: ScanRequest, call: Call) -> ScanDone:
        await call.progress(PointsMeasured(batch=0, points=large))
        return DONE

    handlers.scan = stream
    got: list[PointsMeasured] = []
    await asking.request(scan(), deadline_s=HANG_S, on_progress=got.append)
    assert got[0].points == large


async def test_over_ipc(handlers, tmp_path):
    path = f"ipc://{tmp_path}/s"
    async with running(handlers.service(), path), client(path) as asking:
        assert (await asking.request(CheckHealth(), deadline_s=HANG_S)).ok
        with pytest.raises(Unavailable, match="already in use"):
            await handlers.service().run(path)


# --- errors ----------------------------------------------------------------------------------------------------------
async def test_a_typed_error_comes_through(handlers, asking):
    async def fail(_request: ScanRequest, _call: Call) -> ScanDone:
        raise DeviceFailed("The stage does not move.", field="stage", value=3)

    handlers.scan = fail
    with pytest.raises(RemoteError, match="The stage does not move") as caught:
        await asking.request(scan(), deadline_s=HANG_S)
    assert (caught.value.code, caught.value.field, caught.value.value) == (ErrorCode.DEVICE_FAILED, "stage", "3")


async def test_a_bug_is_told_by_trace_id_alone_and_the_service_lives(asking, caplog):
    with pytest.raises(RemoteError) as caught:
        await asking.request(Park(), deadline_s=HANG_S)
    assert caught.value.code is ErrorCode.INTERNAL
    assert "a bug" not in str(caught.value)
    assert caught.value.trace_id in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert (await asking.request(CheckHealth(), deadline_s=HANG_S)).ok


async def test_a_handler_that_returns_nothing_is_a_bug(handlers, asking, caplog):
    async def nothing(_request: ScanRequest, _call: Call) -> Any:
        return None

    handlers.scan = nothing
    with pytest.raises(RemoteError) as caught:
        await asking.request(scan(), deadline_s=HANG_S)
    assert caught.value.code is ErrorCode.INTERNAL
    assert "returned NoneType" in caplog.text


@pytest.mark.parametrize("request_", [Describe(), LightRequest()])
async def test_a_kind_without_a_handler_is_unknown(asking, request_):
    with pytest.raises(RemoteError, match=f"instrument does not serve {request_.kind}") as caught:
        await asking.request(request_, deadline_s=HANG_S)
    assert caught.value.code is ErrorCode.UNKNOWN_KIND


async def test_too_many_open_requests_are_refused(handlers):
    async with running(handlers.service(max_open=1)) as address, client(address) as asking:
        first = asyncio.create_task(asking.request(scan(), deadline_s=HANG_S))
        await handlers.started.wait()
        with pytest.raises(RemoteError) as caught:
            await asking.request(CheckHealth(), deadline_s=HANG_S)
        assert caught.value.code is ErrorCode.BUSY
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


def test_the_loop_can_watch_sockets():
    async def loop_type() -> type:
        return type(asyncio.get_running_loop())

    assert hasattr(aio.run(loop_type()), "add_reader")
