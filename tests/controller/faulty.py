"""An instrument and a model in virtual time, with faults that a test puts in their way.

The instrument remembers what it has exposed, and exposes nothing twice for one request. Messages of a scan may come
twice, late, or with other things in them than were asked for. A `tests.controller.link` to them may break.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import Cancelled, UnknownSection
from grainloop.protocols.messages import (
    Describe,
    Description,
    Forgotten,
    LightRequest,
    Park,
    Parked,
    PointsMeasured,
    Reconstruction,
    ReconstructRequest,
    ScanDone,
    ScanRequest,
    SectionClosed,
    Stored,
    Withdraw,
    Withdrawn,
)
from grainloop.protocols.values import PointBlock
from tests.controller.fakes import FakeInstrument, FakeModel, block_of, broken, reconstruction

Tell = Callable[[Any], None]


BLOCK = 3


THINKS_S, TOO_LONG_S = 0.05, 1000.0


SCAN_FAULTS = ("twice", "late", "foreign", "outside", "other batch", "no points", "device")


MODEL_FAULTS = ("slow", "error", "other kind", "other shape", "forgets")


@dataclass(eq=False)
class Scan:
    """A batch at the instrument."""

    request: ScanRequest
    blocks: list[PointBlock] = field(default_factory=list[PointBlock])
    exposing: asyncio.Task[ScanDone] | None = None
    begun: bool = False
    stop: bool = False
    followers: list[asyncio.Event] = field(default_factory=list[asyncio.Event])

    @property
    def points(self) -> int:
        return sum(len(block) for block in self.blocks)

    def wake(self) -> None:
        for news in self.followers:
            news.set()

    def over(self, exposing: asyncio.Task[ScanDone]) -> None:
        if not exposing.cancelled():
            exposing.exception()  # perhaps nobody follows any more
        self.wake()


class FaultyInstrument(FakeInstrument):
    """Exposes `BLOCK` points at a time, one scan after the other.

    Attributes:
        exposed: how often each point of each run was exposed.
        faults: of the blocks that are told next.
        told_stored: run and number below which batches were said to be stored.
    """

    def __init__(self, declared: Capabilities, *, spools: bool) -> None:
        super().__init__(declared)
        self._spools = spools
        self.exposed = Counter[tuple[str, int]]()
        self.faults = deque[str]()
        self.told_stored: list[tuple[str, int]] = []
        self._batches: dict[tuple[str, int], Scan] = {}

    async def request(self, message: Any, *, deadline_s: float = 0.0, on_progress: Any = None) -> Any:
        match message:
            case Describe():
                return Description(capabilities=self.capabilities, spools=self._spools)
            case LightRequest():
                if "camera" in self.faults:
                    self.faults.remove("camera")
                    raise broken()
                return self._light(message)
            case ScanRequest():
                return await self._serve(message, on_progress)
            case Withdraw():
                return self._take_back(message)
            case Stored():
                self.told_stored.append((message.run, message.below))
                return Forgotten(batches=message.below)
            case Park():
                self.cancel(None)
                self.parked += 1
                return Parked()
            case _:
                return await super().request(message, deadline_s=deadline_s, on_progress=on_progress)

    def cancel(self, request: Any) -> None:
        """Nobody wants a scan any more, or any scan."""
        for scan in self._batches.values():
            scan.stop = scan.stop or request is None or request is scan.request

    def _take_back(self, message: Withdraw) -> Withdrawn:
        scan = self._batches.get((message.run, message.batch))
        withdrawn = scan is not None and not scan.begun
        if scan is not None and withdrawn:
            scan.stop = True
        return Withdrawn(batch=message.batch, withdrawn=withdrawn)

    async def _serve(self, request: ScanRequest, tell: Tell) -> ScanDone:
        key = request.run, request.batch
        scan = self._batches.setdefault(key, Scan(request))
        assert np.array_equal(scan.request.point_id, request.point_id), "a batch was asked for again with other points"
        if scan.exposing is None or (scan.exposing.done() and scan.points < len(request.point_id)):
            scan.request, scan.stop = request, False
            scan.exposing = asyncio.create_task(self._expose(scan))
            scan.exposing.add_done_callback(scan.over)
        await self._follow(scan, tell)
        return scan.exposing.result()

    async def _follow(self, scan: Scan, tell: Tell) -> None:
        news, sent, held = asyncio.Event(), 0, list[PointsMeasured]()
        scan.followers.append(news)
        over = False
        while not over:
            over = scan.exposing is None or scan.exposing.done()
            for block in scan.blocks[sent:]:
                sent += 1
                self._tell(scan.request.batch, block, tell, held)
            if not over:
                await news.wait()
                news.clear()
        scan.followers.remove(news)
        for late in held:
            tell(late)

    def _tell(self, batch: int, block: PointBlock, tell: Tell, held: list[PointsMeasured]) -> None:
        fault = self.faults.popleft() if self.faults and self.faults[0] in SCAN_FAULTS[:-1] else ""
        message, position = PointsMeasured(batch=batch, points=block), block.position_px
        match fault:
            case "late":
                held.append(message)
                return
            case "twice":
                tell(message)
            case "foreign":
                more = PointBlock.one(10**6, (0, 0), time_s=0.0, dwell_s=0.01)
                message = PointsMeasured(batch=batch, points=PointBlock.concatenate([block, more]))
            case "outside":
                message = PointsMeasured(batch=batch, points=moved(block, position + 10**4))
            case "other batch":
                message = PointsMeasured(batch=batch + 1, points=block)
            case "no points":
                tell(Parked())
            case _:
                pass
        tell(message)

    async def _expose(self, scan: Scan) -> ScanDone:
        request = scan.request
        async with self._lock:
            scan.begun = scan.begun or not scan.stop
            started_s = self.clock_s = max(self.clock_s, request.not_before_s)
            while scan.points < len(request.point_id):
                if scan.stop:
                    raise Cancelled("The request was withdrawn; points measured before are kept.")
                if self.faults and self.faults[0] == "device":
                    self.faults.popleft()
                    raise broken()
                block = block_of(request, started_s, slice(scan.points, scan.points + BLOCK))
                await asyncio.sleep(max(0.0, float(block.time_s[-1]) - self.clock_s))
                self.exposed.update((request.run, point) for point in block.point_id.tolist())
                scan.blocks.append(block)
                self.clock_s = float(block.time_s[-1])
                scan.wake()
            done = {"started_s": started_s, "finished_s": self.clock_s}
            return ScanDone(batch=request.batch, points=scan.points, **done)

    def close(self) -> list[asyncio.Task[ScanDone]]:
        """End what nobody waits for."""
        tasks = [scan.exposing for scan in self._batches.values() if scan.exposing is not None]
        for task in tasks:
            task.cancel()
        return tasks


class FaultyModel(FakeModel):
    """Attributes: faults: of the answers that come next."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = deque[str]()

    def cancel(self, request: Any) -> None:
        """It thinks on; nobody hears of it."""

    async def _reconstruct(self, message: ReconstructRequest) -> Any:
        fault = self.faults.popleft() if self.faults else ""
        await asyncio.sleep(TOO_LONG_S if fault == "slow" else THINKS_S)
        match fault:
            case "error":
                raise broken()
            case "other kind":
                return SectionClosed(section_key=message.section_key)
            case "other shape":
                return self._of_shape(message, (3, 5))
            case "forgets":
                self._shape = None
                raise UnknownSection("The section is forgotten.")
            case _:
                return await super()._reconstruct(message)

    def _of_shape(self, message: ReconstructRequest, shape: tuple[int, int]) -> Reconstruction:
        return reconstruction(message.model_copy(update={"propose": None}), shape)


def moved(block: PointBlock, position_px: np.ndarray) -> PointBlock:
    """A block somewhere else."""
    columns = {name: getattr(block, name) for name in PointBlock.model_fields}
    return PointBlock(**columns | {"position_px": position_px.astype(np.int32)})
