"""Every test leaves the process as it found it: no task, thread, child process, ZeroMQ socket or open file behind.

The check of asyncio tasks needs the test's own event loop and is added to coroutine tests alone; the rest is compared
before and after. Fixtures of a wider scope may hold what they like: they are set up before the first look.

Tests that run at the same time share the cores, and no test fails because the processor has other work.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import zmq
from zmq.utils import garbage

THREAD_GRACE_S = 60.0
"""Threads that were told to end may take a moment to do so."""

contexts: weakref.WeakSet[zmq.Context[Any]] = weakref.WeakSet()
children: weakref.WeakSet[subprocess.Popen[Any]] = weakref.WeakSet()
plain_context_init = zmq.Context.__init__
plain_popen_init = subprocess.Popen.__init__


def remember_context(self: zmq.Context[Any], *args: Any, **options: Any) -> None:
    plain_context_init(self, *args, **options)
    contexts.add(self)


def remember_child(self: subprocess.Popen[Any], *args: Any, **options: Any) -> None:
    plain_popen_init(self, *args, **options)
    children.add(self)


def pytest_configure(config: pytest.Config) -> None:
    slow = hypothesis.HealthCheck.too_slow
    hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[slow])
    hypothesis.settings.load_profile("untimed")
    share_cores(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    if not hasattr(config, "workerinput"):
        compile_kernels(divided=bool(getattr(config.option, "numprocesses", None)))
    zmq.Context.__init__ = remember_context
    subprocess.Popen.__init__ = remember_child


def compile_kernels(divided: bool) -> None:
    """Once, before any test: none waits for a compiler. orix, which tests alone ask, fails where two ask it first."""
    from grainloop.cli.prepare import prepare_first_use

    prepare_first_use()
    if divided:
        from orix.quaternion import Quaternion
        from orix.vector import Vector3d

        turn = ~Quaternion([[1, 0, 0, 0]])
        turn * turn * Vector3d.zvector()


def share_cores(workers: int) -> None:
    """Give a process that tests together with others its part of the threads, and so to what it starts.

    The numerical libraries read it when they are first imported, which is later than this.
    """
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


def pytest_unconfigure() -> None:
    zmq.Context.__init__ = plain_context_init
    subprocess.Popen.__init__ = plain_popen_init


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """What tests print may be no UTF-8, which does not travel between the processes of a test run."""
    report = yield
    report.sections = [(name, printable(text)) for name, text in report.sections]
    return report


def printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        # Within the other check, which looks when the event loop is closed; around the fixtures of the test.
        item.fixturenames.insert(item.fixturenames.index("nothing_left_behind") + 1, "no_stray_tasks")


@pytest.fixture
async def no_stray_tasks() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    stray = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not stray, f"the test left asyncio tasks behind: {[task.get_name() for task in stray]}"


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    before = holdings()
    yield
    for thread in stray_threads(before["threads"]):
        thread.join(THREAD_GRACE_S)
    left = stray(before)
    if left:
        gc.collect()  # what nobody holds any more was dropped, not left; unclosed files then warn, which fails too
        left = stray(before)
    assert not left, f"the test left behind: {left}"


def holdings() -> dict[str, set[Any]]:
    """Everything that a test must not leave, by kind."""
    return {
        "threads": {thread for thread in threading.enumerate() if not thread.daemon},
        "processes": {child for child in list(children) if child.poll() is None} | forked_children(),
        "zmq contexts": {context for context in list(contexts) if not context.closed and not is_pyzmqs_own(context)},
        "files": open_files(),
    }


def stray(before: dict[str, set[Any]]) -> dict[str, list[str]]:
    now = holdings()
    return {kind: sorted(map(str, now[kind] - before[kind])) for kind in now if now[kind] - before[kind]}


def stray_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not thread.daemon} - before


def is_pyzmqs_own(context: zmq.Context[Any]) -> bool:
    """Whether pyzmq keeps this one for zero-copy sends, for as long as the process lives."""
    return context is garbage.gc._context


def forked_children() -> set[int]:
    """Ids of child processes, zombies included, where the system tells; helpers of multiprocessing live on."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return set()
    ids = {int(pid) for task in tasks.iterdir() for pid in read(task / "children").split()}
    return {pid for pid in ids if "resource_tracker" not in read(Path(f"/proc/{pid}/cmdline"))}


def open_files() -> set[str]:
    """Files and sockets that this process holds, where the system tells; `file:5 /path`."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return set()
    return {f"{fd} {target}" for fd in os.listdir(folder) if (target := target_of(folder / fd)) is not None}


def target_of(link: Path) -> str | None:
    try:
        target = os.readlink(link)
    except OSError:
        return None
    watched = target.startswith("socket:") or (target.startswith("/") and not target.startswith(("/dev/", "/proc/")))
    return target if watched else None


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


if sys.platform == "win32":
    asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
