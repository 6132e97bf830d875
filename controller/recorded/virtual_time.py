"""An event loop whose time passes only when all wait for it: hours take no time, and computing takes none.

For runs on recorded points, whose clock is that of the recording. Nothing that waits for another process belongs here.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Skipping(selectors.DefaultSelector):
    """Does not wait for the next timer, but sets the clock to it."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        """See `selectors`."""
        events = super().select(timeout if timeout is None else 0)
        if not events and timeout:
            self.loop.now_s += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time.

    Attributes:
        now_s: the time.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _Skipping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """The time, in seconds since the loop was made."""
        return self.now_s


def run(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
