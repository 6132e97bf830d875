"""Start the event loop that ZeroMQ sockets need: one that can watch file descriptors."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` with a selector loop, which is not the default on Windows, and an end that Ctrl-C does not tear."""
    factory = asyncio.SelectorEventLoop if sys.platform == "win32" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            return runner.run(main)
        finally:
            with _undisturbed():
                runner.close()


@contextmanager
def _undisturbed() -> Generator[None]:
    """While tasks are told to end: a Ctrl-C more would leave them behind, and asyncio complain of each."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
