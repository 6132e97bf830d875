"""Client and service over real sockets: streaming, cancel, deadlines, crashes, junk."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import zmq

from grainloop.cli.serve.processes import free_endpoints
from grainloop.protocols import aio
from grainloop.protocols.aio import Call, Client, Service
from grainloop.protocols.aio.port import HIGH_WATER, MAX_WAITING
from grainloop.protocols.endpoints import INSTRUMENT_ENDPOINT, require_local
from grainloop.protocols.errors import (
    BadInput,
    Cancelled,
    DeadlineExceeded,
    DeviceFailed,
    ErrorCode,
    NotPermitted,
    RemoteError,
    Unavailable,
)
from grainloop.protocols.messages import (
    CheckHealth,
    Describe,
    Health,
    InstrumentReply,
    InstrumentRequest,
    LightRequest,
    Park,
    Parked,
    PointsMeasured,
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.rpc import Heartbeat
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, from_frames, to_frames
from grainloop.protocols.security import Access
from grainloop.protocols.values import PointBlock

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
        await asyncio.to_thread(call.cancelled.wait, 30)
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


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def endpoint(handlers: Handlers) -> AsyncIterator[str]:
    async with running(handlers.service()) as address:
        yield address


@pytest.fixture
async def asking(endpoint: str) -> AsyncIterator[Client]:
    async with client(endpoint) as it:
        yield it


# --- request, progress, reply ----------------------------------------------------------------------------------------
async def test_ask_and_answer(asking):
    reply = await asking.request(CheckHealth(), deadline_s=10)
    assert reply == Health(service="instrument", version="1", ok=True)


async def test_progress_comes_in_order_before_the_reply(handlers, asking):
    async def stream(_request: ScanRequest, call: Call) -> ScanDone:
        for number in range(300):
            await call.progress(block(number))
        return DONE

    handlers.scan = stream
    got: list[PointsMeasured] = []
    assert await asking.request(scan(), deadline_s=20, on_progress=got.append) == DONE
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
    await asking.request(scan(), deadline_s=20, on_progress=got.append)
    assert got == [block(number) for number in range(20)]


async def test_several_requests_at_once_over_one_connection(handlers, asking):
    gates = [asyncio.Event() for _ in range(3)]

    async def in_reverse(request: ScanRequest, _call: Call) -> ScanDone:
        if request.batch < 2:
            await gates[request.batch + 1].wait()
        gates[request.batch].set()
        return DONE.model_copy(update={"batch": request.batch})

    handlers.scan = in_reverse
    replies = await asyncio.gather(*(asking.request(scan(n), deadline_s=10) for n in range(3)))
    assert [reply.batch for reply in replies] == [0, 1, 2]


async def test_two_clients_do_not_mix(handlers, endpoint):
    async def echo(request: ScanRequest, _call: Call) -> ScanDone:
        return DONE.model_copy(update={"batch": request.batch})

    handlers.scan = echo
    async with client(endpoint) as one, client(endpoint) as two:
        replies = await asyncio.gather(*(c.request(scan(n), deadline_s=10) for n in range(8) for c in (one, two)))
    assert [reply.batch for reply in replies] == [n for n in range(8) for _ in "ab"]


async def test_a_large_array_travels(handlers, asking):
    points = PointBlock.concatenate([PointBlock.one(n, (0, 0), time_s=n, dwell_s=1) for n in range(10)])
    large = points.select(np.zeros(400_000, np.int64))

    async def stream(_request: ScanRequest, call: Call) -> ScanDone:
        await call.progress(PointsMeasured(batch=0, points=large))
        return DONE

    handlers.scan = stream
    got: list[PointsMeasured] = []
    await asking.request(scan(), deadline_s=30, on_progress=got.append)
    assert got[0].points == large


async def test_over_ipc(handlers, tmp_path):
    path = f"ipc://{tmp_path}/s"
    async with running(handlers.service(), path), client(path) as asking:
        assert (await asking.request(CheckHealth(), deadline_s=10)).ok
        with pytest.raises(Unavailable, match="already in use"):
            await handlers.service().run(path)


# --- errors ----------------------------------------------------------------------------------------------------------
async def test_a_typed_error_comes_through(handlers, asking):
    async def fail(_request: ScanRequest, _call: Call) -> ScanDone:
        raise DeviceFailed("The stage does not move.", field="stage", value=3)

    handlers.scan = fail
    with pytest.raises(RemoteError, match="The stage does not move") as caught:
        await asking.request(scan(), deadline_s=10)
    assert (caught.value.code, caught.value.field, caught.value.value) == (ErrorCode.DEVICE_FAILED, "stage", "3")


async def test_a_bug_is_told_by_trace_id_alone_and_the_service_lives(asking, caplog):
    with pytest.raises(RemoteError) as caught:
        await asking.request(Park(), deadline_s=10)
    assert caught.value.code is ErrorCode.INTERNAL
    assert "a bug" not in str(caught.value)
    assert caught.value.trace_id in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert (await asking.request(CheckHealth(), deadline_s=10)).ok


async def test_a_handler_that_returns_nothing_is_a_bug(handlers, asking, caplog):
    async def nothing(_request: ScanRequest, _call: Call) -> Any:
        return None

    handlers.scan = nothing
    with pytest.raises(RemoteError) as caught:
        await asking.request(scan(), deadline_s=10)
    assert caught.value.code is ErrorCode.INTERNAL
    assert "returned NoneType" in caplog.text


@pytest.mark.parametrize("request_", [Describe(), LightRequest()])
async def test_a_kind_without_a_handler_is_unknown(asking, request_):
    with pytest.raises(RemoteError, match=f"instrument does not serve {request_.kind}") as caught:
        await asking.request(request_, deadline_s=10)
    assert caught.value.code is ErrorCode.UNKNOWN_KIND


async def test_too_many_open_requests_are_refused(handlers):
    async with running(handlers.service(max_open=1)) as address, client(address) as asking:
        first = asyncio.create_task(asking.request(scan(), deadline_s=30))
        await handlers.started.wait()
        with pytest.raises(RemoteError) as caught:
            await asking.request(CheckHealth(), deadline_s=10)
        assert caught.value.code is ErrorCode.BUSY
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


# --- cancel and deadlines --------------------------------------------------------------------------------------------
async def test_cancelling_the_task_cancels_the_work(handlers, asking):
    task = asyncio.create_task(asking.request(scan(), deadline_s=30))
    await handlers.started.wait()
    task.cancel()
    await handlers.ended.wait()
    assert handlers.call is not None
    assert handlers.call.cancelled
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await asking.request(CheckHealth(), deadline_s=10)).ok


async def test_what_is_measured_until_the_end_still_arrives(handlers, asking):
    async def one_more(_request: ScanRequest, call: Call) -> ScanDone:
        await call.progress(block(0))
        await asyncio.to_thread(call.cancelled.wait, 30)
        await call.progress(block(1))
        return DONE

    handlers.scan = one_more
    got: list[PointsMeasured] = []
    first = asyncio.Event()

    def listen(message: PointsMeasured) -> None:
        got.append(message)
        first.set()

    task = asyncio.create_task(asking.request(scan(), deadline_s=30, on_progress=listen))
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
    task = asyncio.create_task(asking.request(scan(), deadline_s=30))
    await handlers.started.wait()
    task.cancel()
    await asking.request(CheckHealth(), deadline_s=10)
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
        await asking.request(scan(), deadline_s=30, on_progress=listener)
    await handlers.ended.wait()


async def test_a_deadline_ends_both_sides(handlers, asking):
    with pytest.raises(DeadlineExceeded, match=r"instrument.* 0\.2 s|before the deadline"):
        await asking.request(scan(), deadline_s=0.2)
    await handlers.ended.wait()
    assert handlers.call is not None
    assert handlers.call.cancelled
    assert handlers.call.remaining_s < 0.1


async def test_the_handler_knows_its_deadline(handlers, asking):
    async def tell(_request: ScanRequest, call: Call) -> ScanDone:
        return DONE.model_copy(update={"finished_s": call.remaining_s})

    handlers.scan = tell
    assert 90 < (await asking.request(scan(), deadline_s=100)).finished_s <= 100


async def test_closing_the_client_withdraws_what_it_asked(handlers, endpoint):
    async with client(endpoint) as asking:
        task = asyncio.create_task(asking.request(scan(), deadline_s=30))
        await handlers.started.wait()
    with pytest.raises(Unavailable, match="closed"):
        await task
    await handlers.ended.wait()
    with pytest.raises(Unavailable, match="not open"):
        await asking.request(CheckHealth(), deadline_s=1)


async def test_a_slow_listener_holds_the_sender_back(handlers, endpoint):
    """A peer that reads nothing costs the service a bounded number of messages."""
    sent = 0

    async def pour(_request: ScanRequest, call: Call) -> ScanDone:
        nonlocal sent
        points = PointBlock.one(0, (0, 0), time_s=1, dwell_s=1).select(np.zeros(2_000, np.int64))
        while not call.cancelled:
            await call.progress(PointsMeasured(batch=0, points=points))
            sent += 1
        return DONE

    handlers.scan = pour
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.setsockopt(zmq.RCVHWM, 1)
        peer.connect(endpoint)
        peer.send_multipart(to_frames(Envelope(EnvelopeKind.REQUEST, "1", scan(), 2.0)))
        await handlers.ended.wait()  # by the deadline
    assert MAX_WAITING <= sent < MAX_WAITING + HIGH_WATER + 200  # what the kernel buffers comes on top


# --- who goes away ---------------------------------------------------------------------------------------------------
async def test_nobody_there(free_endpoint):
    async with client(free_endpoint, heartbeat=QUICK) as asking:
        with pytest.raises(Unavailable, match=f"instrument service at {free_endpoint} has not answered for 0.5 s"):
            await asking.request(CheckHealth(), deadline_s=30)


async def test_a_service_that_starts_late_is_found(handlers, free_endpoint):
    async with client(free_endpoint) as asking:
        early = asyncio.create_task(asking.request(CheckHealth(), deadline_s=30))
        async with running(handlers.service(), free_endpoint):
            assert (await early).ok


async def stopped_at_work(handlers: Handlers, endpoint: str, asking: Client) -> Any:
    """What the caller hears when the service stops during a scan."""
    async with running(handlers.service(), endpoint):
        task = asyncio.create_task(asking.request(scan(), deadline_s=30))
        await handlers.started.wait()
    return (await asyncio.gather(task, return_exceptions=True))[0]


async def test_a_stopping_service_lets_its_handlers_have_their_last_word(handlers, free_endpoint):
    async with client(free_endpoint) as asking:
        assert await stopped_at_work(handlers, free_endpoint, asking) == DONE


async def test_a_stopping_service_says_so(handlers, free_endpoint):
    async def give_up(_request: ScanRequest, call: Call) -> ScanDone:
        await asyncio.to_thread(call.cancelled.wait, 30)
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
        return await asking.request(CheckHealth(), deadline_s=30)
    except Unavailable as error:
        if "closed the connection" not in str(error):
            raise
    return await asking.request(CheckHealth(), deadline_s=30)


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


@pytest.fixture
def server_process():
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def test_a_service_that_dies_at_work_is_unavailable_at_once(server_process):
    address = server_process.stdout.readline().strip()
    async with client(address) as asking:
        task = asyncio.create_task(asking.request(scan(), deadline_s=60))
        assert await asyncio.to_thread(server_process.stdout.readline) == "scanning\n"
        server_process.kill()
        with pytest.raises(Unavailable, match=f"instrument service at {address} closed the connection"):
            await asyncio.wait_for(task, 5)  # well before any heartbeat or deadline


async def test_a_request_is_not_told_of_a_connection_that_broke_before_it(handlers, server_process):
    address = server_process.stdout.readline().strip()
    async with client(address) as asking:
        assert (await asking.request(CheckHealth(), deadline_s=30)).ok
        server_process.kill()
        server_process.wait()
        select.select([asking._monitor._fd], [], [])  # it is known that the connection broke, but not yet in the loop
        task = asyncio.create_task(asking.request(CheckHealth(), deadline_s=30))
        async with running(handlers.service(), address):
            assert (await task).ok


@pytest.mark.skipif(sys.platform == "win32", reason="no way to freeze a process")
async def test_a_frozen_service_is_unavailable_after_a_while(server_process):
    address = server_process.stdout.readline().strip()
    async with client(address, heartbeat=QUICK) as asking:
        assert (await asking.request(CheckHealth(), deadline_s=20)).ok
        os.kill(server_process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable, match="has not answered"):
                await asking.request(CheckHealth(), deadline_s=60)
        finally:
            os.kill(server_process.pid, signal.SIGCONT)
        assert (await asking.request(CheckHealth(), deadline_s=20)).ok


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


# --- junk and ports --------------------------------------------------------------------------------------------------
JUNK = {
    "random": bytes(np.random.default_rng(5).integers(0, 256, 4096, dtype=np.uint8)),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "zeros": bytes(1000),
    "half a greeting": b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f",
    "an old peer": b"\x01\x00\x05\x00junk",
    "a pickle": b"cposix\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
async def test_junk_on_the_port_leaves_the_service_serving(asking, endpoint, junk):
    host, _, port = endpoint.removeprefix("tcp://").partition(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(junk)
            assert (await asking.request(CheckHealth(), deadline_s=10)).ok
    assert (await asking.request(CheckHealth(), deadline_s=10)).ok


async def test_junk_frames_are_answered_by_typed_errors(asking, endpoint):
    rng = np.random.default_rng(6)
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.connect(endpoint)
        for count in range(1, 30):
            peer.send_multipart([rng.bytes(int(rng.integers(0, 50))) for _ in range(count % 5 + 1)])
            assert (await asking.request(CheckHealth(), deadline_s=10)).ok
            assert await asyncio.to_thread(peer.poll, 10_000)
            envelope = from_frames(peer.recv_multipart())
            assert envelope.kind is EnvelopeKind.ERROR
            assert envelope.body["code"] in {"bad_message", "too_large"}


@pytest.fixture
def free_endpoint() -> str:
    return free_endpoints(1)[0]


async def test_a_port_in_use_is_told(handlers, endpoint):
    port = endpoint.rpartition(":")[2]
    with pytest.raises(
        Unavailable, match=f"instrument service cannot listen on {endpoint}: port {port} is already in use"
    ):
        await handlers.service().run(endpoint)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://*:5701",
        "tcp://0.0.0.0:5701",
        "tcp://192.168.1.5:5701",
        "tcp://eth0:5701",
        "tcp://localhost:5701",
        "tcp://[::]:5701",
        "tcp://[::1]:5701",
        "tcp://127.0.0.1@192.168.1.5:5701",
        "inproc://x",
        "udp://127.0.0.1:5701",
        "pgm://127.0.0.1:5701",
    ],
)
async def test_nothing_but_loopback_and_ipc_is_bound(handlers, address):
    with pytest.raises(NotPermitted, match="refuses to listen"):
        await handlers.service().run(address)


@pytest.mark.parametrize(
    "address", ["5701", "tcp://127.0.0.1:99999", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:-1"]
)
def test_what_is_no_endpoint_is_bad_input(address):
    with pytest.raises(BadInput, match="is not an endpoint"):
        require_local(address, "instrument")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:65535", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0"])
def test_local_endpoints_are_allowed(address):
    require_local(address, "instrument")
    require_local(INSTRUMENT_ENDPOINT, "instrument")


async def test_an_endpoint_that_cannot_be_is_unavailable(handlers):
    with pytest.raises(BadInput, match="is not an endpoint"):
        await handlers.service().run("tcp://127.0.0.1:notaport")
    with pytest.raises(Unavailable, match="cannot be reached"):
        async with client("nonsense"):
            pass


def test_the_loop_can_watch_sockets():
    async def loop_type() -> type:
        return type(asyncio.get_running_loop())

    assert hasattr(aio.run(loop_type()), "add_reader")


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
    task = asyncio.create_task(asking.request(scan(), deadline_s=30))
    await asyncio.to_thread(polled.wait)
    task.cancel()
    await handlers.ended.wait()
    await asyncio.gather(task, return_exceptions=True)
