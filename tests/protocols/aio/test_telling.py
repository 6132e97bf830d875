"""What services and clients tell of themselves: lines and figures for everything that an operator would look for."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import zmq
import zmq.asyncio

from grainloop.cli.serve.processes import free_endpoints
from grainloop.protocols.aio import Call, Client, Service
from grainloop.protocols.aio.telling import Telling
from grainloop.protocols.errors import DeadlineExceeded, DeviceFailed, GrainloopError, RemoteError, Unavailable
from grainloop.protocols.messages import (
    CheckHealth,
    Describe,
    Health,
    InstrumentReply,
    InstrumentRequest,
    Park,
    Parked,
)
from grainloop.protocols.observability import NO_METRICS
from grainloop.protocols.observability.lines import Line
from grainloop.protocols.observability.metrics import FAILED, OPEN, REFUSED, Metric
from grainloop.protocols.rpc.server_actions import RequestKey, Serve
from tests.patience import HANG_S


class Told:
    """Keeps figures."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[Metric, str]] = Counter()
        self.gauges: dict[Metric, list[float]] = {}

    def add(self, metric: Metric, by: float = 1.0, label: str = "") -> None:
        self.counted[metric, label] += int(by)

    def set(self, metric: Metric, value: float) -> None:
        self.gauges.setdefault(metric, []).append(value)

    def observe(self, metric: Metric, seconds: float) -> None:
        raise AssertionError(f"{metric} {seconds}")


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The fields of the lines with this event."""
    said = [one.msg for one in caplog.records]
    return [
        {name: value for name, value in one.items() if name not in ("event", "exc_info")}
        for one in said
        if isinstance(one, Line) and one["event"] == event
    ]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def service(told: Told) -> Service:
    async def health(_request: CheckHealth, _call: Call) -> Health:
        return Health(service="instrument", version="0", ok=True)

    async def fail(_request: Describe, _call: Call) -> Any:
        raise DeviceFailed("The stage does not answer.")

    async def hang(_request: Park, call: Call) -> Parked:
        await asyncio.to_thread(call.cancelled.wait)
        raise GrainloopError("It was withdrawn.")

    handlers: dict[Any, Any] = {CheckHealth: health, Describe: fail, Park: hang}
    return Service("instrument", InstrumentRequest, handlers, metrics=told)


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "grainloop")


async def served(service: Service, endpoint: str) -> tuple[asyncio.Task[None], asyncio.Event]:
    """The service, running, and what stops it."""
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(service.run(endpoint, ready=ready.set, stop=stop))
    await ready.wait()
    return task, stop


async def test_requests_are_told_on_both_sides_by_the_same_id(
    service: Service, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    (endpoint,) = free_endpoints(1)
    task, stop = await served(service, endpoint)
    async with Client(endpoint, InstrumentReply, service="instrument") as client:
        await client.request(CheckHealth(), deadline_s=HANG_S)
        with pytest.raises(RemoteError):
            await client.request(Describe(), deadline_s=HANG_S)
        with pytest.raises((DeadlineExceeded, RemoteError)):
            await client.request(Park(), deadline_s=1.0)
    stop.set()
    await task
    (started,) = lines(caplog, "service started")
    assert (started["endpoint"], started["service"], started["keys"]) == (endpoint, "instrument", False)
    assert started["protocol"] > 0
    (connected,) = lines(caplog, "client connected")
    assert (connected["caller"], connected["asks"]) == ("this machine", "check_health")
    answered, failed = lines(caplog, "answered")[0], lines(caplog, "request failed")[0]
    assert (answered["to"], answered["kind"]) == ("instrument", "check_health")
    assert (failed["kind"], failed["code"], failed["why"]) == (
        "describe",
        "device_failed",
        "The stage does not answer.",
    )
    assert failed["request"] in {one["request"] for one in lines(caplog, "not answered")}
    (late,) = lines(caplog, "deadline hit") or lines(caplog, "request withdrawn")
    assert late["request"] == lines(caplog, "not answered")[-1]["request"]
    assert told.counted[FAILED, "device_failed"] == 1
    assert max(told.gauges[OPEN]) == 1
    assert told.gauges[OPEN][-1] == 0
    assert lines(caplog, "service stopped")


async def test_what_is_refused_is_counted_by_reason_and_told_seldom(
    service: Service, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    (endpoint,) = free_endpoints(1)
    task, stop = await served(service, endpoint)
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(endpoint)
    for _ in range(20):
        await socket.send_multipart([b"junk"])
        await socket.recv_multipart()
    socket.close(0)
    context.term()
    stop.set()
    await task
    assert told.counted[REFUSED, "bad_message"] == 20
    refused = lines(caplog, "refused a message")
    assert 1 <= len(refused) <= 10
    assert refused[0]["code"] == "bad_message"


async def test_a_connection_that_breaks_and_comes_back_is_told(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    (endpoint,) = free_endpoints(1)
    async with Client(endpoint, InstrumentReply, service="instrument") as client:
        for round_ in range(2):
            task, stop = await served(service, endpoint)
            while len(lines(caplog, "connected")) <= round_:
                with suppress(Unavailable):  # it may still learn of the death of the service before
                    await client.request(CheckHealth(), deadline_s=HANG_S)
            stop.set()
            await task
            while len(lines(caplog, "connection lost")) <= round_:
                with suppress(GrainloopError):
                    await client.request(CheckHealth(), deadline_s=0.2)
    assert [one["to"] for one in lines(caplog, "connected")] == ["instrument", "instrument"]
    assert "closed the connection" in lines(caplog, "connection lost")[0]["why"]


def test_strangers_are_not_remembered_without_end() -> None:
    telling = Telling("instrument", NO_METRICS)
    for number in range(5000):
        key = RequestKey(number.to_bytes(4), "1")
        telling.opened(Serve(key, CheckHealth(), None), 1)
    assert len(telling._met) == 1024
