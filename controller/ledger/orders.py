"""A request that is out: which of its points have come, and which of those that came can be kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.geometry import inside
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock

_MOST_STRANGERS = 1000
"""Points that were not asked for are kept as evidence up to so many."""


@dataclass(frozen=True)
class Received:
    """What became of a block.

    Attributes:
        kept: what can be kept of it, with failed points in the place of those that cannot be believed.
        fault: why the rest of it was not asked for; nothing where all was.
        refused: what is not kept as it came, as it came.
        failed: how many of the points kept stand for refused ones.
        why: what is wrong with the first of these, in a sentence; empty where there is none.
    """

    kept: PointBlock
    fault: str | None
    refused: PointBlock = field(default_factory=PointBlock.empty)
    failed: int = 0
    why: str = ""


@dataclass(frozen=True)
class Closed:
    """A batch that is over.

    Attributes:
        points: that it brought, in order.
        lost: how many it did not bring.
        displaced: how many were measured beside their target.
        farthest_px: how far at most.
        outside: how many lie beside the grid, by what is known of the drift.
    """

    points: PointBlock
    lost: int
    displaced: int
    farthest_px: float
    outside: int = 0


@dataclass(frozen=True)
class Moved:
    """What a correction did to points that had come.

    Attributes:
        points: how many it moved.
        outside: how many of them now lie beside the grid, and are no part of the map any more.
        again: how many now lie on a pixel that had been measured before: a second measurement of it.
        aimed_from: id of the first point that will be asked for with that in mind.
    """

    points: int
    outside: int
    again: int
    aimed_from: int


@dataclass
class Order:
    """A request that is out.

    Attributes:
        request: as sent.
        target_px: (N, 2) pixels of the specimen that it is meant for.
        not_before_s: instrument time of the run at which it was decided.
        declared_s: its declared duration.
        again: (N,) bool, points whose pixel had failed before.
        resent: it was sent again, so that points that came before may come once more.
    """

    request: ScanRequest
    target_px: NDArray[np.int32]
    not_before_s: float
    declared_s: float
    again: NDArray[np.bool_]
    resent: bool = False
    _blocks: list[PointBlock] = field(default_factory=list[PointBlock])

    def __post_init__(self) -> None:
        self._missing = np.ones(len(self.request.point_id), np.bool_)

    @property
    def block(self) -> PointBlock:
        """All points that came, in order."""
        return PointBlock.concatenate(self._blocks)

    @property
    def lost(self) -> int:
        """How many points have not come."""
        return int(self._missing.sum())

    @property
    def newest_s(self) -> float | None:
        """Time on the instrument clock of the newest point, if there is one."""
        return max((float(block.time_s.max()) for block in self._blocks if len(block)), default=None)

    def receive(self, block: PointBlock, shape_px: tuple[int, ...], name: str) -> Received:
        """Keep the points that were asked for, each once, inside the grid; `name` is that of the instrument."""
        block = self.new_of(block)
        place = block.point_id - self.request.point_id[0]
        known = (place >= 0) & (place < len(self._missing))
        known[known] = self._missing[place[known]]
        first = np.zeros(len(place), np.bool_)
        first[np.unique(place, return_index=True)[1]] = True
        good = known & first & inside(block.position_px, shape_px)
        kept = block if good.all() else block.select(good)
        self._missing[place[good]] = False
        self._blocks.append(kept)
        if good.all():
            return Received(kept, None)
        fault = self._fault(block, int(np.argmin(good)), known & first, name)
        return Received(kept, fault, block.select(np.flatnonzero(~good)[:_MOST_STRANGERS]))

    def new_of(self, block: PointBlock) -> PointBlock:
        """Where the request was sent again, without the points of it that came before."""
        if not self.resent:
            return block
        place = block.point_id - self.request.point_id[0]
        asked = (place >= 0) & (place < len(self._missing))
        came = asked.copy()
        came[asked] = ~self._missing[place[asked]]
        return block.select(~came) if came.any() else block

    def _fault(self, block: PointBlock, worst: int, asked: NDArray[np.bool_], name: str) -> str:
        point = f"{name} reported point {int(block.point_id[worst])} in batch {self.request.batch}"
        if not asked[worst]:
            return f"{point}, which was not asked for or came before."
        row, column = (int(n) for n in block.position_px[worst])
        return f"{point} at row {row}, column {column}, outside the grid."

    def ways_px(self, block: PointBlock) -> NDArray[np.float64]:
        """(N,) how far from its target each point of a block was measured, both on the specimen."""
        target = self.target_px[block.point_id - self.request.point_id[0]]
        return np.hypot(*(block.position_px - target).T.astype(np.float64))
