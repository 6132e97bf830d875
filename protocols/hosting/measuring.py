"""Exposing a batch, in the worker thread of the driver: block by block, each on disk before it is told.

Where there is a spool, it says before an exposure that it may happen. How many points that concerns at a time is
declared by the driver (`Capabilities.exposes_ahead`). A write to disk takes milliseconds, so quick blocks share one.
Who asked, and whether anybody still does, is the business of `protocols.hosting.scans`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.errors import DeviceFailed, GrainloopError
from grainloop.protocols.hosting.batches import HeldBatch
from grainloop.protocols.hosting.limits import check_block, malformed
from grainloop.protocols.hosting.spool_entries import Begun
from grainloop.protocols.messages import ScanDone
from grainloop.protocols.observability import get_logger
from grainloop.protocols.shapes import decode_pieces
from grainloop.protocols.values import PointBlock

T = TypeVar("T")

GROUP_S: Final = 0.1
"""With a spool blocks are written, and told, no more often than this."""
_NONE: Final = np.empty(0, np.int64)


class Measuring:
    """What the worker thread does with a driver.

    Attributes:
        light_s: instrument time spent on PL images since the last point.
    """

    def __init__(self, driver: InstrumentDriver) -> None:
        self._driver = driver
        self._last: PointBlock | None = None
        self.light_s = 0.0

    @property
    def _name(self) -> str:
        return self._driver.capabilities.name

    def measure(
        self, batch: HeldBatch, raise_if_unwanted: Callable[[], object], tell: Callable[[], object]
    ) -> ScanDone:
        """Expose what is left of a batch.

        Args:
            batch: any that is not complete, or is.
            raise_if_unwanted: called between blocks; raises where the scan is to stop.
            tell: called when `batch.told` has grown.

        Raises:
            DeviceFailed: the driver failed, or broke its word.
            SpoolLost: what is exposed could not be recorded.
            GrainloopError: what `raise_if_unwanted` raised.
        """
        if batch.done is not None:
            return batch.done
        last, light_s = self._last, self.light_s
        if batch.pending().any():
            self._expose(batch, raise_if_unwanted, tell)
        if last is None:
            return batch.finish(self._name, None, 0.0)
        request = batch.request
        way_px = float(np.linalg.norm(request.position_px[0] - last.position_px[-1]))
        first = decode_pieces(request.pieces, len(request.point_id))[0]
        busy_s = light_s + self._driver.capabilities.timing.approach_s(way_px, first.shape)
        return batch.finish(self._name, float(last.time_s[-1]), busy_s)

    def _expose(self, batch: HeldBatch, raise_if_unwanted: Callable[[], object], tell: Callable[[], object]) -> None:
        record = _Record(batch, self._driver.capabilities, tell)
        record.announce()
        blocks = self.guard("scan", lambda: iter(self._driver.scan(batch.remaining())))
        try:
            while (block := self.guard("scan", lambda: _block(next(blocks, None)))) is not None:
                self._keep(record, block)
                raise_if_unwanted()
                record.announce()
            record.end()
        except GrainloopError:
            try:
                self._interrupt(blocks)
            finally:
                record.end()
            raise

    def _keep(self, record: _Record, block: PointBlock) -> None:
        try:
            check_block(block, self._driver.capabilities)
        except DeviceFailed as error:
            bad = malformed(block, self._driver.capabilities)
            try:
                self._keep(record, block.select(~bad))
            finally:
                record.refuse(block.select(bad), str(error))
            raise
        if len(block):
            self._last, self.light_s = block, 0.0
        record.take(block)

    def _interrupt(self, blocks: object) -> None:
        """Close the iterator and park, whatever the driver says to either."""
        close = getattr(blocks, "close", None)
        try:
            if close is not None:
                self.guard("scan", close)
        finally:
            self.park()

    def park(self) -> None:
        """Blank the beam.

        Raises:
            DeviceFailed: the driver failed.
        """
        self.guard("park", self._driver.park)

    def guard(self, step: str, work: Callable[[], T]) -> T:
        """Run a step of the driver; whatever it raises becomes a sentence that names instrument and step.

        Raises:
            GrainloopError: the step failed.
        """
        try:
            return work()
        except GrainloopError:
            raise
        except Exception as error:
            get_logger(service="instrument").error("driver failed", step=step, exc_info=error)
            raise DeviceFailed(
                f"{self._name} failed in {step}: {type(error).__name__}: {error}.", field=step, value=error
            ) from error


class _Record:
    """What was exposed of a batch, on its way to the spool and to whoever asked."""

    def __init__(self, batch: HeldBatch, capabilities: Capabilities, tell: Callable[[], object]) -> None:
        self._batch, self._name, self._tell = batch, capabilities.name, tell
        self._left: NDArray[np.int64] = batch.request.point_id[batch.pending()]
        declared_s = batch.request.dwell_s + capabilities.timing.point_overhead_s
        self._ahead = capabilities.exposes_ahead
        self._window = len(self._left) if self._ahead is None else max(self._ahead, math.ceil(GROUP_S / declared_s))
        self._announced = 0
        self._held: list[PointBlock] = []
        self._written_s = -math.inf

    def announce(self) -> None:
        """Before the driver goes on: record that the next points may be exposed; write what came, if it is time.

        Raises:
            SpoolLost: that cannot be recorded, so nothing must be exposed.
        """
        if self._batch.spool is None:
            return
        needed = len(self._left) if self._ahead is None else min(self._ahead, len(self._left))
        if self._announced < needed:
            self._announced = min(self._window, len(self._left))
            self._write(self._left[: self._announced])
        elif self._held and time.monotonic() - self._written_s >= GROUP_S:
            self._write(None)

    def take(self, block: PointBlock) -> None:
        """Keep what the driver measured.

        Raises:
            DeviceFailed: a point that was not asked for, that was measured already, or exposed before its time. The
                good ones are kept.
        """
        fresh = self._batch.claim(block)
        points = block if fresh.all() else block.select(fresh)
        ids = points.point_id
        early = ~np.isin(ids, self._left[: self._announced]) if self._batch.spool is not None else np.zeros(0, np.bool_)
        self._settle(ids)
        if len(points) and self._batch.spool is None:
            self._batch.tell(points)
            self._tell()
        elif len(points):
            self._held.append(points)
        if not fresh.all():
            raise self._unasked(int(block.point_id[~fresh][0]))
        if early.any():
            raise self._too_early(int(ids[early][0]))

    def refuse(self, block: PointBlock, why: str) -> None:
        """What came malformed was exposed all the same: these points have failed, and are not exposed again.

        Raises:
            SpoolLost: that cannot be recorded.
        """
        ids = self._batch.request.point_id
        which = self._batch.pending() & np.isin(ids, block.point_id)
        if not which.any():
            return
        if self._held:
            self._write(None)
        self._settle(ids[which])
        self._batch.give_up(which, why)
        self._tell()

    def end(self) -> None:
        """The driver has let go: write what came; nothing else was exposed.

        Raises:
            SpoolLost: it cannot be written; it is told even so.
        """
        if self._batch.spool is not None and (self._held or self._announced):
            self._announced = 0
            self._write(_NONE)

    def _settle(self, ids: NDArray[np.int64]) -> None:
        """Points in the order of the request are at the beginning of what is left."""
        if np.array_equal(self._left[: len(ids)], ids):
            self._left, self._announced = self._left[len(ids) :], max(0, self._announced - len(ids))
            return
        stays = ~np.isin(self._left, ids)
        self._announced = int(stays[: self._announced].sum())
        self._left = self._left[stays]

    def _write(self, exposing: NDArray[np.int64] | None) -> None:
        """Measured points are told even where the spool fails: they are all that there is of them."""
        batch, held, self._held = self._batch, self._held, []
        points = held[0] if len(held) == 1 else PointBlock.concatenate(held)
        begin = [] if batch.begun else [Begun(request=batch.request)]
        try:
            if batch.spool is not None:
                batch.spool.append(*begin, batch.step(points, exposing))
                batch.begun = True
        finally:
            self._written_s = time.monotonic()
            if held:
                batch.tell(points)
                self._tell()

    def _unasked(self, point: int) -> DeviceFailed:
        return DeviceFailed(
            f"{self._name} delivered point {point}, which batch {self._batch.request.batch} did not ask for or already "
            "holds.",
            field="point_id",
            value=point,
        )

    def _too_early(self, point: int) -> DeviceFailed:
        return DeviceFailed(
            f"{self._name} exposed point {point} of batch {self._batch.request.batch} more than exposes_ahead "
            f"{self._ahead} points before its turn.",
            field="exposes_ahead",
            value=self._ahead,
        )


def _block(item: object) -> PointBlock | None:
    if item is None or isinstance(item, PointBlock):
        return item
    raise TypeError(f"scan yielded {type(item).__name__} where a PointBlock was expected")
