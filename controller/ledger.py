"""What was asked for, what came back and what it may still cost: points, ids, exposure and time of a section.

The ledger is the only place that hands out point ids and the only one that knows the budget, so that no limit is passed
and no pixel is asked for twice, but for those that brought no orientation and may be repeated. A point counts against
the budget from the moment it is asked for, because the beam may have been there even when its result is lost; only a
batch that was withdrawn before it began gives its points back. Pixels are those of the specimen; requests that go out
and points that come in are in the frame of the instrument (`controller.aim`). Nothing here decides where to measure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from controller import plans
from controller.aim import Aim, Correction
from controller.grid import inside
from controller.orders import Closed, Moved, Order, Received
from controller.pace import Pace
from controller.points import PointStore
from protocols.capabilities import Capabilities
from protocols.messages import ScanDone, ScanRequest
from protocols.plan import RunPlan
from protocols.shapes import Piece, ScanShape, encode_pieces, parts
from protocols.values import PointBlock

Pixels = NDArray[np.int32]
_ROUNDING = 1e-9
_SINGLE_PRECISION = 1e-6
_LATE_S = 10.0
"""A first point that comes less late than this was slow; one that comes later tells of a clock that began before."""


class Ledger:
    """Points, ids, budget and clock of one section.

    Args:
        plan: what to measure.
        capabilities: of the instrument.
        run: its name.
        answers: (h, w) how often each pixel can be measured, where answers come from a recording; else nothing.

    Attributes:
        max_points: the most points that may ever be asked for.
        asked: (h, w) bool, pixels that were asked for, or cannot be.
        points: what the finished batches brought, in order, where they lie on the specimen.
        outside: points that lie beside the grid, by what is known of the drift: they are no part of the map.
        aim: where the beam is sent to hit a pixel.
        pace: how long batches and decisions take.
        batches_over: how many were closed or withdrawn.
        clock_s: instrument time at the newest finished batch, counted from the beginning of the run; clocks of
            instruments may begin at any time.
        idle_s: how long the instrument had nothing to do, by its own account.
    """

    def __init__(
        self, plan: RunPlan, capabilities: Capabilities, run: str, answers: NDArray[np.uint8] | None = None
    ) -> None:
        self.plan, self.capabilities, self.run, self.answers = plan, capabilities, run, answers
        self.pace, self._dwell_s = Pace(plan, capabilities), plans.dwell_s(plan, capabilities)
        self.max_points = plans.most_points(plan, capabilities)
        shape = capabilities.grid.shape_px
        self.asked: NDArray[np.bool_] = np.zeros(shape, np.bool_) if answers is None else answers == 0
        self._failed: NDArray[np.bool_] = np.zeros(shape, np.bool_)
        self._times: NDArray[np.uint8] = np.zeros(shape, np.uint8)
        self._dose_s: NDArray[np.float64] = np.zeros(shape, np.float64)
        self.points, self.outside, self.aim = PointStore(self.max_points), PointStore(), Aim()
        self.clock_s = self.idle_s = self._busy_until_s = self._exposure_s = 0.0
        self._orders: dict[int, Order] = {}
        self._next_id = self._next_batch = self._spent = self.batches_over = 0
        self._stands_px: Pixels | None = None
        self._began_s: float | None = None
        self._found_again = False

    def begin(self, light_s: float) -> None:
        """Count the PL images, the first thing that takes instrument time."""
        self.clock_s = self._busy_until_s = light_s

    @property
    def points_left(self) -> int:
        """Points that may still be asked for."""
        left, limit = self.max_points - self._spent, self.plan.budget.exposure_s
        if limit is not None:
            left = min(left, math.floor((limit - self._exposure_s) / self._dwell_s + _ROUNDING))
        return max(0, left)

    @property
    def points_asked(self) -> int:
        """Points asked for so far and not taken back."""
        return self._spent

    @property
    def batches_sent(self) -> int:
        """Batches asked for so far, withdrawn ones among them."""
        return self._next_batch

    @property
    def beam_px(self) -> Pixels | None:
        """(2,) pixel where the beam will stand when everything queued is done."""
        last = next(reversed(self._orders.values()), None)
        stands_px = self._stands_px if last is None else last.request.position_px[-1]
        return None if stands_px is None else stands_px + self.aim.offset_px

    @property
    def repeatable(self) -> NDArray[np.bool_]:
        """(h, w) bool, pixels whose measurement brought no orientation and may be repeated by the plan.

        A point whose result was lost is not among them: nobody knows how long the beam was there.
        """
        just_enough = self.points_left == np.count_nonzero(~self.asked & self.reachable)  # to measure every pixel once
        may = self._failed & (self._times <= self.plan.repeats) & (not just_enough)
        may = may if self.answers is None else may & (self._times < self.answers)
        most_s = self.plan.budget.pixel_exposure_s
        return may if most_s is None else may & (self._dose_s + self._dwell_s <= most_s * (1 + _ROUNDING))

    @property
    def askable(self) -> NDArray[np.bool_]:
        """(h, w) bool, pixels that may be asked for: those never asked for and those that may be repeated, in reach."""
        return (~self.asked | self.repeatable) & self.reachable

    @property
    def coverable(self) -> NDArray[np.bool_]:
        """(h, w) bool, pixels that a raster may pass over: in reach, and with room for one more exposure."""
        most_s = self.plan.budget.pixel_exposure_s
        if most_s is None:
            return self.reachable
        return self.reachable & (self._dose_s + self._dwell_s <= most_s * (1 + _ROUNDING))

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """(h, w) bool, pixels that can be measured: the beam can be sent there, and a recording holds them."""
        reach = self.aim.reachable(self.asked.shape)
        return reach if self.answers is None else reach & (self.answers > 0)

    @property
    def never(self) -> NDArray[np.bool_]:
        """(h, w) bool, pixels that nothing is known of and that cannot be measured."""
        return ~self.reachable & (self._times == 0)

    def queued_px(self) -> Pixels:
        """(N, 2) pixels that the batches that are out will show, perhaps beside the grid."""
        requests = [order.request for order in self._orders.values()]
        queued = [self.aim.specimen_px(request.point_id, request.position_px) for request in requests]
        return np.concatenate(queued) if queued else np.empty((0, 2), np.int32)

    def expected_s(self, pixels: Pixels, pieces: Sequence[Piece] | None = None) -> float:
        """Expected duration of a batch along `pixels` in this order: declared cost times the slowest pace seen."""
        return self.pace.slowest * self.pace.declared_s(pixels, self.beam_px, pieces)

    def affordable_points(self) -> int:
        """About how many points the budget of points and the declared cost of time allow in all."""
        overheads_s = (self.plan.batches + 2) * self.capabilities.timing.batch_overhead_s
        return self.pace.points_within(self.time_left_s(0.0) - overheads_s, self.max_points)

    def time_left_s(self, not_before_s: float) -> float:
        """Instrument time left for a batch that starts after all that are out, and not before `not_before_s`."""
        limit = self.plan.budget.instrument_s
        if limit is None:
            return np.inf
        return limit - max(self._free_at_s(), not_before_s)

    def time_is_over(self, newest: PointBlock) -> bool:
        """Whether the newest points say that the budget of time is spent."""
        limit = self.plan.budget.instrument_s
        return limit is not None and len(newest) > 0 and self._run_time_s(newest.time_s.max()) >= limit

    def _run_time_s(self, told_s: float) -> float:
        """Instrument time since the beginning of the run, of a time on the instrument clock."""
        return float(told_s) - (self._began_s or 0.0)

    def _find_beginning(self, order: Order, first: PointBlock) -> None:
        """The first exposure tells at what time on the instrument clock the run began."""
        approach_s = self.capabilities.timing.approach_s(0.0)
        expected_s = max(self._busy_until_s, order.not_before_s) + approach_s + float(first.dwell_s[0])
        began_s = float(first.time_s[0]) - expected_s
        self._began_s = began_s if began_s > _LATE_S or self._found_again else 0.0

    def sent_again(self, batch: int) -> None:
        """A batch that is out was sent again: points that came before may come once more."""
        self._orders[batch].resent = True

    def meet_again(self) -> None:
        """The controller had died: what is out is sent again, and the instrument clock may have begun anew."""
        self._began_s, self._found_again = None, True
        for batch in self._orders:
            self.sent_again(batch)

    def order(self, pixels: Pixels, not_before_s: float, pieces: Sequence[Piece] | None = None) -> ScanRequest:
        """The request for `pixels`, in this order; from now on they count as spent.

        Args:
            pixels: free points, or those of all `pieces`, whose rasters may pass over pixels exposed before.
            not_before_s: instrument time at which it was decided.
            pieces: which of them are lines and rectangles.

        Raises:
            ValueError: a bug in the caller: a pixel outside the grid, not askable, or beyond the budget.
        """
        count, width = len(pixels), self.asked.shape[1]
        known = bool(inside(pixels, self.asked.shape).all())
        if count > self.points_left or not known or not self._may(pixels, pieces):
            raise ValueError("a batch beyond the budget or the grid, or with a pixel that must not be asked for again")
        if len(np.unique(pixels[:, 0].astype(np.int64) * width + pixels[:, 1])) != count:
            raise ValueError("a batch that holds a pixel twice")
        declared_s, where = self.pace.declared_s(pixels, self.beam_px, pieces), tuple(pixels.T)
        again = self._failed[where]
        self._spend(where, 1)
        self._failed[where] = False
        request = ScanRequest(
            run=self.run,
            section=self.plan.section,
            batch=self._next_batch,
            point_id=np.arange(self._next_id, self._next_id + count, dtype=np.int64),
            position_px=self.aim.instrument_px(pixels),
            pieces=None if pieces is None else encode_pieces(self._aimed(piece) for piece in pieces),
            dwell_s=self._dwell_s,
            not_before_s=max(0.0, not_before_s + (self._began_s or 0.0)),  # no clock began before its beginning
        )
        self._orders[request.batch] = Order(request, pixels, not_before_s, declared_s, again)
        self._next_id += count
        self._next_batch += 1
        return request

    def _may(self, pixels: Pixels, pieces: Sequence[Piece] | None) -> bool:
        """Whether all these pixels of the grid may be exposed so."""
        askable = self.askable
        if pieces is None or self.capabilities.shapes.skips:
            return bool(askable[tuple(pixels.T)].all())
        coverable = self.coverable | askable
        return all(
            (askable if piece.shape is ScanShape.POINTS else coverable)[tuple(pixels[where].T)].all()
            for piece, where in parts(pieces)
        )

    def _aimed(self, piece: Piece) -> Piece:
        """The same piece in the frame of the instrument."""
        row, column = self.aim.instrument_px(np.array([piece.first_px], np.int32))[0].tolist()
        return piece if piece.shape is ScanShape.POINTS else replace(piece, first_px=(row, column))

    def _spend(self, where: tuple[NDArray[np.int32], ...], sign: int) -> None:
        """Count pixels, each of them once, as asked for, or take that back."""
        self._times[where] = self._times[where].astype(np.int64) + sign
        self.asked[where] = self._times[where] > 0
        self._dose_s[where] += sign * self._dwell_s
        self._exposure_s += sign * len(where[0]) * self._dwell_s
        self._spent += sign * len(where[0])

    def withdraw(self, batch: int) -> None:
        """Give back the points of a batch that never began."""
        order = self._orders.pop(batch)
        self.batches_over += 1
        where = tuple(order.target_px.T)
        self._spend(where, -1)
        self._failed[where] = order.again

    def receive(self, batch: int, block: PointBlock) -> Received:
        """Take points of a batch that is still running: those that were asked for, each once, inside the grid."""
        received = self._orders[batch].receive(block, self.asked.shape, self.capabilities.name)
        if self._began_s is None and len(received.kept):
            self._find_beginning(self._orders[batch], received.kept)
        return received

    def close(self, batch: int, done: ScanDone | None) -> Closed:
        """Finish a batch, with what it brought; `done` is missing when it failed."""
        order = self._orders.pop(batch)
        self.batches_over += 1
        block = order.block
        block = block.model_copy(update={"position_px": self.aim.specimen_px(block.point_id, block.position_px)})
        self._stands_px = order.request.position_px[-1]
        way_px = order.ways_px(block)
        kept = self._keep(block)
        self._count(kept, way_px[inside(block.position_px, self.asked.shape)] > 0)
        self._exposure_s += float(self._longer_s(block).sum())
        self._failed[tuple(kept.position_px.T)] = ~kept.indexed
        self._tell_time(order, done)
        displaced, farthest_px = int((way_px > 0).sum()), float(way_px.max(initial=0.0))
        return Closed(block, order.lost, displaced, farthest_px, len(block) - len(kept))

    def correct(self, rows_px: int, columns_px: int, from_point: int) -> Moved:
        """The beam hits so much farther down and right than said, from a point on: count what came, and aim, by that.

        Pixels that were asked for stay so: nobody exposes a place twice because of an estimate.
        """
        moved = PointBlock.concatenate([_from(store, from_point) for store in (self.points, self.outside)])
        moved = moved.select(np.argsort(moved.point_id, kind="stable"))
        self._failed[tuple(moved.select(inside(moved.position_px, self.asked.shape)).position_px.T)] = False
        before = np.zeros(self.asked.shape, np.bool_)
        before[tuple(self.points.block().position_px.T)] = True
        self.aim.corrections.append(Correction(rows_px, columns_px, from_point, self._next_id))
        there = moved.position_px + np.array([rows_px, columns_px], np.int32)
        kept = self._keep(moved.model_copy(update={"position_px": there}))
        self._count(kept, np.ones(len(kept), np.bool_))
        again = int(before[tuple(kept.position_px.T)].sum())
        return Moved(len(moved), len(moved) - len(kept), again, self._next_id)

    def _keep(self, block: PointBlock) -> PointBlock:
        """Take points of the specimen into the map, but for those beside the grid."""
        known = inside(block.position_px, self.asked.shape)
        kept = block.select(known)
        self.points.append(kept)
        self.outside.append(block.select(~known))
        return kept

    def _longer_s(self, block: PointBlock) -> NDArray[np.float64]:
        """(N,) how much longer points were exposed than asked for."""
        longer_s = block.dwell_s.astype(np.float64) - self._dwell_s
        longer_s[np.abs(longer_s) < _SINGLE_PRECISION * self._dwell_s] = 0.0
        return longer_s

    def _count(self, block: PointBlock, beside: NDArray[np.bool_]) -> None:
        """Count exposures as they were reported, and where: `beside` (N,) are points not measured at their targets."""
        there = tuple(block.position_px[beside].T)
        self.asked[there] = True
        np.add.at(self._times, there, 1)
        np.add.at(self._dose_s, there, self._dwell_s)
        np.add.at(self._dose_s, tuple(block.position_px.T), self._longer_s(block))

    def _tell_time(self, order: Order, done: ScanDone | None) -> None:
        began_s, ended_s = max(self._busy_until_s, order.not_before_s), self._ended_s(order, done)
        if done is not None:
            self.idle_s += done.idle_s if order.request.batch else 0.0  # before the first one there was no run
            self.pace.batch_took(ended_s - began_s, order.declared_s)
        self.clock_s = ended_s
        # A batch that failed may have taken longer than its last point says.
        spent_s = 0.0 if done is not None else self.pace.slowest * order.declared_s
        self._busy_until_s = max(self.clock_s, began_s + spent_s)

    def open_s(self) -> float:
        """Expected duration of all batches that are out, waiting included."""
        return self._free_at_s() - self._busy_until_s

    def ends_s(self, batch: int, done: ScanDone | None) -> float:
        """Instrument time at which a batch that is out has ended, as far as it told."""
        return self._ended_s(self._orders[batch], done)

    def _ended_s(self, order: Order, done: ScanDone | None) -> float:
        told = [order.newest_s, None if done is None else done.finished_s]
        return max(self.clock_s, 0.0, *(self._run_time_s(time_s) for time_s in told if time_s is not None))

    def _free_at_s(self) -> float:
        free_s = self._busy_until_s
        for order in self._orders.values():
            free_s = max(free_s, order.not_before_s) + self.pace.slowest * order.declared_s
        return free_s


def _from(store: PointStore, point: int) -> PointBlock:
    """Take the points from a point on out of a store."""
    return store.take_out(store.block().point_id >= point)
