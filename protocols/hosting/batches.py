"""One batch: what was asked for, what came of it, what may have been exposed; and how to know that again from a spool.

Which batches there are is the business of `protocols.hosting.store`, exposing them that of
`protocols.hosting.measuring`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.errors import DeviceFailed
from grainloop.protocols.hosting.spool import RunSpool
from grainloop.protocols.hosting.spool_entries import Begun, Entry, Finished, Step
from grainloop.protocols.messages import PointsMeasured, ScanDone, ScanRequest
from grainloop.protocols.shapes import rest_of
from grainloop.protocols.values import NO_FIT_DEG, PointBlock, PointStatus

Key = tuple[int, int]
"""Section and number of a batch in its run."""
LOST = "exposed, result lost"
"""Why points failed that may have been under the beam when the instrument service died."""


@dataclass(eq=False)
class HeldBatch:
    """One batch.

    Attributes:
        request: as it came first.
        spool: where it is recorded, if anywhere.
        told: what came of it, as it is told; only grows, so that one thread may append while another reads.
        done: the answer once it is complete.
        begun: it is in the spool.
    """

    request: ScanRequest
    spool: RunSpool | None = None
    told: list[PointsMeasured] = field(default_factory=list[PointsMeasured])
    done: ScanDone | None = None
    begun: bool = False

    def __post_init__(self) -> None:
        self._pending = set(self.request.point_id.tolist())
        self._exposing: set[int] = set()

    @property
    def key(self) -> Key:
        """Section and number."""
        return self.request.section, self.request.batch

    def pending(self) -> NDArray[np.bool_]:
        """(N,) which points of the request have no result yet."""
        return np.isin(self.request.point_id, list(self._pending))

    def remaining(self) -> ScanRequest:
        """The request for what is not measured yet, in the order asked for."""
        left, request = self.pending(), self.request
        update = {
            "point_id": request.point_id[left],
            "position_px": request.position_px[left],
            "pieces": rest_of(request.pieces, left),
        }
        return request.model_copy(update=update)

    def claim(self, block: PointBlock) -> NDArray[np.bool_]:
        """(N,) which points of a block were asked for and had no result yet; from now on they have one."""
        fresh = np.zeros(len(block), np.bool_)
        for index, point in enumerate(block.point_id.tolist()):
            fresh[index] = point in self._pending
            self._pending.discard(point)
        return fresh

    def tell(self, points: PointBlock, lost: str | None = None) -> None:
        """Show points that were claimed to whoever asked."""
        self.told.append(PointsMeasured(batch=self.request.batch, points=points, lost=lost))

    def finish(self, name: str, previous_finish_s: float | None, busy_s: float) -> ScanDone:
        """Close a complete batch; the times follow from the instrument clock of its points.

        Args:
            name: of the instrument, for errors.
            previous_finish_s: instrument clock at the end of the batch before, if any.
            busy_s: what else the instrument did since then (PL images, its declared way to the first point).

        Raises:
            DeviceFailed: points are missing.
            SpoolLost: that it is complete cannot be recorded.
        """
        count = len(self.request.point_id)
        if self._pending:
            measured = count - len(self._pending)
            raise DeviceFailed(
                f"{name} delivered {measured} of the {count} points of batch {self.request.batch}.",
                field="point_id",
                value=measured,
            )
        first, last = self.told[0].points, self.told[-1].points
        started = max(0.0, float(first.time_s[0]) - float(first.dwell_s[0]))
        finished = max(started, float(last.time_s[-1]))
        idle = 0.0 if previous_finish_s is None else max(0.0, started - previous_finish_s - busy_s)
        done = ScanDone(batch=self.request.batch, points=count, started_s=started, finished_s=finished, idle_s=idle)
        if self.spool is not None:
            self.spool.append(Finished(section=self.request.section, done=done))
        self.done = done
        return done

    def restore(self, step: Step) -> None:
        """Take up what the spool says came of it."""
        if len(step.points):
            self.claim(step.points)
            self.tell(step.points, step.lost)
        if step.exposing is not None:
            self._exposing = set(step.exposing.tolist())

    def give_up_exposing(self) -> None:
        """Points that may have been under the beam when the service died have failed; they count with their dwell.

        Raises:
            SpoolLost: that cannot be recorded.
        """
        ids = list(self._exposing & self._pending)
        self._exposing = set()
        if ids:
            self.give_up(np.isin(self.request.point_id, ids), LOST, _NONE)

    def give_up(self, which: NDArray[np.bool_], why: str, exposing: NDArray[np.int64] | None = None) -> None:
        """Points of the request (N,) that have no result were exposed and have failed; `exposing` as in `step`.

        Raises:
            SpoolLost: that cannot be recorded.
        """
        points = self._lost(which)
        if self.spool is not None:
            self.spool.append(self.step(points, exposing, why))
        self.claim(points)
        self.tell(points, why)

    def _lost(self, which: NDArray[np.bool_]) -> PointBlock:
        request, count = self.request, int(which.sum())
        newest_s = max((float(one.points.time_s[-1]) for one in self.told), default=request.not_before_s)
        return PointBlock(
            point_id=request.point_id[which],
            position_px=request.position_px[which],
            status=np.full(count, PointStatus.FAILED, np.uint8),
            phase_id=np.zeros(count, np.uint8),
            orientation=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
            confidence=np.zeros(count, np.float32),
            fit_deg=np.full(count, NO_FIT_DEG, np.float32),
            time_s=np.full(count, newest_s, np.float64),
            dwell_s=np.full(count, request.dwell_s, np.float32),
        )

    def step(self, points: PointBlock, exposing: NDArray[np.int64] | None, lost: str | None = None) -> Step:
        """An entry of the spool about this batch."""
        section, batch = self.key
        return Step(section=section, batch=batch, points=points, exposing=exposing, lost=lost)

    def entries(self) -> list[Entry]:
        """All that the spool has to know of it while nothing of it is being exposed."""
        if not self.begun:
            return []
        steps: list[Entry] = [self.step(one.points, None, one.lost) for one in self.told]
        finished = [] if self.done is None else [Finished(section=self.request.section, done=self.done)]
        return [Begun(request=self.request), *steps, *finished]


_NONE = np.empty(0, np.int64)
