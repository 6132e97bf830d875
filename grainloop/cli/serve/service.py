"""Running one service in this process: what it serves, how it stops, and when the parent may talk to it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TextIO

from grainloop.cli.prepare import prepare_first_use
from grainloop.cli.serve.observation import Observed
from grainloop.protocols.aio import raise_limit, run
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.hosting.spool import default_folder
from grainloop.protocols.observability import NO_METRICS, Metrics, get_logger
from grainloop.protocols.security import Access

READY = "ready"
"""The line on stdout that says that the service accepts requests."""

_WINDOWS_WAKE_S = 0.5


class Serves(Protocol):
    """The `run` of a service."""

    async def __call__(
        self,
        endpoint: str,
        *,
        ready: Callable[[], object] | None = None,
        stop: asyncio.Event | None = None,
        access: Access | None = None,
    ) -> None:
        """Serve until `stop` is set."""
        ...


def simulator(specimen: str, seed: int, speed_up: float, preset: str | None = None) -> InstrumentDriver:
    """The simulator, with the map `specimen` in it; it scans free points, or what a preset accepts at its costs."""
    from grainloop.instrument_sim.config import SimConfig
    from grainloop.instrument_sim.driver import SimulatedInstrument
    from grainloop.instrument_sim.presets import PRESETS
    from grainloop.instrument_sim.specimens.named import load_specimen

    prepare_first_use()
    config = SimConfig(speed_up=speed_up)
    if preset is not None:
        config = config.model_copy(update={"timing": PRESETS[preset].timing, "shapes": PRESETS[preset].shapes})
    return SimulatedInstrument(load_specimen(specimen), config, seed)


def host(
    driver: InstrumentDriver, spool: Path | None, dead_man_s: float, metrics: Metrics = NO_METRICS
) -> DriverService:
    """A driver as a service; a real instrument always has a spool."""
    declared = driver.capabilities
    if spool is None and not declared.simulated:
        spool = default_folder(declared.name)
    return DriverService(driver, spool, dead_man_s, metrics)


def warm_up_controller() -> None:
    """Compile or load what the controller computes with, before anybody waits for it."""
    from grainloop.controller.geometry import warm_up

    prepare_first_use()
    warm_up()


def serve(
    observed: Observed,
    service: Serves,
    endpoint: str,
    until_stdin_ends: bool,
    access: Access | None = None,
    out: TextIO | None = None,
) -> None:
    """Serve until Ctrl-C, SIGTERM, or (if asked) the end of stdin; `out` is told when requests are accepted."""
    raise_limit()
    with observed.running():
        if access is not None:
            log = get_logger(service=observed.service)
            log.info("serves keys alone", public_key=access.own.public, allowed=len(access.allowed))
        told = partial(_tell_ready, observed.service, endpoint, sys.stdout if out is None else out)
        run(_serve(service, endpoint, told, until_stdin_ends, access))


async def _serve(
    service: Serves, endpoint: str, ready: Callable[[], None], until_stdin_ends: bool, access: Access | None
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def let_go(*_: Any) -> None:
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, let_go)
    if until_stdin_ends:
        threading.Thread(target=_wait_for_stdin, args=(let_go,), name="stdin watch", daemon=True).start()
    awake = asyncio.create_task(_stay_awake())
    try:
        await service(endpoint, ready=ready, stop=stop, access=access)
    finally:
        awake.cancel()


def _tell_ready(name: str, endpoint: str, out: TextIO) -> None:
    out.write(f"{READY} {name} {endpoint}\n")
    out.flush()


def _wait_for_stdin(let_go: Callable[[], None]) -> None:
    """Unbuffered, because a thread that holds the lock of `sys.stdin` would keep the interpreter from ending."""
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass
    let_go()


async def _stay_awake() -> None:
    """A selector loop on Windows sees Ctrl-C only when something else wakes it; elsewhere this ends at once."""
    if sys.platform != "win32":
        return
    while True:  # noqa: ASYNC110
        await asyncio.sleep(_WINDOWS_WAKE_S)
