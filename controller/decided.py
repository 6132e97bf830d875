"""What a decision is: a batch, with why its points are asked for and when it was decided, or the end of the run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.why import Why
from protocols.messages import REASON_CODES, ScanRequest
from protocols.shapes import decode_pieces


@dataclass(frozen=True)
class When:
    """What a decision depends on that depends on timing; with this and the replies it can be made again.

    Attributes:
        over: batches closed or withdrawn before it was made.
        question: number of the question to the model that it answers, from 1; nothing where none was needed.
        asked_sent: batches sent when that was asked.
        asked_over: batches closed or withdrawn when that was asked.
        elapsed_s: from the question to the decision.
    """

    over: int
    question: int | None = None
    asked_sent: int | None = None
    asked_over: int | None = None
    elapsed_s: float = 0.0


@dataclass(frozen=True)
class Batch:
    """A decided batch: the request, and for each of its points why it is asked for and how far the beam travels to it.

    The way to the first point of a run is not known: the beam has not been used yet.

    Attributes:
        stop_gap: it keeps the instrument busy while the model thinks, and gives way to its answer until it has begun.
    """

    request: ScanRequest
    why: Why
    travel_px: NDArray[np.float32]
    decided_by: str
    when: When
    stop_gap: bool = False

    @property
    def gain_px(self) -> float:
        """Pixels that the batch is forecast to put right."""
        return round(float(self.why.gain.sum()), 3)

    @property
    def shapes(self) -> list[dict[str, Any]]:
        """Its lines, rectangles and stretches of free points, in order; nothing where all are free points."""
        if self.request.pieces is None:
            return []
        pieces = decode_pieces(self.request.pieces, len(self.request.point_id))
        return [asdict(piece) | {"shape": piece.shape.value} for piece in pieces]

    @property
    def reasons(self) -> dict[str, int]:
        """How many of its points are asked for why."""
        codes, counts = np.unique(self.why.reason, return_counts=True)
        return {REASON_CODES[int(code)].value: int(count) for code, count in zip(codes, counts, strict=True)}


NOTHING_LEFT = "no pixel is left that may be measured"
BUDGET_SPENT = "the budget is spent"
NO_TIME = "no instrument time is left"
TOO_LITTLE_LEFT = "what is left is less than the smallest shape"
NO_SHAPE = "no shape that may be scanned promises anything"


@dataclass(frozen=True)
class Enough:
    """The decision to measure no more, and why."""

    why: str
