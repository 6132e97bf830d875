"""What is said of a batch that is over, in words and numbers; what became of it is written down before."""

from __future__ import annotations

from grainloop.controller.ledger import Closed
from grainloop.controller.run.standing import Standing
from grainloop.protocols.messages import EventKind
from grainloop.protocols.sentences import counted


def say_closed(
    standing: Standing, number: int, closed: Closed, asked: int, error: str | None, *, stop_gap: bool = False
) -> None:
    """How a batch of so many points ended, and whether they lie where they were asked for."""
    points = len(closed.points)
    numbers = {"batch": number, "points": points, "asked": asked}
    if error is not None:
        text = f"Batch {number} ended with {points} of {asked} points: {error}"
        standing.say(EventKind.BATCH_FAILED, text, **numbers)
    else:
        why = " while the model was thinking" if stop_gap else ""
        text = f"Batch {number}: {points} of {asked} points measured{why}."
        standing.say(EventKind.BATCH_DONE, text, **numbers)
    if closed.displaced:
        _say_displaced(standing, number, closed)


def say_refused(standing: Standing, number: int, refused: int, why: str) -> None:
    """That so many points of a batch cannot be believed, and why the first one cannot."""
    points = counted(refused, "point")
    count = "counts as failed, and is" if refused == 1 else "count as failed, and are"
    text = f"{why} {points} of batch {number} {count} in the journal as sent."
    standing.say(EventKind.POINTS_REFUSED, text, batch=number, points=refused)


def _say_displaced(standing: Standing, number: int, closed: Closed) -> None:
    points, farthest_px = len(closed.points), round(closed.farthest_px, 1)
    far = f"up to {farthest_px:.1f} px beside their targets; they count where they were measured."
    beside = f" {closed.outside} of them are beside the grid." if closed.outside else ""
    text = f"Batch {number}: {closed.displaced} of {points} points were measured {far}{beside}"
    numbers = {"batch": number, "points": points, "displaced": closed.displaced, "outside": closed.outside}
    standing.say(EventKind.DISPLACED, text, farthest_px=farthest_px, **numbers)
