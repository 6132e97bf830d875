"""Choosing what to measure next, of what the model proposes and where it proposes nothing: the steps of a decider.

`controller.decide.point_choice` takes them for free points, `controller.decide.shape_choice` for lines and rectangles.
When something is chosen, whether it pays, and what of it fits into the budget is the business of
`controller.decide.decider`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.decide.picks import Picks
from grainloop.controller.decide.shape_picks import ShapePicks
from grainloop.controller.decide.sizes import Size
from grainloop.controller.geometry import around
from grainloop.controller.ledger import Ledger
from grainloop.protocols.messages import ProposalRequest, Proposals

Mask = NDArray[np.bool_]
Wanted = Picks | ShapePicks
_ENOUGH_FREE = 4
"""Pixels near queued ones are spared while there are so many times as many others as are wanted."""


@dataclass(frozen=True)
class Chosen:
    """What may be measured now.

    Attributes:
        proposed: what the model proposed of it, best first.
        batch: the same with what fills it up, or what takes its place.
    """

    proposed: Wanted
    batch: Wanted


class Choice(Protocol):
    """Who chooses; remembers what of the newest proposals was left over."""

    @property
    def out_of_time(self) -> bool:
        """Whether the time left is too short for anything that could be chosen."""
        ...

    def size(self, batches_left: int, now_s: float) -> Size:
        """The most that the next batch may be, of so many that the plan foresees, now; no points for none."""
        ...

    def proposal_request(self, size: Size) -> ProposalRequest:
        """What the model is to propose for a batch of this size and what follows it, by what is known now."""
        ...

    def choose(self, proposals: Proposals | None, size: Size) -> Chosen:
        """The next batch, of what the model proposed when it was last requested to, or without it where it did not."""
        ...

    def stop_gap(self, size: Size) -> Chosen:
        """What keeps the instrument busy while the model thinks; as proposed counts what the newest batch left over."""
        ...

    def still(self, planned: Wanted) -> Wanted:
        """What may be measured now of something planned before: points beside their targets may have shown it."""
        ...

    def why_nothing(self, size: Size) -> str:
        """Why a batch of this size comes to nothing, where points are left."""
        ...


def near_queued(ledger: Ledger) -> Mask:
    """(h, w) pixels so near to a queued point that its result may settle them."""
    exposures = ledger.exposures
    spacing = math.sqrt(exposures.asked.size / max(1, exposures.points_asked))
    return around(ledger.queued_px(), spacing / 2, ledger.terms.shape_px)


def spared(ledger: Ledger, closed: Mask, used: Mask, count: int) -> Mask:
    """(h, w) pixels not to propose: those that are `closed`, and those near queued ones while enough others are left.

    Args:
        ledger: of the run.
        closed: (h, w) pixels that must not be proposed.
        used: (h, w) pixels that are not what is wanted, though they may be proposed.
        count: of the pixels wanted.
    """
    near = near_queued(ledger) | closed
    return near if (~(near | used)).sum() >= _ENOUGH_FREE * count else closed
