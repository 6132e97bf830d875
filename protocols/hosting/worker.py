"""One thread in which everything that touches a driver happens, first come, first served.

A daemon thread: hardware that hangs in a call must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from grainloop.protocols.observability import get_logger, in_context
from grainloop.protocols.sentences import said

T = TypeVar("T")
Job = tuple[Future[Any], Callable[[], Any]]


class Worker:
    """A thread and its queue; `await worker.do(work)` runs `work` there and returns what it returns."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Queue `work` now; awaiting the result gives what it returns or raises."""
        future: Future[T] = Future()
        self._jobs.put((future, in_context(work)))
        return asyncio.wrap_future(future)

    async def close(self, timeout_s: float) -> bool:
        """Let the queue run dry and end the thread; false if it hangs in a job and was left behind."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, timeout_s)
        if self._thread.is_alive():
            get_logger(service="instrument").error(
                "driver does not return; its thread is left behind", thread=self._thread.name
            )
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except Exception as error:  # noqa: BLE001  # it belongs to whoever awaits the job
                future.set_exception(_bearable(error))
            except BaseException as error:  # noqa: BLE001  # nothing that runs here may end the event loop
                future.set_exception(RuntimeError(said(error)))
            else:
                future.set_result(result)
            del job, future, work


def _bearable(error: Exception) -> Exception:
    """A future takes anything but `StopIteration`."""
    return RuntimeError(said(error)) if isinstance(error, StopIteration) else error
