"""Host an `InstrumentDriver` as the instrument service.

Every request is checked against the declared `Capabilities`; the driver is called from one worker thread, one call at a
time; scans are served first come, first served, so that a second one may wait while the first runs; no point is exposed
twice (`protocols.hosting.ledger`). What to measure is the business of the controller.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from protocols.aio import Call, Service
from protocols.capabilities import LightCapabilities
from protocols.driver import InstrumentDriver
from protocols.endpoints import INSTRUMENT_ENDPOINT
from protocols.errors import Cancelled, DeviceFailed, GrainloopError
from protocols.frames import Limits
from protocols.hosting.ledger import Batch, Ledger
from protocols.hosting.limits import check_block, check_images, check_light, check_scan
from protocols.hosting.loading import load_driver, require_driver
from protocols.hosting.worker import Worker
from protocols.messages import (
    CheckHealth,
    Describe,
    Description,
    Health,
    InstrumentRequest,
    LightRequest,
    LightTaken,
    Park,
    Parked,
    PointsMeasured,
    ScanDone,
    ScanRequest,
    Withdraw,
    Withdrawn,
)
from protocols.security.access import Access
from protocols.shapes import decode_pieces
from protocols.values import LightImages, PointBlock
from protocols.version import grainloop_version

__all__ = ["DriverService", "load_driver"]

T = TypeVar("T")

SERVICE = "instrument"
REQUEST_LIMITS = Limits(array_bytes=2**26, total_bytes=2**27)
"""Requests to measure are small: the ids of 8 million points fill an array."""
DRIVER_GRACE_S = 10.0
"""How long a driver may take to return when the service ends."""


class DriverService:
    """The instrument service around one driver.

    Args:
        driver: the instrument; it stays parked whenever no scan runs.
    """

    def __init__(self, driver: InstrumentDriver) -> None:
        self._driver = require_driver(driver, type(driver).__name__)
        self._ledger = Ledger()
        self._calls: list[Call] = []
        self._waiting: dict[Call, ScanRequest] = {}
        self._last: PointBlock | None = None
        self._light_s = 0.0
        self.service = Service(
            SERVICE,
            InstrumentRequest,
            {
                CheckHealth: self._health,
                Describe: self._describe,
                LightRequest: self._light,
                ScanRequest: self._scan,
                Withdraw: self._withdraw,
                Park: self._park,
            },
            limits=REQUEST_LIMITS,
        )

    @property
    def name(self) -> str:
        """What messages and errors call the instrument."""
        return self._driver.capabilities.name

    @property
    def endpoint(self) -> str | None:
        """Where the service listens while it runs."""
        return self.service.endpoint

    async def run(
        self,
        endpoint: str = INSTRUMENT_ENDPOINT,
        *,
        ready: Callable[[], object] | None = None,
        stop: asyncio.Event | None = None,
        access: Access | None = None,
    ) -> None:
        """Serve until `stop` is set or the task is cancelled; the instrument is parked before this returns.

        Raises:
            Unavailable: the port is in use.
            NotPermitted: other machines could reach the endpoint, and there is no `access`.
        """
        self._worker = Worker(f"{SERVICE} driver")
        try:
            await self.service.run(endpoint, ready=ready, stop=stop, access=access)
        finally:
            parked = self._worker.do(self._driver.park)
            if await self._worker.close(DRIVER_GRACE_S):
                await parked
            parked.cancel()

    async def _describe(self, _request: Describe, _call: Call) -> Description:
        return Description(capabilities=self._driver.capabilities)

    async def _health(self, _request: CheckHealth, _call: Call) -> Health:
        """A busy instrument proves itself; an idle instrument proves itself by parking, which does no harm."""
        if self._calls:
            return _healthy(f"{self.name} is measuring; {len(self._calls)} requests are open.")
        await self._worker.do(lambda: self._guard("park", self._driver.park))
        return _healthy(f"{self.name} answers.")

    async def _park(self, _request: Park, _call: Call) -> Parked:
        """Withdraw whatever runs or waits, then park."""
        for call in self._calls:
            call.cancelled.set()
        await self._worker.do(lambda: self._guard("park", self._driver.park))
        return Parked()

    async def _light(self, request: LightRequest, call: Call) -> LightTaken:
        declared = check_light(request, self._driver.capabilities)
        with self._busy(call):
            return await self._worker.do(lambda: self._take_light(request, declared, call))

    def _take_light(self, request: LightRequest, declared: LightCapabilities, call: Call) -> LightTaken:
        """In the worker thread: take the images and check them against the declaration."""
        _require_wanted(call)
        started = time.monotonic()
        stack = self._guard("light", lambda: np.asarray(self._driver.light(request.section, request.angles_deg)))
        elapsed = time.monotonic() - started
        light = self._guard("light", lambda: _images(stack, request, declared))
        check_images(light, declared, self.name)
        simulated = self._driver.capabilities.simulated
        seconds = declared.seconds_per_image * len(stack) if simulated else elapsed
        self._light_s += seconds
        return LightTaken(section=request.section, light=light, seconds=seconds)

    async def _scan(self, request: ScanRequest, call: Call) -> ScanDone:
        check_scan(request, self._driver.capabilities)
        batch = self._ledger.claim(request)
        news = asyncio.Event()
        loop = asyncio.get_running_loop()

        def measure() -> ScanDone:
            if self._waiting.pop(call, None) is None:
                raise Cancelled(f"Batch {request.batch} was withdrawn before it began; nothing of it was exposed.")
            return batch.done or self._measure(batch, call, lambda: loop.call_soon_threadsafe(news.set))

        with self._busy(call):
            self._waiting[call] = request
            measuring = self._worker.do(measure)
            measuring.add_done_callback(lambda _: news.set())
            await _stream(batch, call, measuring, news)
            return await measuring

    async def _withdraw(self, request: Withdraw, _call: Call) -> Withdrawn:
        """Removing a call from those that wait decides, whichever thread does it first."""
        wanted = (request.run, request.section, request.batch)
        found = [call for call, one in list(self._waiting.items()) if (one.run, one.section, one.batch) == wanted]
        taken = [self._waiting.pop(call, None) is not None for call in found]
        return Withdrawn(batch=request.batch, withdrawn=any(taken))

    @contextmanager
    def _busy(self, call: Call) -> Generator[None]:
        self._calls.append(call)
        try:
            yield
        finally:
            self._calls.remove(call)
            self._waiting.pop(call, None)

    def _measure(self, batch: Batch, call: Call, tell: Callable[[], object]) -> ScanDone:
        """In the worker thread: expose what is left of the batch, block by block."""
        _require_wanted(call)
        last, light_s = self._last, self._light_s
        left = batch.remaining()
        if len(left.point_id):
            self._expose(batch, left, call, tell)
        if last is None:
            return batch.finish(self.name, None, 0.0)
        request = batch.request
        way_px = float(np.linalg.norm(request.position_px[0] - last.position_px[-1]))
        first = decode_pieces(request.pieces, len(request.point_id))[0]
        busy_s = light_s + self._driver.capabilities.timing.approach_s(way_px, first.shape)
        return batch.finish(self.name, float(last.time_s[-1]), busy_s)

    def _expose(self, batch: Batch, left: ScanRequest, call: Call, tell: Callable[[], object]) -> None:
        blocks = self._guard("scan", lambda: iter(self._driver.scan(left)))
        try:
            while (block := self._guard("scan", lambda: _block(next(blocks, None)))) is not None:
                self._keep(batch, block)
                tell()
                _require_wanted(call)
        except GrainloopError:
            self._interrupt(blocks)
            raise

    def _keep(self, batch: Batch, block: PointBlock) -> None:
        check_block(block, self._driver.capabilities)
        batch.add(block, self.name)
        if len(block):
            self._last, self._light_s = block, 0.0

    def _interrupt(self, blocks: object) -> None:
        """Close the iterator and park, whatever the driver says to either."""
        close = getattr(blocks, "close", None)
        try:
            if close is not None:
                self._guard("scan", close)
        finally:
            self._guard("park", self._driver.park)

    def _guard(self, step: str, work: Callable[[], T]) -> T:
        """Run a step of the driver; whatever it raises becomes a sentence that names instrument and step."""
        try:
            return work()
        except GrainloopError:
            raise
        except Exception as error:
            structlog.get_logger(service=SERVICE).error("driver failed", step=step, exc_info=error)
            raise DeviceFailed(
                f"{self.name} failed in {step}: {type(error).__name__}: {error}.", field=step, value=error
            ) from error


async def _stream(batch: Batch, call: Call, measuring: asyncio.Future[ScanDone], news: asyncio.Event) -> None:
    """Send the blocks of `batch` as they come, until `measuring` is over and all are sent."""
    sent, over = 0, False
    while not over:
        over = measuring.done()
        while sent < len(batch.blocks):
            await call.progress(PointsMeasured(batch=batch.request.batch, points=batch.blocks[sent]))
            sent += 1
        if not over:
            await news.wait()
            news.clear()


def _images(stack: NDArray[np.float32], request: LightRequest, declared: LightCapabilities) -> LightImages:
    return LightImages(kind=declared.kind, angles_deg=request.angles_deg, images=stack, pixel_um=declared.pixel_um)


def _block(item: object) -> PointBlock | None:
    if item is None or isinstance(item, PointBlock):
        return item
    raise TypeError(f"scan yielded {type(item).__name__} where a PointBlock was expected")


def _require_wanted(call: Call) -> None:
    if call.cancelled:
        raise Cancelled("The request was withdrawn; points measured before are kept.")


def _healthy(detail: str) -> Health:
    return Health(service=SERVICE, version=grainloop_version(), ok=True, detail=detail)
