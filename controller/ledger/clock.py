"""Instrument time of a run, counted from its beginning: how far it is, and until when the instrument is busy.

Clocks of instruments may begin at any time, and begin anew when an instrument is started again; the first exposure
tells when the run began on them. How long batches take is learned in `controller.ledger.pace`.
"""

from __future__ import annotations

from collections.abc import Iterable

from grainloop.controller.ledger.orders import Order
from grainloop.controller.ledger.pace import Pace
from grainloop.protocols.messages import ScanDone
from grainloop.protocols.values import PointBlock

_LATE_S = 10.0
"""A first point that comes less late than this was slow; one that comes later tells of a clock that began before."""


class RunClock:
    """The clock of one run.

    Args:
        pace: how long batches take; told of every one that is over.
        approach_s: declared time from the start of a batch to its first exposure.

    Attributes:
        now_s: instrument time at the newest finished batch.
        idle_s: how long the instrument had nothing to do, by its own account.
        busy_until_s: when the batches that are over have ended at the latest.
        found: whether it is known when the run began on the instrument clock.
    """

    def __init__(self, pace: Pace, approach_s: float) -> None:
        self._pace, self._approach_s = pace, approach_s
        self.now_s = self.idle_s = self.busy_until_s = 0.0
        self._began_s: float | None = None
        self._found_again = False

    def begin(self, light_s: float) -> None:
        """Count the PL images, the first thing that takes instrument time."""
        self.now_s = self.busy_until_s = light_s

    @property
    def found(self) -> bool:
        """Whether it is known when the run began on the instrument clock."""
        return self._began_s is not None

    def find_beginning(self, order: Order, first: PointBlock) -> None:
        """The first exposure, of a batch that is out, tells at what time on the instrument clock the run began."""
        expected_s = max(self.busy_until_s, order.not_before_s) + self._approach_s + float(first.dwell_s[0])
        began_s = float(first.time_s[0]) - expected_s
        self._began_s = began_s if began_s > _LATE_S or self._found_again else 0.0

    def lose_beginning(self) -> None:
        """The controller had died, and the instrument clock may have begun anew."""
        self._began_s, self._found_again = None, True

    def run_s(self, told_s: float) -> float:
        """Instrument time of the run, of a time on the instrument clock."""
        return float(told_s) - (self._began_s or 0.0)

    def instrument_s(self, run_s: float) -> float:
        """Time on the instrument clock, of an instrument time of the run."""
        return max(0.0, run_s + (self._began_s or 0.0))  # no clock began before its beginning

    def close(self, order: Order, done: ScanDone | None) -> None:
        """Learn from a batch that is over; `done` is missing when it failed."""
        began_s, ended_s = max(self.busy_until_s, order.not_before_s), self.ended_s(order, done)
        if done is not None:
            self.idle_s += done.idle_s if order.request.batch else 0.0  # before the first one there was no run
            self._pace.batch_took(ended_s - began_s, order.declared_s)
        self.now_s = ended_s
        # A batch that failed may have taken longer than its last point says.
        spent_s = 0.0 if done is not None else self._pace.slowest * order.declared_s
        self.busy_until_s = max(self.now_s, began_s + spent_s)

    def ended_s(self, order: Order, done: ScanDone | None) -> float:
        """When a batch has ended, as far as it told."""
        told = [order.newest_s, None if done is None else done.finished_s]
        return max(self.now_s, 0.0, *(self.run_s(time_s) for time_s in told if time_s is not None))

    def free_at_s(self, out: Iterable[Order]) -> float:
        """When the instrument has nothing to do any more, at its slowest pace; `out` are the batches that are out."""
        free_s = self.busy_until_s
        for order in out:
            free_s = max(free_s, order.not_before_s) + self._pace.slowest * order.declared_s
        return free_s
