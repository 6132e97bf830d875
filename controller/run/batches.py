"""Batches on their way: sent to the instrument, stored point by point, closed oldest first, withdrawn where they wait.

A batch is sent when its decision is in the journal, and counts as done when its points are. One that fails is written
down with what it brought; without the instrument, without a journal, or after three failures in a row the run cannot go
on. What to measure is the business of the decider.

A simulated instrument may be faster than time: it would have measured what is queued before the model can answer. So it
gets one batch at a time; what waits behind that one waits here, and the answer of the model and the end of a batch come
in the order that they have on the instrument clock. A real instrument queues by itself, and is asked to give back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from grainloop.controller.decide import Batch, Decider
from grainloop.controller.journal import BatchClosed, JournalLost, decided_entry
from grainloop.controller.record import Recording
from grainloop.controller.run.arrivals import Arrivals, TimeSpent
from grainloop.controller.run.links import Asks, Thinking
from grainloop.controller.run.standing import Standing
from grainloop.controller.run.words import say_closed
from grainloop.protocols.aio import expect
from grainloop.protocols.errors import Cancelled, DeviceFailed, ErrorCode, GrainloopError
from grainloop.protocols.messages import EventKind, ScanDone, Stored, Withdraw, Withdrawn
from grainloop.protocols.observability import about as lines_about

_SCAN_S = 600.0
_SCAN_FACTOR = 20.0
_WITHDRAW_S = _STORED_S = 5.0
_FAILURES_IN_A_ROW = _TRIES = 3
GONE = frozenset({ErrorCode.UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED})
"""Errors that mean that the instrument cannot be talked to."""


class _Out:
    """A batch that is out; it is handed over at its turn, and has begun then as far as is known."""

    def __init__(self, batch: Batch, arrivals: Arrivals) -> None:
        self.batch, self.number, self.arrivals = batch, batch.request.batch, arrivals
        self.turn, self.begun, self.tries = asyncio.Event(), False, 1
        self.task: asyncio.Task[ScanDone]


class Batches:
    """The batches that are out, oldest first.

    With an instrument that `remembers` what it has exposed even after its own death, batches that were out when it went
    stay open in the journal: whoever goes on with the run gets their points.
    """

    def __init__(
        self, instrument: Asks, decider: Decider, session: Recording, standing: Standing, *, remembers: bool = False
    ) -> None:
        self._remembers = remembers
        self._instrument, self._decider, self._session, self._standing = instrument, decider, session, standing
        self._out: list[_Out] = []
        self._going: set[asyncio.Task[ScanDone]] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._failures_in_a_row = 0
        self._one_at_a_time, self._gives_back = decider.terms.capabilities.simulated, True
        self._forgets = True

    def __len__(self) -> int:
        return len(self._out)

    def decided_behind(self, first: int) -> bool:
        """Whether a batch that is no stop-gap is out behind so many."""
        return any(not one.batch.stop_gap for one in self._out[first:])

    def send(self, batch: Batch, about: Mapping[str, Any]) -> None:
        """Store the decision, then send it."""
        self._session.record(decided_entry(batch, dict(about)))
        with lines_about(round=about.get("round")):
            self.send_again(batch)

    def send_again(self, batch: Batch) -> None:
        """Send a batch whose decision is stored already, as one that was out when the controller died."""
        number, asked = batch.request.batch, len(batch.request.point_id)
        one = _Out(batch, Arrivals(self._decider.ledger, self._session, self._standing, number, asked))
        if not (self._one_at_a_time and self._out):
            one.turn.set()
        with lines_about(batch=one.number):
            one.task = asyncio.create_task(self._scan(one))
        self._out.append(one)

    def give_up(self, batch: Batch) -> None:
        """Close what was out when the controller died, with what had come; the instrument does not remember it."""
        number, asked = batch.request.batch, len(batch.request.point_id)
        closed = self._decider.ledger.close(number, None)
        why = "The controller died, and the instrument may have been started again since."
        self._note_closed(number, asked, len(closed.points), None, why)
        say_closed(self._standing, number, closed, asked, why)

    async def outlast(self, thinking: Thinking) -> bool:
        """Whether the model answers before the oldest batch is over, by the instrument clock; waits for the first."""
        if not self._out:
            await asyncio.wait([thinking.task])
            return True
        oldest = self._out[0]
        if not self._one_at_a_time:
            await asyncio.wait([oldest.task, thinking.task], return_when=asyncio.FIRST_COMPLETED)
            return thinking.task.done()
        await asyncio.wait([oldest.task])
        return await thinking.answered_within(self._ends_s(oldest) - thinking.asked_s)

    async def ended_by(self, time_s: float) -> bool:
        """Whether the oldest batch is over at this instrument time; a real instrument tells by itself."""
        if not self._one_at_a_time or not self._out:
            return False
        await asyncio.wait([self._out[0].task])
        return self._ends_s(self._out[0]) <= time_s

    def _ends_s(self, one: _Out) -> float:
        return self._decider.ledger.ends_s(one.number, _outcome(one.task)[0])

    async def close_oldest(self) -> None:
        """Wait for the oldest batch, and close it.

        Raises:
            GrainloopError: the run cannot go on.
        """
        oldest = self._out[0]
        await asyncio.wait([oldest.task])
        if (gone := self._kept_open(oldest)) is not None:
            raise gone
        if self._stopped_in_silence(oldest):
            self._scan_again(oldest)
            return
        self._out.pop(0)
        error = self._close(oldest)
        self._tell_stored(oldest.batch)
        if isinstance(error, TimeSpent):
            for queued in self._out:
                queued.task.cancel()
        elif self._out:
            self._out[0].turn.set()
        self._count_failures(error)

    def _kept_open(self, one: _Out) -> GrainloopError | None:
        """Why a batch is left as it is: the instrument that remembers it is gone."""
        error = _outcome(one.task)[1]
        return error if self._remembers and error is not None and error.code in GONE else None

    def _stopped_in_silence(self, one: _Out) -> bool:
        """Whether the instrument stopped a scan because it heard of nobody; asked again, it goes on with it."""
        if not self._remembers or not one.begun or one.task.cancelled() or one.tries >= _TRIES:
            return False
        error = one.task.exception()
        return isinstance(error, GrainloopError) and error.code is ErrorCode.CANCELLED

    def _scan_again(self, one: _Out) -> None:
        one.tries += 1
        self._decider.ledger.sent_again(one.number)
        text = f"Batch {one.number} was stopped by the instrument and is asked for again."
        self._standing.say(EventKind.SENT_AGAIN, text, batch=one.number)
        one.task = asyncio.create_task(self._scan(one))

    def _tell_stored(self, newest: Batch) -> None:
        """Let an instrument that keeps batches forget those that are in the journal; nothing waits for it."""
        if not self._forgets or not self._standing.has_room.is_set():
            return
        below = min([one.number for one in self._out], default=newest.request.batch + 1)
        stored = Stored(run=newest.request.run, section=newest.request.section, below=below)
        task = asyncio.create_task(self._tell(stored))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, stored: Stored) -> None:
        try:
            await self._instrument.request(stored, deadline_s=_STORED_S)
        except GrainloopError as error:  # it keeps them a little longer
            self._forgets = error.code is not ErrorCode.UNKNOWN_KIND

    def _count_failures(self, error: GrainloopError | None) -> None:
        if error is None or isinstance(error, Cancelled | TimeSpent):
            self._failures_in_a_row = 0
            return
        if isinstance(error, JournalLost) or error.code in GONE:
            raise error
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= _FAILURES_IN_A_ROW:
            raise DeviceFailed(f"{self._failures_in_a_row} batches in a row failed; the last: {error}")

    async def make_way(self) -> None:
        """Take the stop-gap back that waits for its turn, if it has not begun."""
        waiting = next((one for one in self._out[1:] if one.batch.stop_gap), None)
        if waiting is None or not await self._taken_back(waiting) or waiting not in self._out:
            return
        self._out.remove(waiting)
        waiting.task.cancel()
        self._going.add(waiting.task)
        waiting.task.add_done_callback(self._going.discard)
        self._note_withdrawn(waiting)

    async def _taken_back(self, one: _Out) -> bool:
        if self._one_at_a_time or not self._gives_back:
            return not one.begun
        request = Withdraw(run=one.batch.request.run, section=one.batch.request.section, batch=one.number)
        try:
            reply = await self._instrument.request(request, deadline_s=_WITHDRAW_S)
            told = expect(reply, Withdrawn, "instrument")
            return told.withdrawn and told.batch == one.number
        except GrainloopError as error:  # if the instrument is gone, the scans tell
            self._gives_back = error.code is not ErrorCode.UNKNOWN_KIND
            return False

    def withdraw_queued(self) -> None:
        """Take back what waits behind the batch being measured."""
        unfinished = [one.task for one in self._out if not one.task.done()]
        for task in unfinished[1:]:
            task.cancel()

    async def withdraw_all(self) -> None:
        """Take everything back, keeping what was measured; what an instrument that is gone still knows stays open."""
        left, self._out = self._out, []
        for one in left:
            one.task.cancel()
        if tasks := {one.task for one in left} | self._going:
            await asyncio.wait(tasks)
        for task in self._telling:
            task.cancel()
        gone = any(self._kept_open(one) is not None for one in left)
        for one in left:
            if not gone or not one.begun or _outcome(one.task)[0] is not None:
                self._close(one)
            else:
                kept = f"Batch {one.number} stays open until somebody goes on with the run."
                self._standing.say(EventKind.BATCH_KEPT, kept, batch=one.number)

    async def _scan(self, one: _Out) -> ScanDone:
        await one.turn.wait()
        await self._standing.has_room.wait()  # till its decision is stored
        one.begun = True
        one.arrivals.begin()
        deadline_s = _SCAN_S + _SCAN_FACTOR * self._decider.ledger.open_s()
        request = self._instrument.request(one.batch.request, deadline_s=deadline_s, on_progress=one.arrivals.take)
        return one.arrivals.ended(await request, deadline_s)

    def _close(self, one: _Out) -> GrainloopError | None:
        """Write down how a batch that is over ended; returns what went wrong."""
        done, error = _outcome(one.task)
        if isinstance(error, Cancelled) and not one.begun:
            self._note_withdrawn(one)
            return error
        asked, closed = len(one.batch.request.point_id), self._decider.ledger.close(one.number, done)
        if error is None and closed.lost:
            name = self._decider.terms.name
            error = DeviceFailed(f"{name} called batch {one.number} done, but {closed.lost} of its points are missing.")
        error = one.arrivals.over() if error is None else error
        told = None if error is None else str(error)
        self._note_closed(one.number, asked, len(closed.points), done, told)
        say_closed(self._standing, one.number, closed, asked, told, stop_gap=one.batch.stop_gap)
        return error

    def _note_withdrawn(self, one: _Out) -> None:
        self._decider.ledger.withdraw(one.number)
        asked = len(one.batch.request.point_id)
        self._session.record(
            BatchClosed(batch=one.number, asked=asked, points=0, done=None, error=None, withdrawn=True)
        )

    def _note_closed(self, number: int, asked: int, points: int, done: ScanDone | None, error: str | None) -> None:
        self._session.record(BatchClosed(batch=number, asked=asked, points=points, done=done, error=error))


def _outcome(task: asyncio.Task[ScanDone]) -> tuple[ScanDone | None, GrainloopError | None]:
    """What a finished task brought; bugs pass through."""
    if task.cancelled():
        return None, Cancelled("It was withdrawn.")
    error = task.exception()
    if error is None:
        return task.result(), None
    if isinstance(error, GrainloopError):
        return None, error
    raise error
