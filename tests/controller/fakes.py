"""An instrument and a model that answer at once, with a simulated clock and scripted faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from grainloop.controller.geometry.route import path_length
from grainloop.protocols.capabilities import Capabilities, LightCapabilities, ScanTiming
from grainloop.protocols.errors import DeviceFailed, GrainloopError, UnknownSection
from grainloop.protocols.messages import (
    REASON_CODES,
    CheckHealth,
    CloseSection,
    Describe,
    DescribeModel,
    Description,
    Forgotten,
    Health,
    LightDiagnostics,
    LightRequest,
    LightTaken,
    ModelDescription,
    OpenSection,
    Park,
    Parked,
    PointsMeasured,
    ProposalReason,
    Proposals,
    Reconstruction,
    ReconstructRequest,
    ScanDone,
    ScanRequest,
    SectionClosed,
    SectionOpened,
    Stored,
)
from grainloop.protocols.values import Grid, LightImages, LightKind, Phase, PointBlock, PointStatus

DWELL_S = 0.01
TIMING = ScanTiming(travel_s_per_px=0.001, settle_s=0.002, batch_overhead_s=0.1)


def capabilities(shape: tuple[int, int] = (24, 20), light: bool = True, **changes: Any) -> Capabilities:
    camera = LightCapabilities(kind=LightKind.ROTATION_STACK, shape_px=shape, pixel_um=1.0, seconds_per_image=0.5)
    fields: dict[str, Any] = {
        "name": "Fake-1",
        "simulated": True,
        "grid": Grid(shape_px=shape, step_um=1.0),
        "phases": (Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
        "dwell_range_s": (0.001, 1.0),
        "default_dwell_s": DWELL_S,
        "timing": TIMING,
        "light": camera if light else None,
    }
    return Capabilities(**fields | changes)


def block_of(request: ScanRequest, start_s: float, part: slice = slice(None), pace: float = 1.0) -> PointBlock:
    """The points of a request, measured one after the other at `pace` times the declared cost."""
    steps = np.hypot(*np.diff(request.position_px, axis=0, prepend=request.position_px[:1]).T)
    costs = TIMING.travel_s_per_px * steps + TIMING.settle_s + request.dwell_s
    count = len(request.point_id)
    orientation = np.zeros((count, 4), np.float32)
    orientation[:, 0] = 1
    block = PointBlock(
        point_id=request.point_id,
        position_px=request.position_px,
        status=np.full(count, PointStatus.INDEXED, np.uint8),
        phase_id=np.ones(count, np.uint8),
        orientation=orientation,
        confidence=np.full(count, 0.9, np.float32),
        fit_deg=np.full(count, 0.4, np.float32),
        time_s=start_s + pace * (TIMING.batch_overhead_s + np.cumsum(costs)),
        dwell_s=np.full(count, request.dwell_s, np.float32),
    )
    return block.select(part)


class FakeInstrument:
    """Serves scans first come, first served.

    Args:
        fail: scans (numbered from 0) that fail after half of their points, with the error to raise.
        hold: called (and awaited) before each scan.
        light: called (and awaited) before PL images are taken.
        pace: how much slower it is than declared.
    """

    def __init__(
        self,
        declared: Capabilities | None = None,
        fail: dict[int, GrainloopError] | None = None,
        hold: Callable[[ScanRequest], Any] | None = None,
        light: Callable[[], Any] | None = None,
        pace: float = 1.0,
    ) -> None:
        self.capabilities = declared or capabilities()
        self._on_light, self._pace = light, pace
        self.scans: list[ScanRequest] = []
        self.clock_s = 0.0
        self.parked = 0
        self._fail, self._hold, self._lock = fail or {}, hold, asyncio.Lock()
        self._beam: np.ndarray | None = None

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        match message:
            case Describe():
                return Description(capabilities=self.capabilities)
            case LightRequest():
                if self._on_light is not None:
                    await self._on_light()
                return self._light(message)
            case ScanRequest():
                async with self._lock:
                    return await self._scan(message, on_progress)
            case Park():
                self.parked += 1
                return Parked()
            case Stored():
                return Forgotten(batches=message.below)
            case CheckHealth():
                return Health(service="instrument", version="0", ok=True)
        raise AssertionError(f"unexpected {message.kind}")

    def _light(self, message: LightRequest) -> LightTaken:
        seconds = 0.5 * len(message.angles_deg)
        self.clock_s += seconds
        images = np.zeros((len(message.angles_deg), *self.capabilities.grid.shape_px), np.float32)
        light = LightImages(kind=LightKind.ROTATION_STACK, angles_deg=message.angles_deg, images=images, pixel_um=1.0)
        return LightTaken(section=0, light=light, seconds=seconds)

    async def _scan(self, request: ScanRequest, on_progress: Any) -> ScanDone:
        number = len(self.scans)
        self.scans.append(request)
        await asyncio.sleep(0)
        if self._hold is not None:
            await self._hold(request)
        idle = max(0.0, request.not_before_s - self.clock_s)
        start = self.clock_s + idle
        if self._beam is not None:
            start += TIMING.travel_s_per_px * path_length(request.position_px[:1], start=self._beam)
        half = max(1, len(request.point_id) // 2)
        first, second = (block_of(request, start, part, self._pace) for part in (slice(half), slice(half, None)))
        on_progress(PointsMeasured(batch=request.batch, points=first))
        if (error := self._fail.get(number)) is not None:
            self.clock_s = float(first.time_s[-1])
            raise error
        if len(second):
            on_progress(PointsMeasured(batch=request.batch, points=second))
        finished = float(block_of(request, start, pace=self._pace).time_s[-1])
        self.clock_s, self._beam = finished, request.position_px[-1]
        count = len(request.point_id)
        return ScanDone(batch=request.batch, points=count, started_s=start, finished_s=finished, idle_s=idle)


class FakeModel:
    """Proposes the pixels left, in a fixed scattered order, and answers with identity maps.

    Args:
        trouble: errors to raise, one per reconstruction; None is none.
        forget: reconstructions (numbered from 0) before which the section is forgotten.
        predicted_wrong: answered at each reconstruction; the last one stays.
        hold: awaited before each reconstruction.
    """

    def __init__(
        self,
        trouble: list[GrainloopError | None] | None = None,
        forget: set[int] | None = None,
        predicted_wrong: list[float] | None = None,
        hold: Callable[[], Any] | None = None,
    ) -> None:
        self.asked: list[ReconstructRequest] = []
        self.opened = self.closed = self.probed = 0
        self._trouble, self._forget, self._hold = trouble or [], forget or set(), hold
        self._predicted = predicted_wrong or [0.5]
        self._shape: tuple[int, int] | None = None

    async def request(self, message: Any, *, deadline_s: float, on_progress: Any = None) -> Any:
        match message:
            case DescribeModel():
                return description()
            case OpenSection():
                self.opened, self._shape = self.opened + 1, message.grid.shape_px
                return SectionOpened(section_key=message.section_key, light_usable=True, notes=("A note.",))
            case ReconstructRequest():
                return await self._reconstruct(message)
            case CheckHealth():
                self.probed += 1
                return Health(service="model", version="0", ok=True)
            case CloseSection():
                self.closed += 1
                return SectionClosed(section_key=message.section_key)
        raise AssertionError(f"unexpected {message.kind}")

    async def _reconstruct(self, message: ReconstructRequest) -> Reconstruction:
        number = len(self.asked)
        if number in self._forget:
            self._forget.remove(number)
            self._shape = None
        if self._shape is None:
            raise UnknownSection("forgotten")
        self.asked.append(message)
        if self._hold is not None:
            await self._hold()
        if number < len(self._trouble) and (error := self._trouble[number]) is not None:
            raise error
        predicted = self._predicted[min(number, len(self._predicted) - 1)]
        return reconstruction(message, self._shape, predicted)


def description() -> ModelDescription:
    return ModelDescription(
        version="0",
        methods=("nearest", "watershed"),
        default_method="watershed",
        policies=("uncertain",),
        default_policy="uncertain",
        point_groups=("6/mmm",),
        weights_sha256=(("6/mmm", "f" * 64),),
    )


def reconstruction(message: ReconstructRequest, shape: tuple[int, int], predicted: float = 0.5) -> Reconstruction:
    identity = np.zeros((*shape, 4), np.float32)
    identity[..., 0] = 1
    return Reconstruction(
        section_key=message.section_key,
        method="nearest",
        orientation=identity,
        phase_id=np.ones(shape, np.uint8),
        expected_error_deg=np.full(shape, 2.0, np.float32),
        bound90_deg=np.full(shape, 6.0, np.float32),
        p_wrong=np.full(shape, predicted, np.float32),
        boundary=np.zeros(shape, np.float32),
        grain=np.ones(shape, np.int32),
        predicted_wrong=predicted,
        light=LightDiagnostics(used=False),
        proposals=None if message.propose is None else proposals(message, shape),
        seconds=0.1,
    )


def proposals(message: ReconstructRequest, shape: tuple[int, int]) -> Proposals:
    """A scattered but fixed choice."""
    assert message.propose is not None
    scattered = np.random.default_rng(7).permutation(shape[0] * shape[1])
    pixels = np.stack(np.unravel_index(scattered, shape), axis=1).astype(np.int32)
    excluded = {tuple(p) for p in np.concatenate([message.propose.excluded_px, message.points.position_px]).tolist()}
    good = [p for p in pixels.tolist() if tuple(p) not in excluded][: message.propose.count]
    chosen = np.array(good, np.int32).reshape(-1, 2)
    return Proposals(
        position_px=chosen,
        gain=np.linspace(9, 1, len(chosen), dtype=np.float32),
        reason=np.full(len(chosen), REASON_CODES.index(ProposalReason.UNCERTAIN), np.uint8),
        policy="uncertain",
    )


def broken() -> GrainloopError:
    return DeviceFailed("The detector of Fake-1 is retracted.")
