"""Which points were already exposed, so that a repeated request never exposes one again.

Kept are whole batches, finished or not, until the controller says that it has stored them; of those stored, the ids. A
batch that was interrupted goes on where it stopped. With a spool all this outlives the service: a run is read from it
when it is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.hosting.batches import HeldBatch, Key
from grainloop.protocols.hosting.id_ranges import Ids, inside, no_ids, with_ids
from grainloop.protocols.hosting.spool import RunSpool, SpoolFolder
from grainloop.protocols.hosting.spool_entries import Begun, Dropped, Entry, Finished, Step
from grainloop.protocols.messages import ScanRequest

MAX_KEPT_POINTS = 4_000_000
"""About 250 MB; beyond it the oldest runs are forgotten, never the newest. With a spool they are read again."""
TIDY_BYTES = 2**20
"""A spool below this size is not worth being written anew."""


class RunStore:
    """The batches of one run, and its spool if there is one."""

    def __init__(self, spool: RunSpool | None) -> None:
        self.batches: dict[Key, HeldBatch] = {}
        self.dropped: dict[int, Dropped] = {}
        self.spool = spool
        self._tidy_bytes = TIDY_BYTES
        self._lock = threading.Lock()
        if spool is not None:
            self._restore(spool.take_entries())

    @property
    def points(self) -> int:
        """How many points are kept."""
        return sum(len(batch.request.point_id) for batch in self.batches.values())

    def drop(self, section: int, below: int, busy: Iterable[HeldBatch]) -> int:
        """Forget the batches of a section with lower numbers, but for busy ones; returns how many are forgotten by now.

        Raises:
            SpoolLost: that cannot be recorded.
        """
        with self._lock:
            spared = {batch.key for batch in busy}
            keys = [key for key in self.batches if key[0] == section and key[1] < below and key not in spared]
            before = self.dropped.get(section, Dropped(section=section, below=0, batches=0, ids=no_ids()))
            if keys or below > before.below:
                ids = np.concatenate([no_ids(), *(self.batches[key].request.point_id for key in keys)])
                dropped = Dropped(
                    section=section,
                    below=max(below, before.below),
                    batches=before.batches + len(keys),
                    ids=with_ids(before.ids, ids),
                )
                if self.spool is not None:
                    self.spool.append(dropped)
                self._drop(dropped, keys)
            return self.dropped[section].batches if section in self.dropped else 0

    def tidy(self) -> None:
        """Write the spool anew where most of it is no longer needed; call while nothing of the run is being exposed.

        Raises:
            SpoolLost: it cannot be written.
        """
        with self._lock:
            if self.spool is not None and self.spool.size > self._tidy_bytes:
                kept = [entry for batch in list(self.batches.values()) for entry in batch.entries()]
                self.spool.replace([*self.dropped.values(), *kept])
                self._tidy_bytes = max(TIDY_BYTES, 2 * self.spool.size)

    def require_new_ids(self, request: ScanRequest) -> None:
        """Refuse points that were asked for before in another batch.

        Raises:
            OutOfLimits: the first of them is named.
        """
        for (section, number), other in self.batches.items():
            if section == request.section and number != request.batch:
                _refuse(request, _shared(request.point_id, other.request.point_id), f"in batch {number}")
        if (dropped := self.dropped.get(request.section)) is not None:
            _refuse(request, inside(dropped.ids, request.point_id), "in a batch that is stored")

    def _restore(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            match entry:
                case Begun():
                    batch = HeldBatch(entry.request, self.spool, begun=True)
                    self.batches[batch.key] = batch
                case Step() if (entry.section, entry.batch) in self.batches:
                    self.batches[entry.section, entry.batch].restore(entry)
                case Finished() if (entry.section, entry.done.batch) in self.batches:
                    self.batches[entry.section, entry.done.batch].done = entry.done
                case Dropped():
                    self._drop(entry, [key for key, batch in self.batches.items() if _gone(batch, entry)])
                case _:
                    pass
        for batch in self.batches.values():
            batch.give_up_exposing()

    def _drop(self, dropped: Dropped, keys: Iterable[Key]) -> None:
        self.dropped[dropped.section] = dropped
        for key in keys:
            del self.batches[key]


class BatchStore:
    """Every batch that this instrument was asked for, by run, section and number."""

    def __init__(self, spool: SpoolFolder | None = None, max_points: int = MAX_KEPT_POINTS) -> None:
        self._spool, self._max_points = spool, max_points
        self._runs: dict[str, RunStore] = {}

    def claim(self, request: ScanRequest, busy: Iterable[HeldBatch] = ()) -> HeldBatch:
        """The batch of `request`: the one kept, if it was asked for before, or a new one.

        Args:
            request: any scan.
            busy: batches that wait or run; their runs are not forgotten.

        Raises:
            OutOfLimits: a named run asks again for a point id under another batch, position or dwell, for a batch
                that it has changed, or for one that it has stored.
            BadInput: the spool of the run cannot be read or written.
        """
        run = self.run(request.run)
        key = (request.section, request.batch)
        kept = run.batches.get(key)
        if kept is not None and _same_points(kept.request, request):
            return kept
        if request.run:
            _require_unchanged(request, kept, run.dropped.get(request.section))
            run.require_new_ids(request)
        run.batches[key] = batch = HeldBatch(request, run.spool)
        self._forget_oldest(busy)
        return batch

    def run(self, name: str) -> RunStore:
        """The run of a name, read from the spool if need be; it counts as the newest now.

        Raises:
            BadInput: its spool cannot be read or written.
        """
        run = self._runs.pop(name, None)
        if run is None:
            run = RunStore(self._spool.open(name) if self._spool is not None and name else None)
        self._runs[name] = run
        return run

    def tidy(self, name: str) -> None:
        """See `Run.tidy`."""
        if (run := self._runs.get(name)) is not None:
            run.tidy()

    def close(self) -> None:
        """Close all spools."""
        for run in self._runs.values():
            if run.spool is not None:
                run.spool.close()
        self._runs.clear()

    def _forget_oldest(self, busy: Iterable[HeldBatch]) -> None:
        sizes = {name: run.points for name, run in self._runs.items()}
        spared = {batch.request.run for batch in busy}
        for name in list(self._runs)[:-1]:
            if sum(sizes.values()) <= self._max_points:
                return
            if name not in spared:
                run = self._runs.pop(name)
                del sizes[name]
                if run.spool is not None:
                    run.spool.close()


def _gone(batch: HeldBatch, dropped: Dropped) -> bool:
    """Whether an entry of the spool says that a batch is stored; one that was running then is not."""
    below = batch.request.section == dropped.section and batch.request.batch < dropped.below
    return below and bool(inside(dropped.ids, batch.request.point_id).all())


def _require_unchanged(request: ScanRequest, kept: HeldBatch | None, dropped: Dropped | None) -> None:
    name = f"Batch {request.batch} of run {request.run!r}"
    if kept is not None and not len(np.setxor1d(kept.request.point_id, request.point_id)):
        message = f"{name} was asked for before at other positions, in other shapes or with another dwell."
        raise OutOfLimits(message, field="batch", value=request.batch)
    if kept is not None:
        message = f"{name} was asked for before with other points; a batch is never changed."
        raise OutOfLimits(message, field="batch", value=request.batch)
    if dropped is not None and request.batch < dropped.below:
        message = f"{name} was told to be stored; its points are no longer kept, and are not exposed again."
        raise OutOfLimits(message, field="batch", value=request.batch)


def _same_points(a: ScanRequest, b: ScanRequest) -> bool:
    return (
        a.dwell_s == b.dwell_s
        and np.array_equal(a.point_id, b.point_id)
        and np.array_equal(a.position_px, b.position_px)
        and _same_pieces(a.pieces, b.pieces)
    )


def _same_pieces(a: NDArray[np.int32] | None, b: NDArray[np.int32] | None) -> bool:
    return a is b if a is None or b is None else np.array_equal(a, b)


def _shared(ids: Ids, others: Ids) -> NDArray[np.bool_]:
    """(N,) which of the ids (N,) are among others; those of most batches are far apart."""
    if ids.min() > others.max() or ids.max() < others.min():
        return np.zeros(len(ids), np.bool_)
    return np.isin(ids, others)


def _refuse(request: ScanRequest, known: NDArray[np.bool_], where: str) -> None:
    if known.any():
        point = int(request.point_id[known][0])
        raise OutOfLimits(
            f"Point {point} of run {request.run!r} was already asked for {where}; a point is never exposed twice.",
            field="point_id",
            value=point,
        )
