"""A run decided again from its journal, without services, clocks or weights.

Replies and timing come from the journal, decisions from the decider. Each decision that the journal holds is made again
and compared with it, byte for byte; the decider then stands where that of the run stood, so that a run can be gone on
with. That a drift was corrected is taken from the journal as well, since the maps that showed it are not in there; what
it did to the points is compared. A decision behind lost records that comes out otherwise is not said to differ: nobody
knows. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, assert_never

from grainloop.controller.decide import Batch, Decider
from grainloop.controller.decide import Enough as NoMore
from grainloop.controller.journal import entries as of
from grainloop.controller.journal.decisions import decided_entry
from grainloop.controller.ledger import Moved
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import RunEvent


@dataclass(frozen=True)
class Difference:
    """The first decision that came out otherwise.

    Attributes:
        number: of the decision, from 0.
        recorded: what the journal holds, in words.
        decided: what the decider says now.
    """

    number: int
    recorded: str
    decided: str

    def __str__(self) -> str:
        return f"Decision {self.number} differs: recorded {self.recorded}; decided again {self.decided}."


@dataclass
class Replayed:
    """A run as far as its journal tells.

    Attributes:
        began: its first entry.
        decider: after the last entry.
        decisions: that were made again.
        difference: the first one that differs, if any; nothing is decided again from there on.
        unknown: why a decision cannot be made again, in a sentence: records before it are lost. As with a difference,
            nothing is decided again from there on.
        sent: batches that were sent and neither closed nor withdrawn, oldest first.
        light: the PL images of the run.
        started: whether the first pass was planned.
        ended: how the run ended, if it did.
        last: its newest event.
        notes: one sentence per batch of which the journal holds fewer points than were stored.
    """

    began: of.Began
    decider: Decider
    decisions: int = 0
    difference: Difference | None = None
    unknown: str = ""
    sent: dict[int, Batch] = field(default_factory=dict[int, Batch])
    light: of.LightStored | None = None
    started: bool = False
    ended: of.Ended | None = None
    last: RunEvent | None = None
    notes: list[str] = field(default_factory=list[str])


def replay(entries: Iterable[of.Item]) -> Replayed:
    """Go through the entries of a journal, with `Missing` where some are lost, and decide again what they decide.

    Raises:
        BadInput: they do not begin with the beginning of a run, or tell of something that cannot follow.
    """
    found: _Player | None = None
    for entry in entries:
        if found is None:
            found = _Player(_beginning(entry))
        elif not found.over or isinstance(entry, (of.Ended, of.Resumed)):
            try:
                found.take(entry)
            except (KeyError, ValueError) as error:
                kind = "gap" if isinstance(entry, of.Missing) else entry.kind
                message = f"In the journal, `{kind}` cannot follow what is before it: records are missing."
                raise BadInput(message, field="session", value=kind) from error
    if found is None:
        raise BadInput("The journal is empty.", field="session")
    return found.run


def _beginning(entry: of.Item) -> of.Began:
    if isinstance(entry, of.Missing):
        raise BadInput("The beginning of the journal is lost.", field="session")
    if not isinstance(entry, of.Began):
        raise BadInput(f"The journal begins with `{entry.kind}` instead of a run.", field="session", value=entry.kind)
    return entry


class _Player:
    """Feeds entries to a decider."""

    def __init__(self, began: of.Began) -> None:
        self.run = Replayed(began, Decider(began.terms, began.run, began.answers))
        self._answers: dict[int, of.QuestionAnswered] = {}
        self._lost: list[of.Missing] = []

    @property
    def over(self) -> bool:
        """Whether nothing can be decided again any more."""
        return self.run.difference is not None or bool(self.run.unknown)

    def take(self, entry: of.Item) -> None:
        """Let the next entry happen."""
        run, ledger = self.run, self.run.decider.ledger
        match entry:
            case of.LightStored():
                run.light = entry
            case of.Started():
                run.decider.begin(entry.light_s)
                run.started = True
            case of.QuestionAsked():
                run.decider.question()
            case of.QuestionAnswered():
                self._answers[entry.question] = entry
            case of.Corrected():
                self._correct(entry)
            case of.Decided():
                self._decide(entry)
            case of.Stopped():
                self._stop(entry)
            case of.PointsStored():
                ledger.receive(entry.batch, entry.points, believed=entry.believed)
            case of.BatchClosed():
                self._close(entry)
            case of.EventTold():
                run.last = entry.event
            case of.Ended():
                run.ended = entry
            case of.Resumed():
                run.ended = None
                ledger.meet_again()
            case of.Missing():
                self._lost.append(entry)
            case of.Began() | of.SoftwareTold() | of.Reconstructed():
                pass  # nothing is decided by these; the beginning was seen to
            case _:
                assert_never(entry)

    def _close(self, entry: of.BatchClosed) -> None:
        self.run.sent.pop(entry.batch, None)
        if entry.withdrawn:
            self.run.decider.ledger.withdraw(entry.batch)
            return
        found = len(self.run.decider.ledger.close(entry.batch, entry.done).points)
        if found != entry.points:
            self.run.notes.append(f"Batch {entry.batch} brought {entry.points} points; the journal holds {found}.")

    def _decide(self, entry: of.Decided) -> None:
        run, batch = self.run, self._again(entry)
        if not isinstance(batch, Batch):
            self._part(said_of(entry), _in_words(batch))
            return
        again = decided_entry(batch, dict(entry.about))
        if of.entry_bytes(again) != of.entry_bytes(entry):
            self._part(said_of(entry), f"{said_of(again)}: {first_difference(again, entry)}")
            return
        run.decisions += 1
        run.sent[entry.request.batch] = batch

    def _again(self, entry: of.Decided) -> Batch | NoMore | None:
        decider, question = self.run.decider, entry.when.get("question")
        if entry.stop_gap:
            return decider.stop_gap()
        if question is None:
            return decider.next_planned()
        elapsed_s = float(entry.when["elapsed_s"] or 0.0)
        return self._answered(int(question), elapsed_s)

    def _answered(self, question: int, elapsed_s: float) -> Batch | NoMore:
        answer = self._answers.pop(question, None)
        usable: Any = answer if answer is not None and answer.error is None else None
        return self.run.decider.decide(usable, lambda: elapsed_s)

    def _stop(self, entry: of.Stopped) -> None:
        decided = self._answered(entry.question, 0.0)
        if not isinstance(decided, NoMore) or decided.why != entry.why:
            self._part(_in_words(NoMore(entry.why)), _in_words(decided))
            return
        self.run.decisions += 1

    def _correct(self, entry: of.Corrected) -> None:
        moved = self.run.decider.ledger.correct(entry.rows_px, entry.columns_px, entry.from_point)
        recorded = Moved(entry.moved, entry.outside, entry.again, entry.aimed_from)
        if moved != recorded:
            self._part(_moved_words(recorded), _moved_words(moved))

    def _part(self, recorded: str, decided: str) -> None:
        """The next decision comes out otherwise."""
        run = self.run
        if self._lost:
            run.unknown = f"Decision {run.decisions} cannot be made again: {of.lost_words(self._lost)}."
        else:
            run.difference = Difference(run.decisions, recorded, decided)


def said_of(entry: of.Decided) -> str:
    """A decided batch in words."""
    return f"batch {entry.request.batch} of {len(entry.request.point_id)} points by {entry.decided_by}"


def _in_words(decided: Batch | NoMore | None) -> str:
    """What the decider decided where that is no batch, or another one than to stop."""
    return f"to stop since {decided.why}" if isinstance(decided, NoMore) else "nothing"


def _moved_words(moved: Moved) -> str:
    """What a correction before it did to the points that had come."""
    return (
        f"a drift that moved {moved.points} points, {moved.outside} of them beside the grid and {moved.again} onto "
        f"others, and that the beam was aimed by from point {moved.aimed_from} on"
    )


def first_difference(one: of.Decided, other: of.Decided) -> str:
    """Which field of two decisions differs first."""
    for name in type(one.request).model_fields:
        if not _same(getattr(one.request, name), getattr(other.request, name)):
            return f"`{name}` is another"
    for name in type(one).model_fields:
        if name != "request" and not _same(getattr(one, name), getattr(other, name)):
            return f"`{name}` is another"
    return "the same"


def _same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other) if not hasattr(one, "tobytes") else one.tobytes() == other.tobytes()
