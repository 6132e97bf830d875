"""The entry that tells of a correction of a drift, and the numbers by which an event tells of it too."""

from __future__ import annotations

from typing import Literal

from grainloop.controller.ledger import Correction
from grainloop.protocols.messages import EventKind, RunEvent
from grainloop.protocols.values import Value


class Corrected(Value):
    """A drift of the beam is taken into account, by the answer to a question; from here on it was decided with that.

    Attributes:
        rows_px, columns_px: the beam hits the specimen so much farther down and right than before.
        from_point: id of the first point that was measured so.
        aimed_from: id of the first point that is asked for with that in mind.
        moved, outside, again: points that count elsewhere now; of these, beside the grid, on a pixel measured before.
        points, gain, clear, found_px: evidence, as in `controller.decide.drift.Shift`; the shift in rows and columns. A
            record that was lost and made again from mere words (`controller.record.older_words`) knows no gain: 0.
    """

    kind: Literal["corrected"] = "corrected"
    question: int
    rows_px: int
    columns_px: int
    from_point: int
    aimed_from: int
    moved: int
    outside: int
    again: int
    points: int
    gain: float
    clear: float
    found_px: tuple[float, float]

    @property
    def correction(self) -> Correction:
        """What of it places points and aims the beam."""
        return Correction(self.rows_px, self.columns_px, self.from_point, self.aimed_from)

    @property
    def numbers(self) -> dict[str, float]:
        """All of it but what kind it is, by name, for the event that tells of it."""
        rows_px, columns_px = self.found_px
        columns = self.model_dump(exclude={"kind", "found_px"})
        return columns | {"found_rows_px": rows_px, "found_columns_px": columns_px}

    @classmethod
    def told_by(cls, event: RunEvent) -> Corrected | None:
        """The correction that an event tells of by its numbers; nothing where it tells of none, or in words alone."""
        numbers = dict(event.numbers)
        if event.event != EventKind.DRIFT or "aimed_from" not in numbers:
            return None
        found_px = numbers.pop("found_rows_px"), numbers.pop("found_columns_px")
        return cls.model_validate(numbers | {"found_px": found_px})
