"""Which points were already exposed, so that a repeated request never exposes one again.

Kept in memory for the lifetime of the service. What is kept are whole batches: the request and the points measured for
it so far, finished or not. A batch that was interrupted goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.errors import DeviceFailed, OutOfLimits
from protocols.messages import ScanDone, ScanRequest
from protocols.shapes import rest_of
from protocols.values import PointBlock

MAX_KEPT_POINTS = 4_000_000
"""About 250 MB; beyond it the oldest runs are forgotten, never the newest."""


@dataclass
class Batch:
    """One batch: what was asked for, what was measured so far, and the answer once it is complete.

    `blocks` only grows, so that one thread may append while another reads.
    """

    request: ScanRequest
    blocks: list[PointBlock] = field(default_factory=list[PointBlock])
    done: ScanDone | None = None

    def __post_init__(self) -> None:
        self._pending = set(self.request.point_id.tolist())

    def remaining(self) -> ScanRequest:
        """The request for what is not measured yet, in the order asked for."""
        left = np.isin(self.request.point_id, list(self._pending))
        request = self.request
        update = {
            "point_id": request.point_id[left],
            "position_px": request.position_px[left],
            "pieces": rest_of(request.pieces, left),
        }
        return request.model_copy(update=update)

    def add(self, block: PointBlock, name: str) -> None:
        """Keep what the driver measured.

        Raises:
            DeviceFailed: a point that was not asked for, or that was measured already. The good ones are kept.
        """
        ids: list[int] = block.point_id.tolist()
        fresh = [self._claim(point) for point in ids]
        if any(fresh):
            self.blocks.append(block if all(fresh) else block.select(np.array(fresh)))
        if not all(fresh):
            point = ids[fresh.index(False)]
            raise DeviceFailed(
                f"{name} delivered point {point}, which batch {self.request.batch} did not ask for or already holds.",
                field="point_id",
                value=point,
            )

    def _claim(self, point: int) -> bool:
        """Whether the point was still to be measured; from now on it no longer is."""
        if point not in self._pending:
            return False
        self._pending.remove(point)
        return True

    def finish(self, name: str, previous_finish_s: float | None, busy_s: float) -> ScanDone:
        """Close a complete batch; the times follow from the instrument clock of its points.

        Args:
            name: of the instrument, for errors.
            previous_finish_s: instrument clock at the end of the batch before, if any.
            busy_s: what else the instrument did since then (PL images, its declared way to the first point).

        Raises:
            DeviceFailed: points are missing.
        """
        count = len(self.request.point_id)
        if self._pending:
            measured = count - len(self._pending)
            raise DeviceFailed(
                f"{name} delivered {measured} of the {count} points of batch {self.request.batch}.",
                field="point_id",
                value=measured,
            )
        first, last = self.blocks[0], self.blocks[-1]
        started = max(0.0, float(first.time_s[0]) - float(first.dwell_s[0]))
        finished = max(started, float(last.time_s[-1]))
        idle = 0.0 if previous_finish_s is None else max(0.0, started - previous_finish_s - busy_s)
        self.done = ScanDone(
            batch=self.request.batch,
            points=count,
            started_s=started,
            finished_s=finished,
            idle_s=idle,
        )
        return self.done


class Ledger:
    """Every batch that this instrument was asked for, by run, section and number."""

    def __init__(self, max_points: int = MAX_KEPT_POINTS) -> None:
        self._max_points = max_points
        self._runs: dict[str, dict[tuple[int, int], Batch]] = {}

    def claim(self, request: ScanRequest) -> Batch:
        """The batch of `request`: the one kept, if it was asked for before, or a new one.

        Raises:
            OutOfLimits: a named run asks again for a point id under another batch, position or dwell.
        """
        run = self._runs.setdefault(request.run, {})
        self._runs[request.run] = self._runs.pop(request.run)  # newest last
        key = (request.section, request.batch)
        kept = run.get(key)
        if kept is not None and _same_points(kept.request, request):
            return kept
        if request.run:
            _require_new_ids(request, run)
        run[key] = batch = Batch(request)
        self._forget_oldest()
        return batch

    def _forget_oldest(self) -> None:
        sizes = {run: sum(len(b.request.point_id) for b in batches.values()) for run, batches in self._runs.items()}
        for run in list(self._runs)[:-1]:
            if sum(sizes.values()) <= self._max_points:
                return
            del self._runs[run], sizes[run]


def _same_points(a: ScanRequest, b: ScanRequest) -> bool:
    return (
        a.dwell_s == b.dwell_s
        and np.array_equal(a.point_id, b.point_id)
        and np.array_equal(a.position_px, b.position_px)
        and _same_pieces(a.pieces, b.pieces)
    )


def _same_pieces(a: NDArray[np.int32] | None, b: NDArray[np.int32] | None) -> bool:
    return a is b if a is None or b is None else np.array_equal(a, b)


def _require_new_ids(request: ScanRequest, run: dict[tuple[int, int], Batch]) -> None:
    for (section, batch), other in run.items():
        known = np.isin(request.point_id, other.request.point_id)
        if section == request.section and known.any():
            point = int(request.point_id[known][0])
            raise OutOfLimits(
                f"Point {point} of run {request.run!r} was already asked for in batch {batch}, at another position or "
                f"with another dwell; a point is never exposed twice.",
                field="point_id",
                value=point,
            )
