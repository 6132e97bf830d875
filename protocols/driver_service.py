"""Host an `InstrumentDriver` as the instrument service.

Every request is checked against the declared `Capabilities`; the driver is called from one worker thread, one call at a
time; scans are served first come, first served, so that a second one may wait while the first runs
(`protocols.hosting.scans`); no point is exposed twice (`protocols.hosting.store`). What to measure is the business of
the controller.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from grainloop.protocols.aio import Call, Service
from grainloop.protocols.capabilities import LightCapabilities
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.endpoints import INSTRUMENT_ENDPOINT
from grainloop.protocols.errors import Cancelled
from grainloop.protocols.frames import Limits
from grainloop.protocols.hosting.batches import HeldBatch
from grainloop.protocols.hosting.dead_man import DEAD_MAN_S, DeadMan
from grainloop.protocols.hosting.guarded import GuardedDriver
from grainloop.protocols.hosting.limits import check_images, check_light, check_scan, linear_images
from grainloop.protocols.hosting.loading import load_driver, require_driver
from grainloop.protocols.hosting.measuring import Measuring
from grainloop.protocols.hosting.scans import Scans
from grainloop.protocols.hosting.spool import SpoolFolder
from grainloop.protocols.hosting.store import BatchStore
from grainloop.protocols.hosting.worker import Worker
from grainloop.protocols.messages import (
    CheckHealth,
    Describe,
    Description,
    Forgotten,
    Health,
    InstrumentRequest,
    LightRequest,
    LightTaken,
    Park,
    Parked,
    ScanDone,
    ScanRequest,
    Stored,
    Withdraw,
    Withdrawn,
)
from grainloop.protocols.observability import NO_METRICS, Metrics, bind, get_logger
from grainloop.protocols.observability.metrics import EXPOSED, SCAN
from grainloop.protocols.security.access import Access
from grainloop.protocols.values import LightImages
from grainloop.protocols.version import grainloop_version

__all__ = ["DriverService", "load_driver"]

SERVICE = "instrument"
REQUEST_LIMITS = Limits(array_bytes=2**26, total_bytes=2**27)
"""Requests to measure are small: the ids of 8 million points fill an array."""
DRIVER_GRACE_S = 10.0
"""How long a driver may take to return when the service ends."""


class DriverService:
    """The instrument service around one driver.

    Args:
        driver: the instrument; it stays parked whenever no scan runs.
        spool: folder that keeps what was exposed, for when the service is started again; without it only memory does.
        dead_man_s: a scan whose callers have been silent for so long is stopped and the beam blanked; 0 for never.
        metrics: told of points, batches and requests.
    """

    def __init__(
        self,
        driver: InstrumentDriver,
        spool: Path | None = None,
        dead_man_s: float = DEAD_MAN_S,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._spool_folder, self._dead_man_s = spool, dead_man_s
        self._metrics, self._log = metrics, get_logger(service=SERVICE)
        self._ledger = BatchStore()
        self._driver = GuardedDriver(require_driver(driver, type(driver).__name__))
        self._measuring = Measuring(self._driver)
        self._scans = Scans(self._measure, DeadMan(dead_man_s))
        self._calls: list[Call] = []
        self.service = Service(
            SERVICE,
            InstrumentRequest,
            {
                CheckHealth: self._health,
                Describe: self._describe,
                LightRequest: self._light,
                ScanRequest: self._scan,
                Stored: self._stored,
                Withdraw: self._withdraw,
                Park: self._park,
            },
            limits=REQUEST_LIMITS,
            metrics=metrics,
        )

    @property
    def name(self) -> str:
        """What messages and errors call the instrument."""
        return self._driver.name

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
            BadInput: the spool cannot be used.
        """
        with self._keeping():
            self._worker = self._scans.worker = Worker(f"{SERVICE} driver")
            try:
                await self.service.run(endpoint, ready=ready, stop=stop, access=access)
            finally:
                parked = self._worker.do(self._driver.park)
                if await self._worker.close(DRIVER_GRACE_S):
                    await parked
                parked.cancel()

    @contextmanager
    def _keeping(self) -> Generator[None]:
        """With a spool what is kept is on disk; without it, it is in this object, as long as that lives."""
        if self._spool_folder is None:
            yield
            return
        spool = SpoolFolder(self._spool_folder, self.name)
        self._ledger = BatchStore(spool)
        try:
            yield
        finally:
            self._ledger.close()
            spool.close()

    async def _describe(self, _request: Describe, _call: Call) -> Description:
        capabilities, spools = self._driver.capabilities, self._spool_folder is not None
        return Description(capabilities=capabilities, dead_man_s=self._dead_man_s, spools=spools)

    async def _health(self, _request: CheckHealth, _call: Call) -> Health:
        """A busy instrument proves itself; an idle instrument proves itself by parking, which does no harm."""
        if self._calls:
            return _healthy(f"{self.name} is measuring; {len(self._calls)} requests are open.")
        await self._worker.do(self._driver.park)
        return _healthy(f"{self.name} answers.")

    async def _park(self, _request: Park, _call: Call) -> Parked:
        """Withdraw whatever runs or waits, then park."""
        for call in self._calls:
            call.cancel()
        await self._worker.do(self._driver.park)
        return Parked()

    async def _light(self, request: LightRequest, call: Call) -> LightTaken:
        declared = check_light(request, self._driver.capabilities)
        with self._busy(call):
            return await self._worker.do(lambda: self._take_light(request, declared, call))

    def _take_light(self, request: LightRequest, declared: LightCapabilities, call: Call) -> LightTaken:
        """In the worker thread: take the images and check them against the declaration."""
        _require_wanted(call)
        started = time.monotonic()
        stack = self._driver.light(request.section, request.angles_deg)
        elapsed = time.monotonic() - started
        light = self._driver.guard("light", lambda: _images(stack, request, declared))
        check_images(light, declared, self.name)
        simulated = self._driver.capabilities.simulated
        seconds = declared.seconds_per_image * len(stack) if simulated else elapsed
        self._measuring.light_s += seconds
        self._log.info("PL taken", images=len(stack), seconds=round(elapsed, 6))
        return LightTaken(section=request.section, light=light, seconds=seconds)

    async def _scan(self, request: ScanRequest, call: Call) -> ScanDone:
        bind(run=request.run, section=request.section, batch=request.batch)
        check_scan(request, self._driver.capabilities)
        batch = self._ledger.claim(request, self._scans.batches)
        with self._busy(call):
            return await self._scans.serve(batch, call)

    def _measure(
        self, batch: HeldBatch, raise_if_unwanted: Callable[[], object], tell: Callable[[], object]
    ) -> ScanDone:
        """In the worker thread, where nothing else is exposed meanwhile."""
        self._ledger.tidy(batch.request.run)
        before, began_s = _told(batch), time.monotonic()
        try:
            return self._measuring.measure(batch, raise_if_unwanted, tell)
        finally:
            points, seconds = _told(batch) - before, time.monotonic() - began_s
            self._metrics.add(EXPOSED, points)
            self._metrics.observe(SCAN, seconds)
            asked = len(batch.request.point_id)
            self._log.info("batch measured", points=points, asked=asked, seconds=round(seconds, 6))

    async def _withdraw(self, request: Withdraw, _call: Call) -> Withdrawn:
        wanted = (request.run, request.section, request.batch)
        withdrawn = self._scans.withdraw(lambda batch: (batch.request.run, *batch.key) == wanted)
        return Withdrawn(batch=request.batch, withdrawn=withdrawn)

    async def _stored(self, request: Stored, _call: Call) -> Forgotten:
        busy = [batch for batch in self._scans.batches if batch.request.run == request.run]
        run = self._ledger.run(request.run)
        forgotten = run.drop(request.section, request.below, busy)
        if not busy:
            run.tidy()
        return Forgotten(batches=forgotten)

    @contextmanager
    def _busy(self, call: Call) -> Generator[None]:
        self._calls.append(call)
        try:
            yield
        finally:
            self._calls.remove(call)


def _told(batch: HeldBatch) -> int:
    return sum(len(message.points) for message in batch.told)


def _images(stack: NDArray[Any], request: LightRequest, declared: LightCapabilities) -> LightImages:
    images = linear_images(stack)
    return LightImages(kind=declared.kind, angles_deg=request.angles_deg, images=images, pixel_um=declared.pixel_um)


def _require_wanted(call: Call) -> None:
    if call.cancelled:
        raise Cancelled("The request was withdrawn; points measured before are kept.")


def _healthy(detail: str) -> Health:
    return Health(service=SERVICE, version=grainloop_version(), ok=True, detail=detail)
