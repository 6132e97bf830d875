"""Exposing a batch, in the worker thread of the driver: block by block, each on disk before it is told.

Where there is a spool, it says before an exposure that it may happen. How many points that concerns at a time is
declared by the driver (`Capabilities.exposes_ahead`). A write to disk takes milliseconds, so quick blocks share one.
Who asked, and whether anybody still does, is the business of `protocols.hosting.scans`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.errors import Cancelled, DeviceFailed, GrainloopError
from grainloop.protocols.hosting.batches import HeldBatch
from grainloop.protocols.hosting.limits import check_block, malformed
from grainloop.protocols.hosting.spool_entries import Begun
from grainloop.protocols.messages import ScanDone
from grainloop.protocols.shapes import decode_pieces
from grainloop.protocols.values import PointBlock

GROUP_S: Final = 0.1
"""With a spool blocks are written, and told, no more often than this."""
_NONE: Final = np.empty(0, np.int64)


class Measuring:
    """What the worker thread does with a driver that raises nothing but `GrainloopError`.

    Attributes:
        light_s: instrument time spent on PL images since the last point.
    """

    def __init__(self, driver: InstrumentDriver) -> None:
        self._driver = driver
        self._last: PointBlock | None = None
        self.light_s = 0.0

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
            return batch.finish(self._driver.capabilities.name, None, 0.0)
        request = batch.request
        way_px = float(np.linalg.norm(request.position_px[0] - last.position_px[-1]))
        first = decode_pieces(request.pieces, len(request.point_id))[0]
        busy_s = light_s + self._driver.capabilities.timing.approach_s(way_px, first.shape)
        return batch.finish(self._driver.capabilities.name, float(last.time_s[-1]), busy_s)

    def _expose(self, batch: HeldBatch, raise_if_unwanted: Callable[[], object], tell: Callable[[], object]) -> None:
        record = _Record(batch, self._driver.capabilities, tell)
        record.announce()
        blocks = iter(self._driver.scan(batch.remaining()))
        try:
            for block in blocks:
                self._keep(record, block)
                raise_if_unwanted()
                record.announce()
            record.end()
        except GrainloopError as error:
            try:
                left = self._interrupt(blocks)
            finally:
                record.end()
            raise _with_more(error, left) from error.__cause__

    def _keep(self, record: _Record, block: PointBlock) -> None:
        capabilities, since_s = self._driver.capabilities, self._since_s
        bad = malformed(block, capabilities, since_s)
        if bad.any():
            try:
                self._keep(record, block.select(~bad))
                check_block(block, capabilities, since_s)
            except DeviceFailed as error:
                record.refuse(block.select(bad), error.message)
                raise
        if len(block):
            self._last, self.light_s = block, 0.0
        record.take(block)

    @property
    def _since_s(self) -> float:
        """What the instrument clock has shown so far."""
        return -math.inf if self._last is None else float(self._last.time_s[-1])

    def _interrupt(self, blocks: object) -> list[GrainloopError]:
        """Close the iterator and park, whatever the driver says to either; returns what that is."""
        said = list[GrainloopError]()
        for step in (getattr(blocks, "close", None), self._driver.park):
            try:
                if step is not None:
                    step()
            except GrainloopError as error:
                said.append(error)
        return said


def _with_more(error: GrainloopError, more: list[GrainloopError]) -> GrainloopError:
    """Why a scan ended, and what the driver said when it was to leave; that beats a cancel, for the beam may be on."""
    if not more:
        return error
    first = [] if isinstance(error, Cancelled) else [error]
    return DeviceFailed(" ".join(one.message for one in (*first, *more)), field=more[-1].field, value=more[-1].value)


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
