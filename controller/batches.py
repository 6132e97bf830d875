"""Batches on their way: sent to the instrument, stored point by point, closed oldest first.

A batch counts as done when the session file has it. One that fails is written down with what it brought; without the
instrument, without the session file, or after three failures in a row the run cannot go on. What to measure is the
core's business.
"""

from __future__ import annotations

import asyncio
from typing import Any

from controller.asking import Asks
from controller.core import Batch, Core
from controller.session import CannotStore, SessionFile
from controller.standing import Standing
from protocols.errors import BadMessage, Cancelled, DeviceFailed, ErrorCode, GrainloopError, OutOfLimits
from protocols.messages import PointsMeasured, ScanDone

_SCAN_S = 600.0
_SCAN_FACTOR = 20.0
_FAILURES_IN_A_ROW = 3
GONE = frozenset({ErrorCode.UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED})
"""Errors that mean that the instrument cannot be talked to."""


class _TimeSpent(OutOfLimits):
    """The instrument took longer than it had declared, and its time is over."""


class Batches:
    """The batches that are out, oldest first.

    Attributes:
        closed: how many were closed.
    """

    def __init__(self, instrument: Asks, core: Core, session: SessionFile, standing: Standing) -> None:
        self._instrument, self._core, self._session, self._standing = instrument, core, session, standing
        self._out: list[tuple[Batch, asyncio.Task[Any]]] = []
        self._failures_in_a_row = 0
        self.closed = 0

    def __len__(self) -> int:
        return len(self._out)

    def send(self, batch: Batch, about: dict[str, Any]) -> None:
        """Store the decision, then send it."""
        self._session.add_decision(batch, about)
        self._out.append((batch, asyncio.create_task(self._scan(batch))))

    async def close_oldest(self) -> None:
        """Wait for the oldest batch, and close it.

        Raises:
            GrainloopError: the run cannot go on.
        """
        batch, task = self._out[0]
        await asyncio.wait([task])
        self._out.pop(0)
        done, error = _outcome(task)
        self._close(batch, done, error)
        if isinstance(error, _TimeSpent):
            for _, queued in self._out:
                queued.cancel()
        if error is None or isinstance(error, Cancelled | _TimeSpent):
            self._failures_in_a_row = 0
            return
        if isinstance(error, CannotStore) or error.code in GONE:
            raise error
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= _FAILURES_IN_A_ROW:
            raise DeviceFailed(f"{self._failures_in_a_row} batches in a row failed; the last: {error}")

    def withdraw_queued(self) -> None:
        """Take back what waits behind the batch being measured."""
        unfinished = [task for _, task in self._out if not task.done()]
        for task in unfinished[1:]:
            task.cancel()

    async def withdraw_all(self) -> None:
        """Take everything back, keeping what was measured."""
        left, self._out = self._out, []
        for _, task in left:
            task.cancel()
        if left:
            await asyncio.wait([task for _, task in left])
        for batch, task in left:
            self._close(batch, *_outcome(task))

    async def _scan(self, batch: Batch) -> ScanDone:
        number = batch.request.batch

        def arrived(message: Any) -> None:
            if not isinstance(message, PointsMeasured) or message.batch != number:
                raise BadMessage(f"The instrument answered batch {number} with something else.", field="batch")
            self._core.ledger.receive(number, message.points)
            self._session.add_points(number, message.points)
            if self._core.ledger.time_is_over(message.points):
                raise _TimeSpent("The instrument time of the budget is over; the rest of the batch was withdrawn.")

        deadline_s = _SCAN_S + _SCAN_FACTOR * self._core.ledger.open_s()
        done = await self._instrument.request(batch.request, deadline_s=deadline_s, on_progress=arrived)
        if not isinstance(done, ScanDone) or done.batch != number:
            raise BadMessage(f"The instrument answered batch {number} with something else.", field="batch")
        return done

    def _close(self, batch: Batch, done: ScanDone | None, error: GrainloopError | None) -> None:
        number, asked = batch.request.batch, len(batch.request.point_id)
        points = len(self._core.ledger.close(number, done))
        self.closed += 1
        self._session.close_batch(number, asked, points, done, None if error is None else str(error))
        if error is None:
            self._standing.say("batch_done", f"Batch {number}: {points} of {asked} points measured.")
        else:
            self._standing.say("batch_failed", f"Batch {number} ended with {points} of {asked} points: {error}")


def _outcome(task: asyncio.Task[Any]) -> tuple[ScanDone | None, GrainloopError | None]:
    """What a finished task brought; bugs pass through."""
    if task.cancelled():
        return None, Cancelled("It was withdrawn.")
    error = task.exception()
    if error is None:
        return task.result(), None
    if isinstance(error, GrainloopError):
        return None, error
    raise error
