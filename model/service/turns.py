"""One worker thread for heavy work, taken in turns: callers alternate, whoever asks more often waits longer.

Knows nothing of what the work is. The event loop stays free while the thread works.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from grainloop.protocols.observability import in_context

T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[], Any]
    result: asyncio.Future[Any]


class Turns:
    """Work of several callers in one thread, round robin over the callers, first come first served within each.

    A caller whose work was just done goes behind all others, so of two callers the one that asks seldom waits for the
    job in hand alone, however many the other has waiting.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: dict[bytes, deque[_Job]] = {}
        self._running: asyncio.Future[Any] | None = None

    async def do(self, caller: bytes, work: Callable[[], T]) -> T:
        """Run `work` in the thread when it is the caller's turn; what it returns or raises."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(_Job(in_context(work), result))
        self._next()
        return await result

    async def close(self) -> None:
        """Drop what waits, let what runs come to its end, and end the thread."""
        for job in (job for jobs in self._waiting.values() for job in jobs):
            job.result.cancel()
        self._waiting.clear()
        await asyncio.to_thread(self._thread.shutdown)
        if self._running is not None:
            await asyncio.wait([self._running])

    def _next(self) -> None:
        if self._running is not None or not self._waiting:
            return
        caller, jobs = next(iter(self._waiting.items()))
        job = jobs.popleft()
        if not jobs:
            del self._waiting[caller]
        if job.result.done():
            self._next()
            return
        self._running = asyncio.get_running_loop().run_in_executor(self._thread, job.work)
        self._running.add_done_callback(lambda done: self._finished(done, caller, job.result))

    def _finished(self, done: asyncio.Future[Any], caller: bytes, result: asyncio.Future[Any]) -> None:
        self._running = None
        if caller in self._waiting:  # a dict keeps the order of insertion: behind whoever came meanwhile
            self._waiting[caller] = self._waiting.pop(caller)
        error = done.exception()
        if not result.done():
            _ = result.set_result(done.result()) if error is None else result.set_exception(error)
        self._next()
