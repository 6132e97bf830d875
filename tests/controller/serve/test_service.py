"""The control service over real sockets: one run at a time, commands, events, health proven by work."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from grainloop.controller.serve.service import ControlService
from grainloop.controller.session.reader import load_session
from grainloop.protocols.aio import Call, Client, Service
from grainloop.protocols.errors import ErrorCode, RemoteError
from grainloop.protocols.messages import (
    CheckHealth,
    CloseSection,
    Command,
    ControlReply,
    Describe,
    DescribeModel,
    GetStatus,
    Health,
    InstrumentRequest,
    LightRequest,
    ModelRequest,
    OpenSection,
    Park,
    ReconstructRequest,
    RunCommand,
    RunEvent,
    RunFinished,
    RunRequest,
    ScanRequest,
)
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason, RunState
from tests.controller.fakes import FakeInstrument, FakeModel

ANYWHERE = "tcp://127.0.0.1:0"
PLAN = RunPlan(budget=Budget(fraction=0.2), batches=3)


@asynccontextmanager
async def serving(service: Any) -> AsyncGenerator[str]:
    """The endpoint of a service that runs in a task of this loop."""
    ready, stop = asyncio.Event(), asyncio.Event()
    inner: Service = getattr(service, "service", service)
    running = asyncio.create_task(service.run(ANYWHERE, ready=ready.set, stop=stop))
    await asyncio.wait([running, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        assert inner.endpoint is not None
        yield inner.endpoint
    finally:
        stop.set()
        await running


def hosted(name: str, union: Any, kinds: tuple[Any, ...], fake: Any) -> Service:
    async def handle(request: Any, call: Call) -> Any:
        sending: list[asyncio.Task[None]] = []

        def progress(message: Any) -> None:
            sending.append(asyncio.create_task(call.progress(message)))

        try:
            return await fake.request(request, deadline_s=60.0, on_progress=progress)
        finally:
            await asyncio.gather(*sending)

    return Service(name, union, dict.fromkeys(kinds, handle))


class Lab:
    def __init__(self) -> None:
        self.instrument, self.model = FakeInstrument(), FakeModel()
        self.control: ControlService

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Client]:
        kinds = (CheckHealth, Describe, LightRequest, ScanRequest, Park)
        instrument = hosted("instrument", InstrumentRequest, kinds, self.instrument)
        kinds = (CheckHealth, DescribeModel, OpenSection, ReconstructRequest, CloseSection)
        model = hosted("model", ModelRequest, kinds, self.model)
        async with serving(instrument) as at_instrument, serving(model) as at_model:
            self.control = ControlService(at_instrument, at_model)
            async with serving(self.control) as at, Client(at, ControlReply, service="controller") as client:
                yield client


async def ask(client: Client, message: Any, heard: Any = None) -> Any:
    return await client.request(message, deadline_s=60.0, on_progress=heard)


async def test_a_run_over_sockets_streams_every_event(tmp_path: Path) -> None:
    events: list[RunEvent] = []
    async with Lab().open() as client:
        finished = await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path)), events.append)
        status = await ask(client, GetStatus())
    assert isinstance(finished, RunFinished)
    assert finished.reason is FinishReason.COMPLETED
    assert finished.points_measured == 96
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    assert events[-1].event == "finished"
    assert status.state is RunState.FINISHED
    assert status.last == events[-1]
    assert len(load_session(tmp_path / "session.h5").points) == 96


async def test_health_is_proven_by_work() -> None:
    async with Lab().open() as client:
        health = await ask(client, CheckHealth())
    assert isinstance(health, Health)
    assert health.ok
    assert "points planned, stored and read back" in health.detail


async def test_idle_status_and_commands_without_a_run() -> None:
    async with Lab().open() as client:
        assert (await ask(client, GetStatus())).state is RunState.IDLE
        with pytest.raises(RemoteError, match="There is no run to pause") as caught:
            await ask(client, Command(command=RunCommand.PAUSE))
    assert caught.value.code is ErrorCode.ILLEGAL_STATE


async def test_one_run_at_a_time_and_the_next_one_after_it(tmp_path: Path) -> None:
    lab, begun, go = Lab(), asyncio.Event(), asyncio.Event()

    async def wait(_request: Any) -> None:
        begun.set()
        await go.wait()

    lab.instrument._hold = wait
    async with lab.open() as client:
        first = asyncio.create_task(ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path / "a"))))
        await begun.wait()
        with pytest.raises(RemoteError, match="busy with a run"):
            await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path / "b")))
        go.set()
        assert (await first).reason is FinishReason.COMPLETED
        second = await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path / "b")))
    assert second.reason is FinishReason.COMPLETED


async def test_commands_reach_the_run(tmp_path: Path) -> None:
    lab, begun, go = Lab(), asyncio.Event(), asyncio.Event()

    async def wait(_request: Any) -> None:
        begun.set()
        await go.wait()

    lab.instrument._hold = wait
    async with lab.open() as client:
        running = asyncio.create_task(ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path))))
        await begun.wait()
        assert (await ask(client, Command(command=RunCommand.PAUSE))).state is RunState.PAUSED
        with pytest.raises(RemoteError, match="paused cannot be paused"):
            await ask(client, Command(command=RunCommand.PAUSE))
        assert (await ask(client, GetStatus())).state is RunState.PAUSED
        assert (await ask(client, Command(command=RunCommand.RESUME))).state is RunState.RUNNING
        assert (await ask(client, Command(command=RunCommand.STOP))).state is RunState.STOPPING
        go.set()
        assert (await running).reason is FinishReason.STOPPED


async def test_a_run_outlives_whoever_asked_for_it(tmp_path: Path) -> None:
    lab, begun, go = Lab(), asyncio.Event(), asyncio.Event()

    async def wait(_request: Any) -> None:
        begun.set()
        await go.wait()

    lab.instrument._hold = wait
    async with lab.open() as client:
        at = client.endpoint
        async with Client(at, ControlReply, service="controller") as asker:
            asking = asyncio.create_task(ask(asker, RunRequest(plan=PLAN, session_dir=str(tmp_path))))
            await begun.wait()
            asking.cancel()
        go.set()
        working = lab.control._working
        assert working is not None
        finished = await working
    assert finished.reason is FinishReason.COMPLETED


async def test_stopping_the_service_aborts_the_run_and_tells_the_asker(tmp_path: Path) -> None:
    lab, begun, over = Lab(), asyncio.Event(), asyncio.Event()

    async def hang(_request: Any) -> None:
        begun.set()
        await over.wait()

    lab.instrument._hold = hang
    stop, ready = asyncio.Event(), asyncio.Event()
    kinds = (CheckHealth, Describe, LightRequest, ScanRequest, Park)
    async with serving(hosted("instrument", InstrumentRequest, kinds, lab.instrument)) as at_instrument:
        control = ControlService(at_instrument, at_instrument)
        serving_task = asyncio.create_task(control.run(ANYWHERE, ready=ready.set, stop=stop))
        await ready.wait()
        assert control.service.endpoint is not None
        async with Client(control.service.endpoint, ControlReply, service="controller") as client:
            running = asyncio.create_task(ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path))))
            await begun.wait()
            stop.set()
            finished = await running
            await serving_task
        over.set()
    assert finished.reason is FinishReason.ABORTED
    assert load_session(tmp_path / "session.h5").finish_reason == "aborted"
    assert lab.instrument.parked


async def test_refusals_come_back_as_errors(tmp_path: Path) -> None:
    async with Lab().open() as client:
        with pytest.raises(RemoteError, match="has no method 'magic'") as caught:
            await ask(client, RunRequest(plan=PLAN.model_copy(update={"method": "magic"}), session_dir=str(tmp_path)))
    assert caught.value.code is ErrorCode.OUT_OF_LIMITS


async def test_a_disk_that_takes_nothing_is_told_as_ill_health(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    async with Lab().open() as client:
        health = await ask(client, CheckHealth())
    assert isinstance(health, Health)
    assert not health.ok
    assert "A small session cannot be stored" in health.detail
    assert "not there" in health.detail


async def test_the_status_tells_where_the_run_is_stored(tmp_path: Path) -> None:
    async with Lab().open() as client:
        assert (await ask(client, GetStatus())).session is None
        await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path / "monday")))
        assert (await ask(client, GetStatus())).session == str(tmp_path / "monday")


@pytest.mark.parametrize("named", ["a\0b", "\x1b[31mred"])
async def test_a_name_that_a_terminal_obeys_is_refused_over_the_wire(tmp_path: Path, named: str) -> None:
    async with Lab().open() as client:
        with pytest.raises(RemoteError, match="A session cannot be called '") as caught:
            await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path / named)))
        assert caught.value.code is ErrorCode.BAD_INPUT
        assert (await ask(client, GetStatus())).state is RunState.IDLE
