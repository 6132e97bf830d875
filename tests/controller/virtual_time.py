"""An event loop whose time passes only when all wait for it: hours take no time, and computing takes none."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Skipping(selectors.DefaultSelector):
    """Does not wait for the next timer, but sets the clock to it."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(timeout if timeout is None else 0)
        if not events and timeout:
            self.loop.now_s += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Attributes: now_s: the time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _Skipping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test in a loop of its own, which must leave no task behind."""

    @functools.wraps(test)
    def wrapper(*args: Any, **options: Any) -> None:
        run(test(*args, **options))

    return wrapper


def run(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, with tasks that are left behind found."""

    async def alone() -> T:
        result = await work
        stray = asyncio.all_tasks() - {asyncio.current_task()}
        assert not stray, f"tasks were left behind: {[task.get_name() for task in stray]}"
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(alone())
