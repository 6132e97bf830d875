"""What the records of a spool mean: one closed union of frozen entries told apart by `kind`.

A spool tells the next process of an instrument service which points of a run were exposed, or may have been, and what
came of them. What follows from that is the business of `protocols.hosting.batches`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, cast

from pydantic import Field

from grainloop.protocols.arrays import IdList
from grainloop.protocols.codec import validator
from grainloop.protocols.messages import ScanDone, ScanRequest
from grainloop.protocols.values import PointBlock, Value


class Opened(Value):
    """The first entry of every file: whose points these are."""

    kind: Literal["opened"] = "opened"
    run: str
    instrument: str


class Begun(Value):
    """A batch was begun; nothing of it was exposed before this was on disk."""

    kind: Literal["begun"] = "begun"
    request: ScanRequest


class Step(Value):
    """What came of a batch, and what may be exposed from now on.

    Attributes:
        points: the newest results, in the order in which they came.
        exposing: ids of the points whose exposure may begin after this, all of them: those named before that brought no
            result by now were not exposed, unless they are named again. Nothing: as before.
        lost: why the results are failures, where they were lost.
    """

    kind: Literal["step"] = "step"
    section: int
    batch: int
    points: PointBlock
    exposing: IdList | None
    lost: str | None = None


class Finished(Value):
    """A batch is complete."""

    kind: Literal["finished"] = "finished"
    section: int
    done: ScanDone


class Dropped(Value):
    """The controller has stored all batches below a number: only their ids are kept.

    Attributes:
        section: of the run.
        below: the number.
        batches: how many were dropped so far.
        ids: of their points, as stretches (`protocols.hosting.id_ranges`).
    """

    kind: Literal["dropped"] = "dropped"
    section: int
    below: int
    batches: int
    ids: IdList


Entry = Opened | Begun | Step | Finished | Dropped

_validated: Callable[[object], Value] = validator(Annotated[Entry, Field(discriminator="kind")])


def as_entry(tree: object) -> Entry:
    """The entry that a plain tree is.

    Raises:
        BadMessage: it is none that this version knows.
    """
    return cast("Entry", _validated(tree))
