"""What a decision is: a batch, with why its points are asked for and when it was decided, or the end of the run.

Why points are asked for are columns that stay together while a batch is chosen, cut and ordered. Who chooses is told in
`controller.decide.choice`; what is told of a choice comes from the model service.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.messages import REASON_CODES, ProposalReason, Proposals, ScanRequest
from grainloop.protocols.shapes import decode_pieces

Index = NDArray[np.int64] | NDArray[np.bool_] | slice


@dataclass(frozen=True, eq=False)
class Why:
    """One row per point, as in `protocols.messages.Proposals`; NaN where nothing was forecast.

    Attributes:
        reason: (N,) codes of `REASON_CODES`.
        gain: (N,) predicted number of pixels put right, those before it given.
        p_wrong: (N,) probability that the map is wrong at the pixel.
        competing: (N,) how many measured grains may lie there; 0 where nobody told.
        misorientation_deg: (N,) angle between the two likeliest of them.
    """

    reason: NDArray[np.uint8]
    gain: NDArray[np.float32]
    p_wrong: NDArray[np.float32]
    competing: NDArray[np.uint8]
    misorientation_deg: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.reason)

    @classmethod
    def plain(cls, count: int, reason: ProposalReason) -> Why:
        """The same reason for all, without a forecast."""
        unknown = np.full(count, np.nan, np.float32)
        code = np.full(count, REASON_CODES.index(reason), np.uint8)
        return cls(code, np.zeros(count, np.float32), unknown, np.zeros(count, np.uint8), unknown)

    @classmethod
    def told(cls, proposals: Proposals) -> Why:
        """What the model service says of its proposals."""
        plain = cls.plain(len(proposals.reason), ProposalReason.UNCERTAIN)
        told = {column.name: getattr(proposals, column.name) for column in fields(cls)}
        return cls(**{name: getattr(plain, name) if value is None else value for name, value in told.items()})

    def take(self, index: Index) -> Why:
        """The rows that a numpy index picks."""
        return Why(**{name: column[index] for name, column in self.columns().items()})

    def then(self, more: Why) -> Why:
        """These rows and those of `more` behind them."""
        return Why(**{name: np.concatenate([column, getattr(more, name)]) for name, column in self.columns().items()})

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name."""
        return {column.name: getattr(self, column.name) for column in fields(self)}


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
