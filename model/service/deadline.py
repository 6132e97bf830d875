"""How long a request may work, once its turn has come: what running out of time means before and after there is a map.

The caller's patience, which waiting for a turn uses up too, is the deadline of the envelope and not looked at here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from grainloop.model.reconstruct import Report
from grainloop.protocols.errors import DeadlineExceeded


class Deadline:
    """The end of the work time, counted from now.

    Args:
        seconds: how long to work; None for as long as it takes.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = math.inf if seconds is None else clock() + seconds

    @property
    def passed(self) -> bool:
        """Whether the work time is over."""
        return self._clock() >= self._end

    def require_time(self, stage: str) -> None:
        """Refuse to begin a stage without which there is no map.

        Raises:
            DeadlineExceeded: the work time is over.
        """
        if self.passed:
            sentence = f"The work time of {self.seconds:g} s ran out before the stage '{stage}': there is no map yet."
            raise DeadlineExceeded(sentence, field="deadline_s", value=self.seconds)


@dataclass(eq=False)
class Watched:
    """A `Report` that ends the work when time runs out before there is a map, and the `OutOfTime` for afterwards.

    A method asks `out_of_time` only once its map exists, so the first question tells that it does.
    """

    deadline: Deadline
    report: Report
    has_map: bool = False

    def __call__(self, fraction: float, stage: str) -> None:
        """Report that a stage begins.

        Raises:
            DeadlineExceeded: the work time is over and there is no map.
        """
        if not self.has_map:
            self.deadline.require_time(stage)
        self.report(fraction, stage)

    def out_of_time(self) -> bool:
        """Whether the samples so far have to do."""
        self.has_map = True
        return self.deadline.passed
