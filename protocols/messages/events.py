"""What can happen in a run, as words, and how much each is a person's business: log, terminal and summary follow this.

The words are those that journals hold, so that old recordings read on; a word that is not known here reads as it stands
and is told as information. What an event goes with, points and decisions, is told by updates, not by words.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from grainloop.protocols.messages.common import Fraction, Name, Seconds
from grainloop.protocols.states import RunState
from grainloop.protocols.values import Value


class Severity(IntEnum):
    """How much an event is an operator's business, in rising order."""

    QUIET = 0
    """Something else tells it already: a line of the log, the progress bar."""
    INFO = 1
    """All goes as planned."""
    WARNING = 2
    """Something went otherwise than planned; the run goes on, perhaps with less."""
    ERROR = 3
    """Something is lost, or the specimen may be at risk."""


class EventKind(StrEnum):
    """What happened, as the word that journals hold."""

    DESCRIBED = "described"
    RESUMED = "resumed"
    NOT_SYNCED = "not_synced"
    NO_LIGHT = "no_light"
    """None was asked for, or there is none to take."""
    LIGHT_FAILED = "light_failed"
    LIGHT_TAKEN = "light_taken"
    MODEL_FAILED = "model_failed"
    MODEL_NOTE = "model_note"
    """Something cannot be used by the model, and why."""
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DECIDED = "decided"
    BATCH_DONE = "batch_done"
    BATCH_FAILED = "batch_failed"
    BATCH_KEPT = "batch_kept"
    """It stays open at an instrument that is gone and remembers it."""
    SENT_AGAIN = "sent_again"
    DISPLACED = "displaced"
    """Points were measured beside their targets."""
    POINTS_LOST = "points_lost"
    """Points were exposed, and their results are lost."""
    POINTS_REFUSED = "points_refused"
    """What came of points cannot be believed: they count as failed, what came is in the journal."""
    RECONSTRUCTED = "reconstructed"
    DRIFT = "drift"
    FINAL_MISSING = "final_missing"
    NOT_PARKED = "not_parked"
    """The beam may still be on the specimen."""
    NO_ROOM = "no_room"
    """The journal takes nothing for want of room; the run waits."""
    ROOM_AGAIN = "room_again"
    VIEW_LOST = "view_lost"
    """`session.h5` cannot be written; the run goes on without."""
    FINISHED = "finished"

    @property
    def severity(self) -> Severity:
        """How much it is an operator's business."""
        return SEVERITY[self]


SEVERITY: Final[dict[EventKind, Severity]] = {
    EventKind.DESCRIBED: Severity.INFO,
    EventKind.RESUMED: Severity.INFO,
    EventKind.NOT_SYNCED: Severity.WARNING,
    EventKind.NO_LIGHT: Severity.INFO,
    EventKind.LIGHT_FAILED: Severity.WARNING,
    EventKind.LIGHT_TAKEN: Severity.INFO,
    EventKind.MODEL_FAILED: Severity.WARNING,
    EventKind.MODEL_NOTE: Severity.WARNING,
    EventKind.RUNNING: Severity.INFO,
    EventKind.PAUSED: Severity.INFO,
    EventKind.STOPPED: Severity.INFO,
    EventKind.DECIDED: Severity.QUIET,
    EventKind.BATCH_DONE: Severity.QUIET,
    EventKind.BATCH_FAILED: Severity.WARNING,
    EventKind.BATCH_KEPT: Severity.WARNING,
    EventKind.SENT_AGAIN: Severity.WARNING,
    EventKind.DISPLACED: Severity.WARNING,
    EventKind.POINTS_LOST: Severity.ERROR,
    EventKind.POINTS_REFUSED: Severity.ERROR,
    EventKind.RECONSTRUCTED: Severity.QUIET,
    EventKind.DRIFT: Severity.WARNING,
    EventKind.FINAL_MISSING: Severity.WARNING,
    EventKind.NOT_PARKED: Severity.ERROR,
    EventKind.NO_ROOM: Severity.ERROR,
    EventKind.ROOM_AGAIN: Severity.INFO,
    EventKind.VIEW_LOST: Severity.WARNING,
    EventKind.FINISHED: Severity.QUIET,
}


class RunEvent(Value):
    """One thing that happened in a run, numbered without gaps.

    Attributes:
        sequence: 1, 2, 3, …
        state: run state after the event.
        event: what happened; a word of a journal that this version does not know stays as it is.
        text: the same as a sentence.
        points_measured: so far.
        points_budget: of at most.
        predicted_wrong: latest predicted share of wrong pixels.
        instrument_s: instrument clock.
        numbers: that stand in the text, by name (`batch`, `points`, …); of a correction of a drift all that its record
            holds. Empty in journals of older formats.
    """

    kind: Literal["run_event"] = "run_event"
    sequence: Annotated[int, Field(ge=1)]
    state: RunState
    event: Annotated[EventKind | Name, Field(union_mode="left_to_right")]
    text: str
    points_measured: Annotated[int, Field(ge=0)]
    points_budget: Annotated[int, Field(ge=0)]
    predicted_wrong: Fraction | None = None
    instrument_s: Seconds = 0.0
    numbers: Annotated[dict[Name, int | float], Field(default_factory=dict)]

    @property
    def severity(self) -> Severity:
        """How much it is an operator's business; that of an unknown word is not known, so it is told."""
        return self.event.severity if isinstance(self.event, EventKind) else Severity.INFO
