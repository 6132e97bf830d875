"""An instrument that scans lines and rectangles, and a model that proposes them, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np

from grainloop.instrument_sim.presets import MAP_QUEUE
from grainloop.protocols.capabilities import Capabilities, ScanTiming
from grainloop.protocols.hosting.shape_limits import check_pieces
from grainloop.protocols.messages import (
    Describe,
    Description,
    PointsMeasured,
    Proposals,
    Reconstruction,
    ReconstructRequest,
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.shapes import Piece, ScanShape, decode_pieces, encode_pieces, exposure_ends_s, parts
from grainloop.protocols.values import PointBlock
from tests.controller.fakes import capabilities, reconstruction
from tests.controller.timed import BLOCK, TimedInstrument, TimedModel

SHAPE = (48, 40)
TIMING = ScanTiming(
    travel_s_per_px=1e-3, settle_s=2e-3, batch_overhead_s=0.1, line_start_s=0.2, map_start_s=0.3, fly_back_s=5e-3
)
QUEUE = MAP_QUEUE.shapes.model_copy(update={"smallest_rectangle_points": (3, 3), "shortest_line_points": 4})
RECTANGLES = QUEUE.model_copy(update={"accepted": (ScanShape.RECTANGLES,)})


def queue(**changes: Any) -> Capabilities:
    fields: dict[str, Any] = {"light": False, "timing": TIMING, "shapes": RECTANGLES, "simulated": False}
    return capabilities(SHAPE, **fields | changes)


class ShapedInstrument(TimedInstrument):
    """Refuses what it does not accept, as a service does, and takes as long as it declares.

    Attributes:
        known: ids of points that were exposed before; with some, it says that it remembers them.
    """

    known: tuple[int, ...] = ()

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        if isinstance(message, Describe):
            return Description(capabilities=self.capabilities, spools=bool(self.known))
        return await super().request(message, deadline_s=deadline_s, on_progress=on_progress)

    async def _measure(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        self.scans.append(request)
        check_pieces(request, self.capabilities)
        loop, at = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        idle_s = at - (self._free_at or at)
        self.idle_s += idle_s
        started_s = self.clock_s + idle_s
        beam = None if self._beam is None else tuple(self._beam.tolist())
        pieces = decode_pieces(request.pieces, len(request.point_id))
        timing = self.capabilities.timing
        ends_s = exposure_ends_s(request.position_px, pieces, beam, request.dwell_s, timing)
        for where in _blocks(pieces):
            block = self._block(request, started_s + ends_s, where)
            await asyncio.sleep(at + ends_s[where][-1] - loop.time())
            self.exposed.append(block.select(~np.isin(block.point_id, self.known)))
            self.clock_s, self._beam, self._free_at = float(block.time_s[-1]), block.position_px[-1], loop.time()
            on_progress(PointsMeasured(batch=request.batch, points=block))
        count, ended_s = len(request.point_id), self.clock_s
        return ScanDone(batch=request.batch, points=count, started_s=started_s, finished_s=ended_s, idle_s=idle_s)


def _blocks(pieces: list[Piece]) -> list[slice]:
    """At most seven points of one shape at once."""
    whole = [where for _, where in parts(pieces)]
    return [slice(i, min(i + BLOCK, one.stop)) for one in whole for i in range(one.start, one.stop, BLOCK)]


class ShapedModel(TimedModel):
    """Proposes 4 × 4 windows, or lines of 5 where no rectangles are accepted, scattered over what is not barred."""

    async def _reconstruct(self, message: ReconstructRequest) -> Reconstruction:
        answer = await super()._reconstruct(message)
        if message.propose is None or message.propose.means is None:
            return answer
        return answer.model_copy(update={"proposals": windows(message)})


def answer_to(message: ReconstructRequest) -> Reconstruction:
    return reconstruction(message, SHAPE).model_copy(update={"proposals": windows(message)})


def windows(message: ReconstructRequest) -> Proposals:
    """What a model would propose; nothing where nothing fits."""
    asked = message.propose
    assert asked is not None
    assert asked.means is not None
    measured, barred = np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.bool_)
    measured[tuple(message.points.position_px.T)] = True
    barred[tuple(asked.excluded_px.T)] = True
    means = asked.means
    limits, left_s, left, pieces = means.shapes, asked.budget_s or np.inf, asked.count, list[Piece]()
    rasters = [np.empty((0, 2), np.int32)]
    rectangles = ScanShape.RECTANGLES in limits.accepted
    rng = np.random.default_rng(len(message.points))
    for first in rng.permutation(SHAPE[0] * SHAPE[1]).tolist():
        start = divmod(first, SHAPE[1])
        one = (
            Piece(ScanShape.RECTANGLES, 16, start, 4, 4, (1, 0), (0, 1))
            if rectangles
            else Piece(ScanShape.LINES, 5, start, 1, 5, (0, 0), (0, 1))
        )
        if not one.fits(SHAPE):
            continue
        pixels = one.raster(limits.serpentine)
        if limits.skips:
            pixels = pixels[~barred[tuple(pixels.T)]]
            if len(pixels) < 8:
                continue
            one = replace(one, points=len(pixels))
        seconds = means.timing.start_s(one.shape) + means.timing.settle_s + one.points * means.dwell_s
        if one.points > left or seconds > left_s or barred[tuple(pixels.T)].any() or measured[tuple(pixels.T)].all():
            continue
        barred[tuple(pixels.T)] = True
        left, left_s = left - one.points, left_s - seconds
        pieces.append(one)
        rasters.append(pixels)
    position = np.concatenate(rasters)
    count = len(position)
    return Proposals(
        position_px=position,
        gain=np.ones(count, np.float32),
        reason=np.full(count, 3, np.uint8),
        policy="uncertain",
        pieces=encode_pieces(pieces),
    )


def exposed_twice(points: PointBlock) -> int:
    """How many exposures lie on pixels that had been exposed before."""
    return len(points) - len(np.unique(points.position_px, axis=0))
