"""Where a run stands: its state, and its events, numbered, stored and told.

An event is in the session file before anybody hears of it. Which moves are legal is `protocols.states`' business.
"""

from __future__ import annotations

from collections.abc import Callable

from grainloop.controller.ledger import Ledger
from grainloop.controller.record import OnEntry, Recording, ignore
from grainloop.protocols.messages import RunEvent
from grainloop.protocols.states import RunState, Trigger, move


class Standing:
    """State and events of one run.

    Args:
        on_event: told every event.

    Attributes:
        state: where the run stands.
        last: the newest event.
        session: where events are stored, once there is a file.
        ledger: where the figures in events come from, once there is one.
        predicted_wrong: newest predicted share of wrong pixels.
        on_entry: told every entry of the journal, and how long storing it took.
    """

    def __init__(self, on_event: Callable[[RunEvent], None]) -> None:
        self.state = RunState.IDLE
        self.last: RunEvent | None = None
        self.session: Recording | None = None
        self.ledger: Ledger | None = None
        self.predicted_wrong: float | None = None
        self.on_entry: OnEntry = ignore
        self._on_event = on_event

    def move(self, trigger: Trigger) -> RunState:
        """Make a move.

        Raises:
            IllegalState: the table does not hold it.
        """
        self.state = move(self.state, trigger)
        return self.state

    def say(self, event: str, text: str) -> None:
        """Store and tell an event."""
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
        )
        if self.session is not None:
            self.session.add_event(self.last)
        self._on_event(self.last)
