"""Values that older controllers wrote unseen, and that nobody can go on with: made harmless as they are read.

Before format 4 whatever a service told was journaled: points with NaN for an orientation, clocks at infinity, proposals
without a reason. What is read here is what a newer controller would have stored of it; the journal stays as it is.
"""

from __future__ import annotations

import math

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
from grainloop.protocols.hosting.limits import LATEST_S, fault_of, faults
from grainloop.protocols.messages import REASON_CODES, ProposalReason, Proposals, ScanDone
from grainloop.protocols.values import PointBlock, PointStatus

_NO_FIT_DEG = 180.0
_PLAIN = REASON_CODES.index(ProposalReason.UNCERTAIN)
_COLUMNS = ("gain", "reason", "p_wrong", "competing", "misorientation_deg")


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
        first = int(np.argmax(bad))
        field = next(name for name, fault in wrong.items() if fault[first])
        why = fault_of(points, field, first, capabilities.name).message
        refused = entry.refused or Refused(why=why, points=points.select(bad))
        return entry.model_copy(update={"points": _failed(points, bad), "refused": refused})


def _failed(points: PointBlock, bad: NDArray[np.bool_]) -> PointBlock:
    columns = {name: np.array(getattr(points, name)) for name in PointBlock.model_fields}
    columns["status"][bad], columns["phase_id"][bad] = PointStatus.FAILED, 0
    columns["orientation"][bad] = (1, 0, 0, 0)
    columns["confidence"][bad], columns["fit_deg"][bad] = 0, _NO_FIT_DEG
    for name in ("time_s", "dwell_s"):
        column = columns[name]
        known = np.isfinite(column) & (np.abs(column) < LATEST_S)
        column[~known] = column[known].max(initial=0.0)
    columns["dwell_s"] = np.maximum(columns["dwell_s"], 0)
    return PointBlock(**columns)


def _absurd(done: ScanDone) -> bool:
    return not all(math.isfinite(told) and told < LATEST_S for told in (done.started_s, done.finished_s, done.idle_s))


def _answer(entry: QuestionAnswered, told: Proposals) -> QuestionAnswered:
    """Proposals with columns of other lengths, by which nobody could decide, are none; a reason can be done without."""
    count = len(told.position_px)
    for name in _COLUMNS:
        column = getattr(told, name)
        if column is not None and len(column) != count:
            why = f"The model service answered with {len(column)} values of {name} for {count} proposals."
            return QuestionAnswered(question=entry.question, error=why)
    if not (told.reason >= len(REASON_CODES)).any():
        return entry
    return entry.model_copy(update={"proposals": told.model_copy(update={"reason": known_reasons(told.reason)})})


def known_reasons(reason: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes that are none read as the plainest one."""
    return np.where(reason >= len(REASON_CODES), _PLAIN, reason).astype(np.uint8)
