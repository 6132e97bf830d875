"""Near the limit of descriptors things are refused in a sentence; nothing ends the process."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from grainloop.cli.serve.processes import free_endpoints
from grainloop.protocols.aio import Client, Service, held, run
from grainloop.protocols.aio import context as context_module
from grainloop.protocols.errors import GrainloopError, Unavailable
from grainloop.protocols.messages import (
    CheckHealth,
    ControlReply,
    Health,
    InstrumentReply,
    InstrumentRequest,
    RunRequest,
)
from grainloop.protocols.plan import Budget, RunPlan
from tests.protocols.aio.services import running

resource = pytest.importorskip("resource")
LIMIT_S = 120.0


async def test_clients_share_one_context_and_the_last_one_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[zmq.Context[Any]]()
    plain = zmq.Context.__init__

    def counted(self: zmq.Context[Any], *args: Any, **options: Any) -> None:
        plain(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(zmq.Context, "__init__", counted)
    at = free_endpoints(1)[0]
    with held("a test"):
        for _ in range(5):
            async with (
                Client(at, InstrumentReply, service="a"),
                Client(at, InstrumentReply, service="b"),
            ):
                pass
        assert [context.closed for context in made] == [False]
    assert made[0].closed
    async with Client(at, InstrumentReply, service="a"):
        assert len(made) == 2
    assert made[1].closed


async def test_one_client_less_leaves_the_others_talking() -> None:
    async def health(_request: CheckHealth, _call: object) -> Health:
        return Health(service="x", version="1", ok=True, detail="")

    service = Service("x", InstrumentRequest, {CheckHealth: health})
    async with running(service) as endpoint, Client(endpoint, InstrumentReply, service="x") as one:
        async with Client(endpoint, InstrumentReply, service="x") as other:
            assert (await other.request(CheckHealth(), deadline_s=30)).ok
        assert (await one.request(CheckHealth(), deadline_s=30)).ok


@pytest.mark.parametrize("left", range(12))
async def test_with_few_left_a_client_is_refused_or_works(left: int) -> None:
    with held("a test"), starved(left):
        client = Client("tcp://127.0.0.1:1", InstrumentReply, service="x")
        told = ""
        try:
            async with client:
                pass
        except Unavailable as error:
            told = error.message
        assert not told or "too few file descriptors are left" in told


async def test_with_few_left_a_service_does_not_start() -> None:
    with (
        starved(3),
        pytest.raises(Unavailable, match=r"does not start: too few file descriptors are left \(\d+ of \d+"),
    ):
        await Service("x", InstrumentRequest, {}).run("tcp://127.0.0.1:0")


async def test_with_few_left_nobody_makes_a_context() -> None:
    with starved(3), pytest.raises(Unavailable, match="too few file descriptors"):
        await Client("tcp://127.0.0.1:1", InstrumentReply, service="x").__aenter__()


def test_where_nothing_is_counted_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_module, "_FOLDERS", ())
    context_module.require_descriptors("x", 10**9)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        ImportError("libhdf5.so: cannot open shared object file: Too many open files"),
    ],
    ids=["by number", "by text"],
)
def test_an_error_that_came_of_one_is_known(error: Exception) -> None:
    later = RuntimeError("later")
    later.__cause__ = error
    told = context_module.out_of_descriptors(later, "x")
    assert told is not None
    assert "too few file descriptors" in told.message
    assert context_module.out_of_descriptors(OSError(errno.ENOSPC, "No space left on device"), "x") is None


@contextmanager
def starved(left: int) -> Iterator[None]:
    """So many descriptors are left."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(left + 1)]
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken), before[1]))
    filled = list[int]()
    try:
        try:
            while True:
                filled.append(os.dup(0))
        except OSError:
            for descriptor in filled[-left:] if left else []:
                os.close(descriptor)
            filled = filled[:-left] if left else filled
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in filled:
            os.close(descriptor)


class Churn:
    """Strangers that open connections and drop them, as fast as they can, from another process's point of view."""

    def __init__(self, endpoint: str, count: int) -> None:
        self._to = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
        self._count, self._over = count, threading.Event()
        self._thread = threading.Thread(target=self._go)

    def __enter__(self) -> Churn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _go(self) -> None:
        open_ones = list[socket.socket]()
        while not self._over.is_set():
            stranger = socket.socket()
            stranger.settimeout(0.2)
            with suppress(OSError):
                stranger.connect(self._to)
            open_ones.append(stranger)
            if len(open_ones) > self._count:
                open_ones.pop(0).close()
        for stranger in open_ones:
            stranger.close()


RUNS = 6
ANSWER_S = 5.0
"""Strangers may keep a caller out; the controller must live all the same."""
PLAN = RunPlan(budget=Budget(fraction=0.04))


@pytest.mark.parametrize("most", [40, 64, 100, 300])
def test_strangers_and_runs_that_begin_do_not_end_a_controller(tmp_path: Path, most: int) -> None:
    endpoint = free_endpoints(1)[0]
    serve = [sys.executable, "-m", "grainloop", "serve", "controller", "--endpoint", endpoint, "--until-stdin-ends"]
    elsewhere = ["--instrument", "tcp://127.0.0.1:1", "--model", "tcp://127.0.0.1:1", "--sessions", str(tmp_path)]
    limited = ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", *serve, *elsewhere]
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(limited, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        assert process.stdout is not None
        try:
            if process.stdout.readline():
                with Churn(endpoint, most + 50):
                    said = run(ask_for_runs(endpoint, tmp_path))
                assert process.poll() is None
                assert [one for one in said if not one.isprintable() or "its log tells more" in one] == []
        finally:
            process.communicate(timeout=LIMIT_S)
    told = (tmp_path / "stderr").read_text()
    assert process.returncode in (0, 1), told
    assert "Traceback" not in told, told
    assert process.returncode == 0 or "too few file descriptors are left" in told


async def ask_for_runs(endpoint: str, folder: Path) -> list[str]:
    """What the controller, or libzmq on the way to it, says to run after run, and to being asked how it is."""
    said = list[str]()
    for number in range(RUNS):
        for request in (RunRequest(plan=PLAN, session_dir=str(folder / f"s{number}")), CheckHealth()):
            try:
                async with Client(endpoint, ControlReply, service="controller") as client:
                    said.append(repr(await client.request(request, deadline_s=ANSWER_S)))
            except GrainloopError as error:
                said.append(error.message)
    return said
