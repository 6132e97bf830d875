"""Why points are asked for, as columns that stay together while a batch is chosen, cut and ordered.

Who chooses is told in `controller.choosing`; what is told of a choice comes from the model service.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.messages import REASON_CODES, ProposalReason, Proposals

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
