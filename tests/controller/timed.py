"""An instrument and a model that take time, in virtual time: scans wait for each other and come point by point."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import Cancelled, GrainloopError, UnknownKind
from grainloop.protocols.messages import (
    PointsMeasured,
    Reconstruction,
    ReconstructRequest,
    ScanDone,
    ScanRequest,
    Withdraw,
    Withdrawn,
)
from grainloop.protocols.values import PointBlock, PointStatus
from tests.controller.fakes import FakeInstrument, FakeModel

BLOCK = 7


class TimedInstrument(FakeInstrument):
    """A real instrument: what it measures takes as long as it declares, times `pace`; one scan waits behind another.

    Args:
        failing: pixels, numbered row by row, that are not indexed at the first try.
        gives_back: it knows how to withdraw a scan.
        began_s: its clock at the beginning.

    Attributes:
        exposed: every point that was exposed, in order.
        exposure_factor: how much longer than asked it exposes, in the same time.
        idle_s: how long it had nothing to do between its first scan and its last.
    """

    def __init__(
        self,
        declared: Capabilities,
        pace: float = 1.0,
        failing: frozenset[int] = frozenset(),
        gives_back: bool = True,
        began_s: float = 0.0,
    ) -> None:
        super().__init__(declared)
        self._timed_pace, self._failing, self._gives_back = pace, failing, gives_back
        self.clock_s, self.exposure_factor = began_s, 1.0
        self.exposed: list[PointBlock] = []
        self.idle_s, self._free_at = 0.0, None
        self._waiting: dict[int, asyncio.Event] = {}

    @property
    def points(self) -> PointBlock:
        """Everything exposed."""
        return PointBlock.concatenate(self.exposed)

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        match message:
            case ScanRequest():
                return await self._queue(message, on_progress)
            case Withdraw():
                if not self._gives_back:
                    raise UnknownKind("The instrument does not serve withdraw.")
                event = self._waiting.pop(message.batch, None)
                if event is not None:
                    event.set()
                return Withdrawn(batch=message.batch, withdrawn=event is not None)
            case _:
                return await super().request(message, deadline_s=deadline_s, on_progress=on_progress)

    async def _queue(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        taken_back = self._waiting[request.batch] = asyncio.Event()
        try:
            async with self._lock:
                if taken_back.is_set():
                    raise Cancelled("It was withdrawn before it began.")
                del self._waiting[request.batch]
                return await self._measure(request, on_progress)
        finally:
            self._waiting.pop(request.batch, None)

    async def _measure(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        loop, timing = asyncio.get_running_loop(), self.capabilities.timing
        idle_s = 0.0 if self._free_at is None else loop.time() - self._free_at
        self.idle_s += idle_s
        started_s, at = self.clock_s + idle_s, loop.time()
        way = np.hypot(*np.diff(request.position_px, axis=0, prepend=request.position_px[:1]).T)
        if self._beam is not None:
            way[0] = np.hypot(*(request.position_px[0] - self._beam))
        each = timing.settle_s + timing.point_overhead_s + request.dwell_s + timing.travel_s_per_px * way
        ends_s = self._timed_pace * (timing.batch_overhead_s + np.cumsum(each))
        for first in range(0, len(each), BLOCK):
            part = slice(first, first + BLOCK)
            block = self._block(request, started_s + ends_s, part)
            await asyncio.sleep(at + ends_s[part][-1] - loop.time())
            self.exposed.append(block)
            self.clock_s, self._beam, self._free_at = float(block.time_s[-1]), block.position_px[-1], loop.time()
            on_progress(PointsMeasured(batch=request.batch, points=block))
        number, ended_s = request.batch, self.clock_s
        return ScanDone(batch=number, points=len(each), started_s=started_s, finished_s=ended_s, idle_s=idle_s)

    def _block(self, request: ScanRequest, time_s: Any, part: slice) -> PointBlock:
        number = request.position_px @ np.array([self.capabilities.grid.shape_px[1], 1])
        seen = {tuple(place) for place in self.points.position_px.tolist()}
        again = np.array([tuple(place) in seen for place in request.position_px.tolist()])
        failed = (np.isin(number, list(self._failing)) & ~again)[part]
        count = len(failed)
        orientation = np.zeros((count, 4), np.float32)
        orientation[:, 0] = 1
        return PointBlock(
            point_id=request.point_id[part],
            position_px=request.position_px[part],
            status=np.where(failed, PointStatus.NOT_INDEXED, PointStatus.INDEXED).astype(np.uint8),
            phase_id=np.where(failed, 0, 1).astype(np.uint8),
            orientation=orientation,
            confidence=np.full(count, 0.9, np.float32),
            fit_deg=np.full(count, 0.4, np.float32),
            time_s=time_s[part],
            dwell_s=np.full(count, self.exposure_factor * request.dwell_s, np.float32),
        )


class TimedModel(FakeModel):
    """Thinks for `seconds` in turn; the last one stays. `trouble` as in `FakeModel`.

    Attributes:
        answers: what it answered to each question; nothing where it failed.
    """

    def __init__(self, seconds: list[float], trouble: list[GrainloopError | None] | None = None) -> None:
        super().__init__(trouble)
        self._seconds, self._hold = seconds, self._think
        self.answers: list[Reconstruction | None] = []

    async def _think(self) -> None:
        await asyncio.sleep(self._seconds[min(len(self.asked), len(self._seconds)) - 1])

    async def _reconstruct(self, message: ReconstructRequest) -> Reconstruction:
        """Whether a question fails follows from its number, though it be given up before it is answered."""
        number = len(self.answers)
        self.answers.append(None)
        answer = self.answers[number] = await super()._reconstruct(message)
        return answer
