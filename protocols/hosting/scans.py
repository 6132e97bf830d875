"""Scans that wait or run, and who follows them: one queue, one exposure per batch, however often it is asked for.

A scan goes on while anybody wants it. A caller that cancels does not; one that only vanished has not said so: its scan
goes on until the dead-man timer ends it, and whoever asks for the same batch again is attached to it. Exposing is the
business of `protocols.hosting.measuring`, what is kept that of `protocols.hosting.store`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from grainloop.protocols.aio import Call
from grainloop.protocols.errors import Cancelled
from grainloop.protocols.hosting.batches import HeldBatch
from grainloop.protocols.hosting.dead_man import DeadMan
from grainloop.protocols.hosting.worker import Worker
from grainloop.protocols.messages import ScanDone
from grainloop.protocols.observability import get_logger

Measure = Callable[[HeldBatch, Callable[[], object], Callable[[], object]], ScanDone]
"""`measure(batch, raise_if_unwanted, tell) -> done`, as `Measuring.measure`; runs in the worker thread."""


class NotWanted(Cancelled):
    """Nobody wants the scan any more."""


class Silent(Cancelled):
    """The dead-man timer stopped the scan."""


class Scan:
    """A batch on its way.

    Attributes:
        batch: as the ledger keeps it.
        callers: all who asked for it since it was queued.
        done: ends with the scan.
        stopped: the sentence of the dead-man timer, once it has run out.
        withdrawn: it was taken back before it began.
    """

    def __init__(self, batch: HeldBatch) -> None:
        self.batch = batch
        self.callers: list[Call] = []
        self.done: asyncio.Future[ScanDone]
        self.stopped, self.withdrawn = "", False
        self._followers: list[asyncio.Event] = []

    @property
    def has_listener(self) -> bool:
        """Whether a caller still waits for the answer."""
        return any(not call.cancelled for call in self.callers)

    def raise_if_unwanted(self) -> None:
        """Called between blocks.

        Raises:
            NotWanted: a caller has cancelled, and none is left.
            Silent: the dead-man timer has run out.
        """
        if self.stopped:
            raise Silent(self.stopped)
        if not self.has_listener and any(not call.gone for call in self.callers):
            raise NotWanted("The request was withdrawn; points measured before are kept.")

    def silence_s(self) -> float:
        """For how long there has been no sign of life of any caller that has not cancelled."""
        return min((call.silence_s() for call in self.callers if call.gone or not call.cancelled), default=0.0)

    def wake(self) -> None:
        """Let everybody look for news."""
        for news in self._followers:
            news.set()

    async def follow(self, call: Call, sent: int) -> int:
        """Pass on what came after the first `sent` messages until the scan is over; returns how many are sent then."""
        news, over = asyncio.Event(), False
        self._followers.append(news)
        try:
            while not over:
                over = self.done.done()
                sent = await pass_on(self.batch, call, sent)
                if not over:
                    await news.wait()
                    news.clear()
        finally:
            self._followers.remove(news)
        return sent


class Scans:
    """All scans that wait or run.

    Args:
        measure: exposes a batch.
        dead_man: when callers have been silent for too long.
    """

    def __init__(self, measure: Measure, dead_man: DeadMan) -> None:
        self.worker: Worker
        self._measure, self._dead_man = measure, dead_man
        self._going: dict[HeldBatch, Scan] = {}
        self._waiting: dict[HeldBatch, Scan] = {}

    @property
    def batches(self) -> Iterable[HeldBatch]:
        """Those that wait or run."""
        return self._going.keys()

    async def serve(self, batch: HeldBatch, call: Call) -> ScanDone:
        """Tell what is there of a batch, have the rest exposed, and return its end.

        Raises:
            Cancelled: it was withdrawn, or the dead-man timer stopped it; what was measured is kept.
            GrainloopError: the driver failed.
        """
        sent = 0
        while (scan := self._going.get(batch)) is not None or batch.done is None:
            scan = scan or self._start(batch)
            scan.callers.append(call)
            sent = await scan.follow(call, sent)
            try:
                return scan.done.result()
            except NotWanted:
                # Somebody else's cancel may have come just before this caller was attached.
                if call.cancelled or scan.withdrawn:
                    raise
        await pass_on(batch, call, sent)
        return batch.done

    def withdraw(self, wanted: Callable[[HeldBatch], bool]) -> bool:
        """Take back scans that have not begun; whether there was one.

        Removing a scan from those that wait decides, whichever thread does it first.
        """
        found = [batch for batch in list(self._waiting) if wanted(batch)]
        taken = [scan for batch in found if (scan := self._waiting.pop(batch, None)) is not None]
        for scan in taken:
            scan.withdrawn = True
        return bool(taken)

    def _start(self, batch: HeldBatch) -> Scan:
        loop = asyncio.get_running_loop()
        self._going[batch] = self._waiting[batch] = scan = Scan(batch)
        tell = partial(loop.call_soon_threadsafe, scan.wake)
        scan.done = self.worker.do(lambda: self._run(scan, tell))
        watch = asyncio.create_task(self._watch(scan), name=f"dead-man timer of batch {batch.request.batch}")
        scan.done.add_done_callback(lambda done: self._over(scan, done, watch))
        return scan

    def _run(self, scan: Scan, tell: Callable[[], object]) -> ScanDone:
        """In the worker thread."""
        number = scan.batch.request.batch
        if self._waiting.pop(scan.batch, None) is None or not scan.has_listener:
            raise NotWanted(f"Batch {number} was withdrawn before it began; nothing of it was exposed.")
        return self._measure(scan.batch, scan.raise_if_unwanted, tell)

    def _over(self, scan: Scan, done: asyncio.Future[ScanDone], watch: asyncio.Task[None]) -> None:
        if not done.cancelled():
            done.exception()  # those who asked may all be gone
        watch.cancel()
        self._going.pop(scan.batch, None)
        self._waiting.pop(scan.batch, None)
        scan.wake()

    async def _watch(self, scan: Scan) -> None:
        """Stop the scan once its callers have been silent for too long."""
        look_again_s = self._dead_man.look_again_s
        while not self._dead_man.due(silence_s := scan.silence_s()):  # noqa: ASYNC110  # silence sets no event
            await asyncio.sleep(look_again_s(silence_s))
        scan.stopped = self._dead_man.sentence
        get_logger(service="instrument").warning("dead-man timer ran out", silence_s=round(silence_s, 3))


async def pass_on(batch: HeldBatch, call: Call, sent: int) -> int:
    """Send what there is of a batch behind the first `sent` messages; returns how many are sent then."""
    while sent < len(batch.told):
        await call.progress(batch.told[sent])
        sent += 1
    return sent
