"""Points of one batch as they come: looked at, stored, counted, and told of where they are lost or cannot be believed.

Sending a batch and closing it is the business of `controller.run.batches`; which points can be believed that of
`controller.ledger.refusals`.
"""

from __future__ import annotations

from typing import Any

from grainloop.controller.journal import PointsStored, Refused
from grainloop.controller.ledger import Ledger
from grainloop.controller.record import Recording
from grainloop.controller.run.replies import checked_done
from grainloop.controller.run.standing import Standing
from grainloop.controller.run.words import say_refused
from grainloop.protocols.errors import BadMessage, DeviceFailed, OutOfLimits
from grainloop.protocols.messages import EventKind, PointsMeasured, ScanDone
from grainloop.protocols.sentences import one_line


class TimeSpent(OutOfLimits):
    """The instrument took longer than it had declared, and its time is over."""


class Arrivals:
    """What comes of a batch that is out.

    Args:
        ledger: counts the points.
        session: where they are stored.
        standing: of the run.
        number: of the batch.
        asked: points that it asks for.
    """

    def __init__(self, ledger: Ledger, session: Recording, standing: Standing, number: int, asked: int) -> None:
        self._ledger, self._session, self._standing = ledger, session, standing
        self._number, self._asked, self._came = number, asked, 0
        self._refused = self._refused_told = 0
        self._why = ""

    def begin(self) -> None:
        """The batch is sent, perhaps again: what came before may come once more."""
        self._came = 0

    def take(self, message: Any) -> None:
        """Store a message of points, what cannot be believed of it as evidence, and tell of it.

        Raises:
            BadMessage: it is none of this batch.
            DeviceFailed: it holds points that were not asked for.
            TimeSpent: the instrument took longer than it had declared.
            JournalLost: it cannot be stored.
        """
        if not isinstance(message, PointsMeasured) or message.batch != self._number:
            raise self._something_else()
        self._came += len(message.points)
        received = self._ledger.look_at(self._number, message.points, lost=message.lost is not None)
        why = " ".join(filter(None, [received.why, received.fault]))
        refused = Refused(why=why, points=received.refused) if why else None
        stored = PointsStored(batch=self._number, points=received.kept, lost=message.lost, refused=refused)
        self._session.record(stored)
        if message.lost is not None:
            self._say_lost(len(received.kept), message.lost)
        if received.failed:
            self._refuse(received.failed, received.why)
        if received.fault is not None:
            raise DeviceFailed(received.fault, field="points")
        if self._ledger.time_is_over(received.kept):
            raise TimeSpent("The instrument time of the budget is over; the rest of the batch was withdrawn.")

    def _say_lost(self, count: int, why: str) -> None:
        text = f"{count} points of batch {self._number} failed: {one_line(why)}."
        self._standing.say(EventKind.POINTS_LOST, text, batch=self._number, points=count)

    def _refuse(self, count: int, why: str) -> None:
        """The first ones are told at once, all of them when the batch is over."""
        self._refused, self._why = self._refused + count, self._why or why
        if not self._refused_told:
            self._tell_refused()

    def _tell_refused(self) -> None:
        self._refused_told = self._refused
        say_refused(self._standing, self._number, self._refused, self._why)

    def ended(self, done: Any, patience_s: float) -> ScanDone:
        """What the instrument says of the end, after so long at most.

        Raises:
            BadMessage: it is none of this batch, or says what cannot be.
        """
        if not isinstance(done, ScanDone) or done.batch != self._number:
            raise self._something_else()
        return checked_done(done, self._came, self._asked, self._ledger.newest_s(self._number), patience_s)

    def over(self) -> DeviceFailed | None:
        """Tell what was not told yet; returns what is wrong where nothing of the batch can be believed."""
        if self._refused > self._refused_told:
            self._tell_refused()
        if self._refused < self._asked:
            return None
        return DeviceFailed(f"Nothing of batch {self._number} can be believed. {self._why}")

    def _something_else(self) -> BadMessage:
        return BadMessage(f"The instrument answered batch {self._number} with something else.", field="batch")
