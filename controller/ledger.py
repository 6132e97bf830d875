"""What was asked for, what came back and what it may still cost: points, ids and instrument time of one section.

The ledger is the only place that hands out point ids and the only one that knows the budget, so that no limit is passed
and no pixel is asked for twice, but for those that brought no orientation and may be repeated. A point counts against
the budget from the moment it is asked for, because the beam may have been there even when its result is lost. Nothing
here decides where to measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller import plans
from controller.route import path_length
from protocols.capabilities import Capabilities
from protocols.errors import DeviceFailed
from protocols.messages import ScanDone, ScanRequest
from protocols.plan import RunPlan
from protocols.values import PointBlock

Pixels = NDArray[np.int32]
_FIRST_CAPACITY = 1024


class PointStore:
    """All points of the run in one growing set of columns; reading them copies nothing."""

    def __init__(self) -> None:
        empty = PointBlock.empty()
        self._columns: dict[str, NDArray[Any]] = {
            name: np.array(getattr(empty, name)) for name in PointBlock.model_fields
        }
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, block: PointBlock) -> None:
        """Add the points of `block` at the end."""
        end = self._count + len(block)
        for name, column in self._columns.items():
            if end > len(column):
                grown = np.empty((max(_FIRST_CAPACITY, 2 * end), *column.shape[1:]), column.dtype)
                grown[: self._count] = column[: self._count]
                self._columns[name] = grown
            self._columns[name][self._count : end] = getattr(block, name)
        self._count = end

    def block(self) -> PointBlock:
        """Everything so far, read-only."""
        return PointBlock(**{name: _frozen(column[: self._count]) for name, column in self._columns.items()})


def _frozen(view: NDArray[Any]) -> NDArray[Any]:
    view.flags.writeable = False
    return view


@dataclass
class _Order:
    """A request that is out, with what it has brought so far."""

    request: ScanRequest
    declared_s: float
    missing: NDArray[np.bool_]
    blocks: list[PointBlock] = field(default_factory=list[PointBlock])


class Ledger:
    """Points, ids, budget and clock of one section.

    Attributes:
        max_points: the most points that may ever be asked for.
        asked: (h, w) bool, pixels that were asked for.
        points: what the finished batches brought, in order.
        clock_s: instrument clock at the newest finished batch.
        idle_s: how long the instrument had nothing to do, by its own account.
    """

    def __init__(self, plan: RunPlan, capabilities: Capabilities, run: str) -> None:
        self.plan, self.capabilities, self.run = plan, capabilities, run
        self.max_points = plan.budget.max_points(capabilities.grid.size)
        self.asked: NDArray[np.bool_] = np.zeros(capabilities.grid.shape_px, np.bool_)
        self._failed: NDArray[np.bool_] = np.zeros(capabilities.grid.shape_px, np.bool_)
        self._times: NDArray[np.uint8] = np.zeros(capabilities.grid.shape_px, np.uint8)
        self.points = PointStore()
        self.clock_s = self.idle_s = self._busy_until_s = 0.0
        self._orders: dict[int, _Order] = {}
        self._next_id = self._next_batch = 0
        self._beam_px: Pixels | None = None
        self._pace = 1.0

    def begin(self, light_s: float) -> None:
        """Count the PL images, the first thing that takes instrument time."""
        self.clock_s = self._busy_until_s = light_s

    @property
    def points_left(self) -> int:
        """Points that may still be asked for."""
        return self.max_points - self._next_id

    @property
    def points_asked(self) -> int:
        """Points asked for so far."""
        return self._next_id

    @property
    def beam_px(self) -> Pixels | None:
        """(2,) pixel where the beam will stand when everything queued is done."""
        return self._beam_px

    @property
    def repeatable(self) -> NDArray[np.bool_]:
        """(h, w) bool, pixels whose measurement brought no orientation and may be repeated by the plan.

        A point whose result was lost is not among them: nobody knows how long the beam was there.
        """
        just_enough = self.points_left == np.count_nonzero(~self.asked)  # to measure every pixel once
        return self._failed & (self._times <= self.plan.repeats) & (not just_enough)

    @property
    def askable(self) -> NDArray[np.bool_]:
        """(h, w) bool, pixels that may be asked for: those never asked for, and those that may be repeated."""
        return ~self.asked | self.repeatable

    def queued_px(self) -> Pixels:
        """(N, 2) pixels of the batches that are out."""
        queued = [order.request.position_px for order in self._orders.values()]
        return np.concatenate(queued) if queued else np.empty((0, 2), np.int32)

    def expected_s(self, pixels: Pixels) -> float:
        """Expected duration of a batch along `pixels` in this order: declared cost times the slowest pace seen."""
        return self._pace * self._declared_s(pixels)

    def _declared_s(self, pixels: Pixels) -> float:
        timing = self.capabilities.timing
        each = timing.settle_s + timing.point_overhead_s + plans.dwell_s(self.plan, self.capabilities)
        travel = timing.travel_s_per_px * path_length(pixels, start=self._beam_px)
        return timing.batch_overhead_s + each * len(pixels) + travel

    def affordable_points(self) -> int:
        """About how many points the budget of points and the declared cost of time allow in all."""
        timing, grid_size = self.capabilities.timing, self.capabilities.grid.size
        each = timing.settle_s + timing.point_overhead_s + plans.dwell_s(self.plan, self.capabilities)
        left = self.time_left_s(0.0) - (self.plan.batches + 2) * timing.batch_overhead_s
        low, high = 1, self.max_points
        while low < high:
            middle = (low + high + 1) // 2
            travel = timing.travel_s_per_px * math.sqrt(grid_size * middle)
            low, high = (middle, high) if each * middle + travel <= left else (low, middle - 1)
        return low

    def time_left_s(self, not_before_s: float) -> float:
        """Instrument time left for a batch that starts after all that are out, and not before `not_before_s`."""
        limit = self.plan.budget.instrument_s
        if limit is None:
            return np.inf
        return limit - max(self._free_at_s(), not_before_s)

    def time_is_over(self, newest: PointBlock) -> bool:
        """Whether the newest points say that the budget of time is spent."""
        limit = self.plan.budget.instrument_s
        return limit is not None and len(newest) > 0 and float(newest.time_s.max()) >= limit

    def order(self, pixels: Pixels, not_before_s: float) -> ScanRequest:
        """The request for `pixels`, in this order; from now on they count as spent.

        Raises:
            ValueError: a bug in the caller: a pixel outside the grid, not askable, or beyond the budget.
        """
        count, width = len(pixels), self.asked.shape[1]
        inside = ((pixels >= 0) & (pixels < self.asked.shape)).all()
        if count > self.points_left or not inside or not self.askable[tuple(pixels.T)].all():
            raise ValueError("a batch beyond the budget or the grid, or with a pixel that must not be asked for again")
        if len(np.unique(pixels[:, 0].astype(np.int64) * width + pixels[:, 1])) != count:
            raise ValueError("a batch that holds a pixel twice")
        where = tuple(pixels.T)
        self.asked[where], self._failed[where] = True, False
        self._times[where] += 1
        request = ScanRequest(
            run=self.run,
            section=self.plan.section,
            batch=self._next_batch,
            point_id=np.arange(self._next_id, self._next_id + count, dtype=np.int64),
            position_px=pixels,
            dwell_s=plans.dwell_s(self.plan, self.capabilities),
            not_before_s=not_before_s,
        )
        self._orders[request.batch] = _Order(request, self._declared_s(pixels), np.ones(count, np.bool_))
        self._next_id += count
        self._next_batch += 1
        self._beam_px = pixels[-1]
        return request

    def receive(self, batch: int, block: PointBlock) -> None:
        """Take points of a batch that is still running.

        Raises:
            DeviceFailed: the instrument reports a point that was not asked for, twice, or outside the grid.
        """
        order, name = self._orders[batch], self.capabilities.name
        place = block.point_id - order.request.point_id[0]
        known = (place >= 0) & (place < len(order.missing))
        known[known] = order.missing[place[known]]
        if not known.all():
            unknown = int(block.point_id[np.argmin(known)])
            message = f"{name} reported point {unknown} in batch {batch}, which was not asked for or came before."
            raise DeviceFailed(message, field="point_id", value=unknown)
        if len(np.unique(place)) != len(place):
            raise DeviceFailed(f"{name} reported a point of batch {batch} twice at once.", field="point_id")
        inside = ((block.position_px >= 0) & (block.position_px < self.asked.shape)).all()
        if not inside:
            raise DeviceFailed(f"{name} reported a point outside the grid in batch {batch}.", field="position_px")
        order.missing[place] = False
        order.blocks.append(block)

    def close(self, batch: int, done: ScanDone | None) -> PointBlock:
        """Finish a batch, with what it brought; `done` is missing when it failed. Returns its points."""
        order = self._orders.pop(batch)
        block = PointBlock.concatenate(order.blocks)
        self.points.append(block)
        self._failed[tuple(block.position_px.T)] = ~block.indexed
        began_s = max(self._busy_until_s, order.request.not_before_s)
        if done is not None:
            self.idle_s += done.idle_s
            self._pace = max(self._pace, (done.finished_s - began_s) / order.declared_s)
        newest_s = float(block.time_s.max()) if len(block) else 0.0
        self.clock_s = max(self.clock_s, newest_s, 0.0 if done is None else done.finished_s)
        # A batch that failed may have taken longer than its last point says.
        spent_s = 0.0 if done is not None else self._pace * order.declared_s
        self._busy_until_s = max(self.clock_s, began_s + spent_s)
        return block

    def open_s(self) -> float:
        """Expected duration of all batches that are out, waiting included."""
        return self._free_at_s() - self._busy_until_s

    def _free_at_s(self) -> float:
        free_s = self._busy_until_s
        for order in self._orders.values():
            free_s = max(free_s, order.request.not_before_s) + self._pace * order.declared_s
        return free_s
