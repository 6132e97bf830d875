"""Instrument time: a clock that need not be waited for. What a scan costs is declared (`protocols.shapes`).

The clock stands still between requests. A request starts when the instrument is free, but not before the instrument
time at which it could have been decided (`ScanRequest.not_before_s`), so that idle time stays honest at any speed-up.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

MIN_WAIT_S = 1e-5
"""Shorter waiting than this is none: rounding must not keep the clock busy."""


LONGEST_WAIT_S = 3600.0
"""Longer waiting is cut in parts: the operating system limits a single one."""


class SimulatedClock:
    """Instrument clock that runs `speed_up` times as fast as the wall clock, only while the instrument is busy.

    With an infinite speed-up nothing waits. One thread at a time runs the clock; `interrupt` may come from any other.
    """

    def __init__(self, speed_up: float = math.inf, wall: Callable[[], float] = time.monotonic) -> None:
        if not speed_up > 0:
            raise ValueError(f"speed_up must be positive, got {speed_up}")
        self.speed_up = speed_up
        self._wall = wall
        self._interrupted = threading.Event()
        self._now_s = 0.0
        self._anchor = (0.0, 0.0)

    @property
    def now_s(self) -> float:
        """Instrument time."""
        return self._now_s

    def begin(self, not_before_s: float = 0.0) -> float:
        """Start a request: the instrument time at which it starts. Forgets earlier interruptions.

        The time up to `not_before_s` is not waited for: it has passed while the request was being decided.
        """
        self._interrupted.clear()
        self._now_s = max(self._now_s, not_before_s)
        self._anchor = (self._wall(), self._now_s)
        return self._now_s

    def advance_to(self, time_s: float) -> bool:
        """Run until `time_s`; false if interrupted, the clock then stands where it was interrupted."""
        while not self._interrupted.is_set():
            remaining = (time_s - self._running_s()) / self.speed_up if math.isfinite(self.speed_up) else 0.0
            if remaining <= MIN_WAIT_S:
                self._now_s = max(self._now_s, time_s)
                return True
            self._interrupted.wait(min(remaining, LONGEST_WAIT_S))
        if math.isfinite(self.speed_up):
            self._now_s = max(self._now_s, min(time_s, self._running_s()))
        return False

    def interrupt(self) -> None:
        """End the waiting of the request that is running."""
        self._interrupted.set()

    def _running_s(self) -> float:
        wall, started = self._anchor
        return started + (self._wall() - wall) * self.speed_up
