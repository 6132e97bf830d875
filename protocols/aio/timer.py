"""Calls a tick at the time that a core asks for. Plan anew whenever that time may have come closer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timer:
    """One pending wake-up.

    Args:
        tick: what to call.
        wake_at: when, in loop time, or None for not at all.
    """

    def __init__(self, tick: Callable[[], None], wake_at: Callable[[], float | None]) -> None:
        self._tick = tick
        self._wake_at = wake_at
        self._handle: asyncio.TimerHandle | None = None
        self._stopped = False

    def plan(self) -> None:
        """Make sure that the next wake-up is not later than asked for; an earlier one does no harm."""
        when = self._wake_at()
        if when is None or self._stopped:
            return
        if self._handle is not None:
            if self._handle.when() <= when:
                return
            self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_at(when, self._fire)

    def stop(self) -> None:
        """No wake-up any more."""
        self._stopped = True
        if self._handle is not None:
            self._handle.cancel()

    def _fire(self) -> None:
        self._handle = None
        self._tick()
        self.plan()
