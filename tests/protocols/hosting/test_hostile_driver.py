"""Whatever the code of a driver does, the service answers in one sentence, serves on, and keeps what was measured."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import Cancelled, DeviceFailed, ErrorCode, GrainloopError
from grainloop.protocols.hosting.worker import Worker
from grainloop.protocols.messages import Describe, InstrumentReply, LightRequest, Park, ScanRequest
from grainloop.protocols.values import PointBlock
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import CAPABILITIES, Asker, Bench, refused, scan
from tests.protocols.hosting.served import served


class Mute(Exception):
    """An exception that fails when it is asked what it says."""

    def __str__(self) -> str:
        raise SystemExit("not even this")


class Hollow(DeviceFailed):
    """An error of ours that was never begun."""

    def __init__(self) -> None:
        Exception.__init__(self, "hollow")


class Odd(BaseException):
    """An exception of a library's own that is no `Exception`."""


def deep() -> None:
    deep()


def raised(what: str) -> BaseException:
    """One of the ways to fail."""
    return {
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "generator exit": GeneratorExit(),
        "stop iteration": StopIteration(),
        "cancelled": asyncio.CancelledError(),
        "memory": MemoryError(),
        "recursion": RecursionError("maximum recursion depth exceeded"),
        "no UTF-8": RuntimeError("caf\udce9 \ud800"),
        "mute": Mute(),
        "hollow": Hollow(),
        "odd": Odd("odd"),
        "ours, with odd parts": DeviceFailed("caf\udce9", field="\ud800", value=Mute()),
        "ours, no text": DeviceFailed(b"\xff"),  # type: ignore[arg-type]
        "withdrawn by itself": Cancelled("not by the caller"),
        "terminal": RuntimeError("\x1b[31mred\x07\nsecond line\u202e"),
        "long": RuntimeError("x" * 10**7),
    }[what]


FAILURES = [
    "exit",
    "interrupt",
    "generator exit",
    "stop iteration",
    "cancelled",
    "memory",
    "recursion",
    "no UTF-8",
    "mute",
    "hollow",
    "odd",
    "ours, with odd parts",
    "ours, no text",
    "withdrawn by itself",
    "terminal",
    "long",
]


class Hostile(Bench):
    """Fails in one of its steps, once."""

    def __init__(self, step: str, what: str) -> None:
        self._fails_now = self._armed = False
        super().__init__()
        self.step, self.what, self._armed = step, what, True

    @property
    def capabilities(self) -> Capabilities:
        self._fail_in("capabilities")
        return CAPABILITIES

    @capabilities.setter
    def capabilities(self, _declared: Capabilities) -> None: ...

    def _fail_in(self, step: str) -> None:
        if self._armed and self._fails_now and step == self.step:
            self._fails_now = False
            raise raised(self.what)

    def arm(self) -> None:
        self._fails_now = True

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        self._fail_in("scan")
        return Steps(self, super().scan(request))

    def light(self, section: int, angles_deg: tuple[float, ...]) -> np.ndarray:
        self._fail_in("light")
        return super().light(section, angles_deg)

    def park(self) -> None:
        self._fail_in("park")
        super().park()


class Steps:
    """An iterator of a driver's own, which fails at its sixth block."""

    def __init__(self, driver: Hostile, blocks: Iterator[PointBlock]) -> None:
        self._driver, self._blocks, self._left = driver, blocks, 5

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> PointBlock:
        if self._left == 0:
            self._driver._fail_in("block")
        self._left -= 1
        return next(self._blocks)


@pytest.mark.parametrize("spooled", [False, True])
@pytest.mark.parametrize("what", FAILURES)
async def test_a_scan_that_fails_in_any_way_keeps_what_was_measured(tmp_path: Path, what: str, spooled: bool) -> None:
    driver = Hostile("block", what)
    driver.arm()
    async with served(driver, tmp_path if spooled else None) as asker:
        if what == "stop iteration":  # that is how an iterator says that it is done
            assert "delivered 5 of the 10 points" in str(await refused(asker, scan()))
        else:
            error = await refused(asker, scan())
            assert error.code is ErrorCode.DEVICE_FAILED
            assert str(error).isprintable()
        assert asker.points == [0, 1, 2, 3, 4]
        assert (await asker.ask(scan())).points == 10
        assert driver.exposed == [*range(10)]


@pytest.mark.parametrize("what", FAILURES)
@pytest.mark.parametrize("step", ["scan", "light", "park", "capabilities"])
async def test_any_step_that_fails_in_any_way_is_one_sentence(step: str, what: str) -> None:
    driver = Hostile(step, what)
    ask: Any = {
        "scan": scan(),
        "light": LightRequest(section=0, angles_deg=(0.0,)),
        "park": Park(),
        "capabilities": Describe(),
    }[step]
    async with served(driver, None) as asker:
        driver.arm()
        error = await refused(asker, ask)
        assert error.code is ErrorCode.DEVICE_FAILED
        assert str(error).isprintable()
        assert (await asker.ask(scan())).points == 10


@pytest.mark.parametrize("what", FAILURES)
async def test_a_park_that_fails_at_the_end_is_one_sentence(what: str) -> None:
    driver = Hostile("park", what)
    with pytest.raises(GrainloopError) as caught:
        async with running(DriverService(driver)):
            driver.arm()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("what", FAILURES)
async def test_a_worker_hands_everything_to_who_awaits(what: str) -> None:
    worker = Worker("test")

    def fail() -> None:
        raise raised(what)

    with pytest.raises(Exception) as caught:  # noqa: PT011  # never a BaseException, which would end the loop
        await worker.do(fail)
    assert isinstance(caught.value, Exception)
    assert await worker.close(10)


class Clinging(Bench):
    """Its scan does not let go, and its beam does not blank."""

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        blocks = super().scan(request)
        yield next(blocks)
        try:
            raise RuntimeError("the stage is stuck")
        except RuntimeError:
            yield next(blocks)
            with contextlib.suppress(GeneratorExit):
                yield PointBlock.one(0, (0, 0), time_s=0, dwell_s=0)  # again: refused, and closed
            yield next(blocks)

    def park(self) -> None:
        raise OSError("no answer on COM3")


async def test_what_ended_a_scan_comes_before_what_came_of_ending_it() -> None:
    driver = Clinging()
    told = list[str]()

    async def serve() -> None:
        async with running(DriverService(driver)) as endpoint, Client(endpoint, InstrumentReply, service="i") as client:
            told.append(str(await refused(Asker(client), scan())))

    with pytest.raises(DeviceFailed, match="no answer on COM3"):  # at the end, too
        await serve()
    at = [told[0].index(words) for words in ("ran backwards", "ignored GeneratorExit", "no answer on COM3")]
    assert at == sorted(at)


def test_the_sentences_do_not_depend_on_the_depth_of_the_stack() -> None:
    before = sys.getrecursionlimit()
    from grainloop.protocols.hosting.guarded import GuardedDriver

    driver = GuardedDriver(Bench())
    with pytest.raises(DeviceFailed, match="failed in scan: RecursionError"):
        driver.guard("scan", deep)
    assert sys.getrecursionlimit() == before
