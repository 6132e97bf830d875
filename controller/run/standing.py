"""Where a run stands: its state, and its events, numbered, stored and told.

An event is in the session file, where there is one, before anybody hears of it. Which moves are legal is the business
of `protocols.states`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from grainloop.controller.journal import EventTold
from grainloop.controller.ledger import Ledger
from grainloop.controller.record import Recording, Trouble, View, Views, nobody
from grainloop.protocols.messages import EventKind, RunEvent
from grainloop.protocols.states import RunState, Trigger, move


class Standing:
    """State and events of one run.

    Args:
        views: told every event, and what is recorded as soon as there is a recording.

    Attributes:
        state: where the run stands.
        last: the newest event.
        session: where events are stored, once there is a file.
        ledger: where the figures in events come from, once there is one.
        predicted_wrong: newest predicted share of wrong pixels.
        views: who looks at the run.
        has_room: set while what is recorded is stored at once; nothing new is begun else.
        when_full: told why that is so no more.
    """

    def __init__(self, views: Iterable[View] = ()) -> None:
        self.state = RunState.IDLE
        self.last: RunEvent | None = None
        self.session: Recording | None = None
        self.ledger: Ledger | None = None
        self.predicted_wrong: float | None = None
        self.views = Views(views)
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.when_full: Trouble = nobody

    def record_in(self, session: Recording, ledger: Ledger) -> None:
        """From now on there is a recording, and there are figures."""
        self.session, self.ledger = session, ledger
        session.attach(self.views, self.when_full, self._lost_view)

    def _lost_view(self, why: str) -> None:
        text = f"{why} The run goes on: the journal holds everything, and the file is made again from it at the end."
        self.say(EventKind.VIEW_LOST, text)

    def move(self, trigger: Trigger) -> RunState:
        """Make a move.

        Raises:
            IllegalState: the table does not hold it.
        """
        self.state = move(self.state, trigger)
        return self.state

    def say(self, event: EventKind, text: str, **numbers: float) -> None:
        """Store and tell an event; `numbers` are those in its text."""
        ledger = self.ledger
        self.last = RunEvent(
            sequence=1 if self.last is None else self.last.sequence + 1,
            state=self.state,
            event=event,
            text=text,
            points_measured=0 if ledger is None else len(ledger.points),
            points_budget=0 if ledger is None else ledger.terms.max_points,
            predicted_wrong=self.predicted_wrong,
            instrument_s=0.0 if ledger is None else ledger.clock_s,
            numbers=numbers,
        )
        told = EventTold(event=self.last)
        if self.session is None:
            self.views.show(told, None, 0.0)
        else:
            self.session.record(told)
