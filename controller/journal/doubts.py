"""Values that older controllers wrote unseen, and that nobody can go on with: made harmless as they are read.

Before format 4 whatever a service told was journaled: points with NaN for an orientation, clocks at infinity, proposals
without a reason. What is read here is what a newer controller would have stored of it; the journal stays as it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.journal.entries import (
    BatchClosed,
    Began,
    Decided,
    Entry,
    PointsStored,
    QuestionAnswered,
    Refused,
)
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.hosting.limits import LATEST_S, fault_of, faults, first_fault
from grainloop.protocols.messages import REASON_CODES, ProposalReason, Proposals, ScanDone
from grainloop.protocols.values import PointBlock

_PLAIN = REASON_CODES.index(ProposalReason.UNCERTAIN)


class Doubts:
    """Reads the entries of one journal in order."""

    def __init__(self) -> None:
        self._capabilities: Capabilities | None = None

    def believed(self, entry: Entry) -> Entry:
        """The entry, without what cannot be."""
        match entry:
            case Began():
                self._capabilities = entry.capabilities
                return entry
            case PointsStored():
                return self._points(entry)
            case BatchClosed() if entry.done is not None and _absurd(entry.done):
                return entry.model_copy(update={"done": None})
            case QuestionAnswered() if entry.proposals is not None:
                return _answer(entry, entry.proposals)
            case Decided() if (entry.reason >= len(REASON_CODES)).any():
                return entry.model_copy(update={"reason": known_reasons(entry.reason)})
            case _:
                return entry

    def _points(self, entry: PointsStored) -> PointsStored:
        points, capabilities = entry.points, self._capabilities
        if capabilities is None:
            return entry
        wrong = faults(points, capabilities)
        wrong["time_s"] = ~(np.abs(points.time_s) < LATEST_S)  # a clock that ran backwards can be lived with
        bad = np.any(list(wrong.values()), axis=0)
        if not bad.any():
            return entry
        field, first = first_fault(wrong, bad)
        why = fault_of(points, field, first, capabilities.name).message
        refused = entry.refused or Refused(why=why, points=points.select(bad))
        return entry.model_copy(update={"points": _failed(points, bad), "refused": refused})


def _failed(points: PointBlock, bad: NDArray[np.bool_]) -> PointBlock:
    time_s, dwell_s = _known(points.time_s), np.maximum(_known(points.dwell_s), 0)
    return points.with_failed(bad).model_copy(update={"time_s": time_s, "dwell_s": dwell_s})


def _known(seconds: NDArray[Any]) -> NDArray[Any]:
    """The latest known value where one cannot be."""
    known = np.isfinite(seconds) & (np.abs(seconds) < LATEST_S)
    return np.where(known, seconds, seconds[known].max(initial=0.0)).astype(seconds.dtype)


def _absurd(done: ScanDone) -> bool:
    return not all(math.isfinite(told) and told < LATEST_S for told in (done.started_s, done.finished_s, done.idle_s))


def _answer(entry: QuestionAnswered, told: Proposals) -> QuestionAnswered:
    """Proposals with columns of other lengths, by which nobody could decide, are none; a reason can be done without."""
    for _, said in told.uneven():
        return QuestionAnswered(question=entry.question, error=f"The model service answered with {said}.")
    if not (told.reason >= len(REASON_CODES)).any():
        return entry
    return entry.model_copy(update={"proposals": told.model_copy(update={"reason": known_reasons(told.reason)})})


def known_reasons(reason: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes that are none read as the plainest one."""
    return np.where(reason >= len(REASON_CODES), _PLAIN, reason).astype(np.uint8)
