"""Points that somebody wants measured, each with why, as columns that stay together; best first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.decide.decision import Index, Why
from grainloop.controller.geometry import inside
from grainloop.protocols.messages import REASON_CODES, ProposalReason, Proposals

Pixels = NDArray[np.int32]
_EXPLORING = REASON_CODES.index(ProposalReason.EXPLORATION)


@dataclass(frozen=True)
class Picks:
    """Pixels (N, 2), and why they are wanted."""

    position_px: Pixels
    why: Why

    def __len__(self) -> int:
        return len(self.position_px)

    @classmethod
    def plain(cls, position_px: Pixels, reason: ProposalReason) -> Picks:
        """All for the same reason, without a forecast."""
        return cls(position_px, Why.plain(len(position_px), reason))

    @classmethod
    def none(cls) -> Picks:
        """No point at all."""
        return cls.plain(np.empty((0, 2), np.int32), ProposalReason.SPACE_FILLING)

    @classmethod
    def proposed(cls, proposals: Proposals | None) -> Picks:
        """What the model service proposes."""
        return cls.none() if proposals is None else cls(proposals.position_px, Why.told(proposals))

    def take(self, index: Index) -> Picks:
        """The rows that a numpy index picks."""
        return Picks(self.position_px[index], self.why.take(index))

    @property
    def pieces(self) -> None:
        """None: free points all of them."""
        return

    def cut(self, most_points: int) -> Picks:
        """The best so many."""
        return self.take(slice(most_points))

    def then(self, more: Picks) -> Picks:
        """These and those of `more` behind them."""
        return Picks(np.concatenate([self.position_px, more.position_px]), self.why.then(more.why))

    def allowed(self, may: NDArray[np.bool_]) -> Picks:
        """Those inside the grid, on pixels (h, w) that may be asked for, each pixel once."""
        known = self.take(inside(self.position_px, may.shape))
        free = known.take(np.asarray(may[tuple(known.position_px.T)]))
        _, first = np.unique(free.position_px, axis=0, return_index=True)
        return free.take(np.sort(first))

    def split(self, count: int) -> tuple[Picks, Picks]:
        """The best `count`, and the rest; whatever explores is among the first, so that its share stays."""
        rank = np.argsort(self.why.reason != _EXPLORING, kind="stable")
        return self.take(np.sort(rank[:count])), self.take(np.sort(rank[count:]))
