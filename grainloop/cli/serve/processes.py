"""The three services as child processes: started, proven healthy, watched, and always stopped.

A child listens to its stdin and leaves when that ends, so it cannot outlive this process, whatever ends it. Children do
not get the terminal's Ctrl-C; this process stops them in order. Threads watch them, not asyncio's own subprocesses,
because the event loop that ZeroMQ needs on Windows cannot start any.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import count as count_from
from itertools import islice
from pathlib import Path
from secrets import randbelow
from types import TracebackType
from typing import Any, Self

from grainloop.cli.child import command_of, environment
from grainloop.cli.serve.service import READY
from grainloop.protocols.aio import Client
from grainloop.protocols.errors import Unavailable
from grainloop.protocols.files import open_file, read_regular
from grainloop.protocols.messages import CheckHealth, Health

_START_S = 600.0  # a first use compiles before it, or waits for who does
_HEALTH_S = 300.0  # the first proof of a fresh installation compiles
_LEAVE_S = 15.0
_LAST_LINES = 3
# Below those that Linux (from 32768) and Windows (from 49152) hand out: no stranger is given one of these before the
# service listens on it, or while a service that died is started anew. Other grainloops begin their walk elsewhere.
_PORTS = range(10_000, 32_768)
_walk = (_PORTS[place % len(_PORTS)] for place in count_from(randbelow(len(_PORTS))))


def free_endpoints(count: int) -> list[str]:
    """Loopback endpoints that nobody listens on now; this process is given none of them again soon.

    Raises:
        Unavailable: there are not that many.
    """
    free = list(islice(filter(_is_free, islice(_walk, len(_PORTS))), count))
    if len(free) < count:
        message = (
            f"Not {count} of the ports {_PORTS[0]} to {_PORTS[-1]} of this machine can be used: {len(free)} are free."
        )
        raise Unavailable(message, field="endpoint", value=str(count))
    return [f"tcp://127.0.0.1:{port}" for port in free]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Child:
    """One service in a process of its own.

    Attributes:
        name: of the service.
        endpoint: where it listens.
        died: done when the process has ended; its result is the exit code.
    """

    def __init__(self, name: str, endpoint: str, arguments: Sequence[str], log: Path) -> None:
        self.name, self.endpoint, self._log_path = name, endpoint, log
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.died: asyncio.Future[int] = loop.create_future()
        self._log = open_file(log, "wb")
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own arguments
            [
                *command_of("grainloop"),
                "serve",
                name,
                "--until-stdin-ends",
                "--endpoint",
                endpoint,
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(),
            **_apart(),
        )
        self._watch = threading.Thread(target=self._follow, args=(loop,), name=f"{name} watch", daemon=True)
        self._watch.start()

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        if (stdout := self._process.stdout) is not None:
            with stdout:
                for line in stdout:
                    if line.startswith(READY.encode()):
                        _tell(loop, self.ready, None)
        _tell(loop, self.died, self._process.wait())

    def leave(self) -> None:
        """Ask it to leave."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    async def gone(self) -> None:
        """Wait until the process has ended; one that does not leave is killed."""
        for harder in (self._process.terminate, self._process.kill):
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.died), _LEAVE_S)
                break
            harder()
        await self.died
        self._watch.join()
        self._log.close()

    def obituary(self) -> Unavailable:
        """The sentence that says that it died, with its last words."""
        lines = read_regular(self._log_path).decode(errors="replace").strip().splitlines()
        code = self.died.result() if self.died.done() else "?"
        said = [line.removeprefix("grainloop: ") for line in lines if not line.startswith("{")]  # no log lines
        words = " | ".join(said[-_LAST_LINES:]) or "it said nothing"
        message = f"The {self.name} service died (exit code {code}): {words.rstrip('.')}. Its log is {self._log_path}."
        return Unavailable(message, field="service", value=self.name)


class Children:
    """Several services; leaving the context stops all of them, newest first.

    Args:
        logs: folder for one log file per service.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.ensure_future(self._stop()))

    def start(self, name: str, endpoint: str, arguments: Sequence[str] = ()) -> Child:
        """Start a service."""
        child = Child(name, endpoint, arguments, self._logs / f"{name}.log")
        self._children.append(child)
        return child

    async def until_dead(self) -> Unavailable:
        """Wait until one of them dies; returns the sentence that says so."""
        await asyncio.wait([child.died for child in self._children], return_when=asyncio.FIRST_COMPLETED)
        return next(child for child in self._children if child.died.done()).obituary()

    async def _stop(self) -> None:
        for child in reversed(self._children):
            child.leave()
            await child.gone()


async def healthy(child: Child, replies: Any) -> None:
    """Return when the service has proven that it works.

    Raises:
        Unavailable: it died, or did not get ready in time.
    """
    await asyncio.wait([child.ready, child.died], timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
    if child.died.done():
        raise child.obituary()
    if not child.ready.done():
        message = f"The {child.name} service was not ready after {_START_S:.0f} s."
        raise Unavailable(message, field="service", value=child.name)
    async with Client(child.endpoint, replies, service=child.name) as client:
        health = await client.request(CheckHealth(), deadline_s=_HEALTH_S)
    if not isinstance(health, Health) or not health.ok:
        raise Unavailable(f"The {child.name} service is not healthy: {health}.", field="service", value=child.name)


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], value: Any) -> None:
    def settle() -> None:
        if not future.done():
            future.set_result(value)

    with suppress(RuntimeError):  # the loop is closed: nobody listens any more
        loop.call_soon_threadsafe(settle)


def _apart() -> dict[str, Any]:
    """Out of reach of the terminal's Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
