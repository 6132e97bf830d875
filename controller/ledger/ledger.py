"""What is out and what came back: requests, ids of points, the points themselves, and what they may still cost.

The ledger is the only place that hands out point ids and the only one that knows the budget, so that no limit is passed
and no pixel is asked for twice, but for those that brought no orientation and may be repeated. A point counts against
the budget from the moment it is asked for; only a batch that was withdrawn before it began gives its points back.
Pixels are counted in `controller.ledger.exposures`, time in `controller.ledger.clock`. Pixels are those of the
specimen; requests that go out and points that come in are in the frame of the instrument (`controller.ledger.aim`).
Nothing here decides where to measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.geometry import inside
from grainloop.controller.ledger.aim import Aim, Correction
from grainloop.controller.ledger.clock import RunClock
from grainloop.controller.ledger.exposures import Exposures
from grainloop.controller.ledger.orders import Closed, Moved, Order, Received
from grainloop.controller.ledger.pace import Pace
from grainloop.controller.ledger.points import PointStore
from grainloop.controller.ledger.refusals import look_at
from grainloop.controller.plans import Terms
from grainloop.protocols.messages import ScanDone, ScanRequest
from grainloop.protocols.shapes import Piece, ScanShape, encode_pieces, parts
from grainloop.protocols.values import PointBlock

Pixels = NDArray[np.int32]


class Ledger:
    """Requests, points, exposures and time of one section.

    Args:
        terms: what was planned, and the instrument.
        run: its name.
        answers: (h, w) how often each pixel can be measured, where answers come from a recording; else nothing.

    Attributes:
        terms: as given.
        exposures: what was asked for, pixel by pixel, and what may still be.
        points: what the finished batches brought, in order, where they lie on the specimen.
        outside: points that lie beside the grid, by what is known of the drift: they are no part of the map.
        aim: where the beam is sent to hit a pixel.
        pace: how long batches and decisions take.
        batches_over: how many were closed or withdrawn.
    """

    def __init__(self, terms: Terms, run: str, answers: NDArray[np.uint8] | None = None) -> None:
        self.terms, self.run, self.answers = terms, run, answers
        self.points, self.outside, self.aim = PointStore(terms.max_points), PointStore(), Aim()
        self.exposures = Exposures(terms, self.aim, answers)
        self.pace = Pace(terms)
        self._clock = RunClock(self.pace, terms.capabilities.timing.approach_s(0.0))
        self._orders: dict[int, Order] = {}
        self._next_id = self._next_batch = self.batches_over = 0
        self._stands_px: Pixels | None = None
        self._shown_s: float | None = None

    def begin(self, light_s: float) -> None:
        """Count the PL images, the first thing that takes instrument time."""
        self._clock.begin(light_s)

    # --- what is out --------------------------------------------------------------------------------------------------
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

    def queued_px(self) -> Pixels:
        """(N, 2) pixels that the batches that are out will show, perhaps beside the grid."""
        requests = [order.request for order in self._orders.values()]
        queued = [self.aim.specimen_px(request.point_id, request.position_px) for request in requests]
        return np.concatenate(queued) if queued else np.empty((0, 2), np.int32)

    def sent_again(self, batch: int) -> None:
        """A batch that is out was sent again: points that came before may come once more."""
        self._orders[batch].resent = True

    def meet_again(self) -> None:
        """The controller had died: what is out is sent again, and the instrument clock may have begun anew."""
        self._clock.lose_beginning()
        self._shown_s = None
        for batch in self._orders:
            self.sent_again(batch)

    # --- time ---------------------------------------------------------------------------------------------------------
    @property
    def clock_s(self) -> float:
        """Instrument time of the run at the newest finished batch."""
        return self._clock.now_s

    @property
    def idle_s(self) -> float:
        """How long the instrument had nothing to do, by its own account."""
        return self._clock.idle_s

    def expected_s(self, pixels: Pixels, pieces: Sequence[Piece] | None = None) -> float:
        """Expected duration of a batch along `pixels` in this order: declared cost times the slowest pace seen."""
        return self.pace.slowest * self.pace.declared_s(pixels, self.beam_px, pieces)

    def affordable_points(self) -> int:
        """About how many points the budget of points and the declared cost of time allow in all."""
        overheads_s = (self.terms.plan.batches + 2) * self.terms.capabilities.timing.batch_overhead_s
        return self.pace.points_within(self.time_left_s(0.0) - overheads_s, self.terms.max_points)

    def time_left_s(self, not_before_s: float) -> float:
        """Instrument time left for a batch that starts after all that are out, and not before `not_before_s`."""
        limit = self.terms.plan.budget.instrument_s
        if limit is None:
            return np.inf
        return limit - max(self._clock.free_at_s(self._orders.values()), not_before_s)

    def time_is_over(self, newest: PointBlock) -> bool:
        """Whether the newest points say that the budget of time is spent."""
        limit = self.terms.plan.budget.instrument_s
        return limit is not None and len(newest) > 0 and self._clock.run_s(newest.time_s.max()) >= limit

    def open_s(self) -> float:
        """Expected duration of all batches that are out, waiting included."""
        return self._clock.free_at_s(self._orders.values()) - self._clock.busy_until_s

    def newest_s(self, batch: int) -> float | None:
        """Time on the instrument clock of the newest point of a batch that is out, if there is one."""
        return self._orders[batch].newest_s

    def ends_s(self, batch: int, done: ScanDone | None) -> float:
        """Instrument time at which a batch that is out has ended, as far as it told."""
        return self._clock.ended_s(self._orders[batch], done)

    # --- a batch, from its request to its end -------------------------------------------------------------------------
    def order(self, pixels: Pixels, not_before_s: float, pieces: Sequence[Piece] | None = None) -> ScanRequest:
        """The request for `pixels`, in this order; from now on they count as spent.

        Args:
            pixels: free points, or those of all `pieces`, whose rasters may pass over pixels exposed before.
            not_before_s: instrument time at which it was decided.
            pieces: which of them are lines and rectangles.

        Raises:
            ValueError: a bug in the caller: a pixel outside the grid, not askable, or beyond the budget.
        """
        self._check(pixels, pieces)
        declared_s, count = self.pace.declared_s(pixels, self.beam_px, pieces), len(pixels)
        again = self.exposures.ask(pixels)
        request = ScanRequest(
            run=self.run,
            section=self.terms.plan.section,
            batch=self._next_batch,
            point_id=np.arange(self._next_id, self._next_id + count, dtype=np.int64),
            position_px=self.aim.instrument_px(pixels),
            pieces=None if pieces is None else encode_pieces(self._aimed(piece) for piece in pieces),
            dwell_s=self.terms.dwell_s,
            not_before_s=self._clock.instrument_s(not_before_s),
        )
        self._orders[request.batch] = Order(request, pixels, not_before_s, declared_s, again)
        self._next_id += count
        self._next_batch += 1
        return request

    def _check(self, pixels: Pixels, pieces: Sequence[Piece] | None) -> None:
        known = bool(inside(pixels, self.terms.shape_px).all())
        if len(pixels) > self.exposures.points_left or not known or not self._may(pixels, pieces):
            raise ValueError("a batch beyond the budget or the grid, or with a pixel that must not be asked for again")
        if len(np.unique(pixels[:, 0].astype(np.int64) * self.terms.shape_px[1] + pixels[:, 1])) != len(pixels):
            raise ValueError("a batch that holds a pixel twice")

    def _may(self, pixels: Pixels, pieces: Sequence[Piece] | None) -> bool:
        """Whether all these pixels of the grid may be exposed so."""
        askable = self.exposures.askable
        if pieces is None or self.terms.capabilities.shapes.skips:
            return bool(askable[tuple(pixels.T)].all())
        coverable = self.exposures.coverable | askable
        return all(
            (askable if piece.shape is ScanShape.POINTS else coverable)[tuple(pixels[where].T)].all()
            for piece, where in parts(pieces)
        )

    def _aimed(self, piece: Piece) -> Piece:
        """The same piece in the frame of the instrument."""
        row, column = self.aim.instrument_px(np.array([piece.first_px], np.int32))[0].tolist()
        return piece if piece.shape is ScanShape.POINTS else replace(piece, first_px=(row, column))

    def withdraw(self, batch: int) -> None:
        """Give back the points of a batch that never began."""
        order = self._orders.pop(batch)
        self.batches_over += 1
        self.exposures.take_back(order.target_px, order.again)

    def look_at(self, batch: int, block: PointBlock, *, lost: bool = False) -> Received:
        """Take points of a batch that is still running, as the instrument told them.

        Those that cannot be believed have failed (`controller.ledger.refusals`), of the others those count that were
        asked for, each once. `lost` says that the service gave the points up.
        """
        order = self._orders[batch]
        block = order.new_of(block)
        looked = look_at(block, order.request, self.terms.capabilities, self._shown_s, lost=lost)
        received = self.receive(batch, looked.points, believed=bool((~looked.refused).any()))
        self._shown_s = looked.shown_s
        if not looked.refused.any():
            return received
        failed = int(np.isin(received.kept.point_id, block.point_id[looked.refused]).sum())
        refused = PointBlock.concatenate([block.select(looked.refused), received.refused])
        return replace(received, refused=refused, failed=failed, why=looked.why)

    def receive(self, batch: int, block: PointBlock, *, believed: bool = True) -> Received:
        """Take points of a batch that is still running: those that were asked for, each once, inside the grid.

        Where none of them is `believed`, their times tell nothing of when the run began.
        """
        received = self._orders[batch].receive(block, self.terms.shape_px, self.terms.name)
        if believed and not self._clock.found and len(received.kept):
            self._clock.find_beginning(self._orders[batch], received.kept)
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
        self.exposures.measured(kept, way_px[inside(block.position_px, self.terms.shape_px)] > 0)
        self.exposures.exposed_longer(block)
        self._clock.close(order, done)
        displaced, farthest_px = int((way_px > 0).sum()), float(way_px.max(initial=0.0))
        return Closed(block, order.lost, displaced, farthest_px, len(block) - len(kept))

    # --- a drift ------------------------------------------------------------------------------------------------------
    def correct(self, rows_px: int, columns_px: int, from_point: int) -> Moved:
        """The beam hits so much farther down and right than said, from a point on: count what came and aim by that."""
        moved = PointBlock.concatenate([_from(store, from_point) for store in (self.points, self.outside)])
        moved = moved.select(np.argsort(moved.point_id, kind="stable"))
        self.exposures.moved_away(moved.select(inside(moved.position_px, self.terms.shape_px)).position_px)
        before = np.zeros(self.terms.shape_px, np.bool_)
        before[tuple(self.points.block().position_px.T)] = True
        self.aim.corrections.append(Correction(rows_px, columns_px, from_point, self._next_id))
        there = moved.position_px + np.array([rows_px, columns_px], np.int32)
        kept = self._keep(moved.model_copy(update={"position_px": there}))
        self.exposures.measured_there(kept, np.ones(len(kept), np.bool_))
        again = int(before[tuple(kept.position_px.T)].sum())
        return Moved(len(moved), len(moved) - len(kept), again, self._next_id)

    def _keep(self, block: PointBlock) -> PointBlock:
        """Take points of the specimen into the map, but for those beside the grid."""
        known = inside(block.position_px, self.terms.shape_px)
        kept = block.select(known)
        self.points.append(kept)
        self.outside.append(block.select(~known))
        return kept


def _from(store: PointStore, point: int) -> PointBlock:
    """Take the points from a point on out of a store."""
    return store.take_out(store.block().point_id >= point)
