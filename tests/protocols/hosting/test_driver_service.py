"""An instrument hosted over real sockets: streaming, queueing, cancel, repeats, limits, faulty drivers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.capabilities import Capabilities, LightCapabilities, ScanTiming
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import BadInput, DeviceFailed, ErrorCode, RemoteError
from grainloop.protocols.hosting.loading import load_driver
from grainloop.protocols.messages import (
    CheckHealth,
    Describe,
    InstrumentReply,
    LightRequest,
    Park,
    Parked,
    PointsMeasured,
    ScanDone,
    ScanRequest,
    Withdraw,
)
from grainloop.protocols.values import Grid, LightKind, Phase, PointBlock
from tests.protocols.aio.test_service import running

EXAMPLE = Path(__file__).parents[3] / "examples" / "toy_driver.py"
LIGHT = LightCapabilities(
    kind=LightKind.ROTATION_STACK, shape_px=(4, 6), pixel_um=1.0, max_images=5, seconds_per_image=2.0
)
CAPABILITIES = Capabilities(
    name="bench SEM",
    simulated=True,
    grid=Grid(shape_px=(20, 30), step_um=1.0),
    phases=(Phase(phase_id=1, name="Ti", point_group="6/mmm"),),
    sections=2,
    dwell_range_s=(0.01, 1.0),
    default_dwell_s=0.1,
    max_points_per_scan=50,
    light=LIGHT,
)


class Bench:
    """A driver that counts exposures, and at point `hold_at` waits to be let on."""

    def __init__(self, capabilities: Capabilities = CAPABILITIES) -> None:
        self.capabilities = capabilities
        self.exposed: list[int] = []
        self.log: list[str] = []
        self.threads: set[int] = set()
        self.clock_s = 0.0
        self.hold_at: int | None = None
        self.holding, self.let_on = threading.Event(), threading.Event()

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        self.threads.add(threading.get_ident())
        self.log.append(f"scan {request.batch}")
        try:
            for point_id, position in zip(request.point_id.tolist(), request.position_px, strict=True):
                if point_id == self.hold_at:
                    self.holding.set()
                    self.let_on.wait()
                self.clock_s += request.dwell_s
                self.exposed.append(point_id)
                yield PointBlock.one(point_id, position, time_s=self.clock_s, dwell_s=request.dwell_s)
        finally:
            self.log.append(f"end {request.batch}")

    def light(self, section: int, angles_deg: tuple[float, ...]) -> np.ndarray:
        self.threads.add(threading.get_ident())
        self.log.append("light")
        return np.full((len(angles_deg), 4, 6), 0.5, np.float32)

    def park(self) -> None:
        self.threads.add(threading.get_ident())
        self.log.append("park")


class Asker:
    """A client that keeps the points it is sent."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.points: list[int] = []

    async def ask(self, message: Any, deadline_s: float = 30) -> Any:
        return await self.client.request(message, deadline_s=deadline_s, on_progress=self._keep)

    def _keep(self, message: PointsMeasured) -> None:
        self.points += message.points.point_id.tolist()


def scan(first: int = 0, count: int = 10, **fields: Any) -> ScanRequest:
    ids = np.arange(first, first + count)
    positions = np.stack([ids % 20, ids % 30], axis=1).astype(np.int32)
    return ScanRequest(**{"run": "r1", "batch": 0, "point_id": ids, "position_px": positions, "dwell_s": 0.1} | fields)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def asker(bench: Bench) -> AsyncIterator[Asker]:
    async with running(DriverService(bench)) as endpoint, Client(endpoint, InstrumentReply, service="instrument") as it:
        yield Asker(it)
        bench.let_on.set()


async def refused(asker: Asker, message: Any) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await asker.ask(message)
    return caught.value


def times(done: ScanDone) -> tuple[float, ...]:
    return done.points, done.started_s, done.finished_s, done.idle_s


# --- one request after another ---------------------------------------------------------------------------------------
async def test_describe(asker):
    assert (await asker.ask(Describe())).capabilities == CAPABILITIES


async def test_a_scan_streams_its_points_and_tells_its_times(bench, asker):
    assert times(await asker.ask(scan())) == pytest.approx((10, 0.0, 1.0, 0.0), abs=1e-6)
    assert asker.points == list(range(10))
    bench.clock_s += 3  # nothing to do
    assert times(await asker.ask(scan(10, batch=1))) == pytest.approx((10, 4.0, 5.0, 3.0), abs=1e-6)


async def test_time_spent_on_light_is_not_idle(bench, asker):
    await asker.ask(scan())
    taken = await asker.ask(LightRequest(angles_deg=(0.0, 45.0)))
    assert taken.seconds == 4.0
    assert taken.light.images.shape == (2, 4, 6)
    assert taken.light.pixel_um == LIGHT.pixel_um
    bench.clock_s += 5
    assert (await asker.ask(scan(10, batch=1))).idle_s == pytest.approx(1.0, abs=1e-6)


async def test_the_declared_way_to_the_first_point_is_not_idle(bench, asker):
    bench.capabilities = CAPABILITIES.model_copy(
        update={"timing": ScanTiming(travel_s_per_px=0.1, settle_s=0.05, batch_overhead_s=0.25)}
    )
    await asker.ask(scan())
    bench.clock_s += 3
    last, first = scan().position_px[-1], scan(10).position_px[0]
    way_px = float(np.hypot(*(first - last)))
    idle_s = (await asker.ask(scan(10, batch=1))).idle_s
    assert idle_s == pytest.approx(3 - 0.25 - 0.05 - 0.1 * way_px, abs=1e-6)


async def test_everything_happens_in_one_thread(bench, asker):
    await asyncio.gather(asker.ask(scan()), asker.ask(LightRequest(angles_deg=(0.0,))))
    await asker.ask(Park())
    assert len(bench.threads) == 1
    assert bench.threads != {threading.get_ident()}


async def test_scans_queue_in_order(bench, asker):
    bench.hold_at = 3
    first = asyncio.create_task(asker.ask(scan()))
    await asyncio.to_thread(bench.holding.wait)
    second = asyncio.create_task(asker.ask(scan(10, batch=1)))
    assert "measuring; 2 requests" in (await busy(asker, 2)).detail
    bench.let_on.set()
    await asyncio.gather(first, second)
    assert asker.points == list(range(20))
    assert bench.log == ["scan 0", "end 0", "scan 1", "end 1"]


async def test_only_a_scan_that_waits_is_withdrawn_and_nothing_of_it_is_exposed(bench, asker):
    bench.hold_at = 3
    first = asyncio.create_task(asker.ask(scan()))
    await asyncio.to_thread(bench.holding.wait)
    second = asyncio.create_task(asker.ask(scan(10, batch=1)))
    await busy(asker, 2)

    async def withdrawn(batch: int, run: str = "r1") -> bool:
        reply = await asker.ask(Withdraw(run=run, batch=batch))
        assert reply.batch == batch
        return reply.withdrawn

    assert [await withdrawn(0), await withdrawn(1, "r2"), await withdrawn(7)] == [False] * 3
    assert [await withdrawn(1), await withdrawn(1)] == [True, False]
    bench.let_on.set()
    await first
    with pytest.raises(RemoteError, match="withdrawn before it began") as caught:
        await second
    assert caught.value.code is ErrorCode.CANCELLED
    await asker.ask(scan(20, batch=2))
    assert bench.exposed == [*range(10), *range(20, 30)]
    assert bench.log == ["scan 0", "end 0", "scan 2", "end 2"]
    assert not await withdrawn(2)


async def busy(asker: Asker, count: int) -> Any:
    """The health reply once `count` requests are open."""
    while True:
        health = await asker.ask(CheckHealth())
        if f"{count} requests" in health.detail:
            return health


async def overtaken(asker: Asker) -> None:
    """Return when the service has seen what was sent, or was about to be sent, before: messages keep their order."""
    for _ in range(2):
        await asker.ask(Describe())


async def test_health_is_a_real_answer_of_the_driver(bench, asker):
    assert (await asker.ask(CheckHealth())).ok
    assert bench.log == ["park"]


async def test_an_unhealthy_driver_is_told(bench, asker, monkeypatch, caplog):
    def broken() -> None:
        raise OSError("no answer on COM3")

    monkeypatch.setattr(bench, "park", broken)
    error = await refused(asker, CheckHealth())
    assert str(error) == "bench SEM failed in park: OSError: no answer on COM3."
    assert error.code is ErrorCode.DEVICE_FAILED
    assert "no answer on COM3" in caplog.text
    monkeypatch.undo()
    assert (await asker.ask(CheckHealth())).ok


async def test_the_service_leaves_the_instrument_parked(bench):
    async with running(DriverService(bench)):
        assert bench.log == []
    assert bench.log == ["park"]


# --- cancel and park -------------------------------------------------------------------------------------------------
async def test_cancel_ends_between_blocks_and_parks(bench, asker):
    bench.hold_at = 4
    task = asyncio.create_task(asker.ask(scan()))
    await asyncio.to_thread(bench.holding.wait)
    task.cancel()
    await overtaken(asker)
    bench.let_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.exposed == asker.points == [0, 1, 2, 3, 4]
    await asker.ask(Park())
    assert bench.log == ["scan 0", "end 0", "park", "park"]


async def test_park_withdraws_what_runs_and_what_waits(bench, asker):
    bench.hold_at = 2
    first = asyncio.create_task(asker.ask(scan()))
    await asyncio.to_thread(bench.holding.wait)
    second = asyncio.create_task(asker.ask(scan(10, batch=1)))
    await busy(asker, 2)
    park = asyncio.create_task(asker.ask(Park()))
    await overtaken(asker)
    bench.let_on.set()
    assert await park == Parked()
    for task in (first, second):
        with pytest.raises(RemoteError, match="withdrawn") as caught:
            await task
        assert caught.value.code is ErrorCode.CANCELLED
    assert bench.exposed == [0, 1, 2]
    assert bench.log == ["scan 0", "end 0", "park", "park"]


async def test_a_deadline_stops_the_beam(bench, asker):
    bench.hold_at = 2
    task = asyncio.create_task(asker.ask(scan(), deadline_s=1))
    await asyncio.to_thread(bench.holding.wait)
    await asyncio.wait([task])
    await overtaken(asker)  # the service began to count later than the caller
    bench.let_on.set()
    await asker.ask(Park())
    assert bench.exposed == [0, 1, 2]
    assert type(task.exception()).__name__ == "DeadlineExceeded"


# --- no point twice --------------------------------------------------------------------------------------------------
async def test_a_repeated_batch_is_replayed(bench, asker):
    done = await asker.ask(scan())
    assert await asker.ask(scan()) == done
    assert asker.points == [*range(10)] * 2
    assert bench.exposed == [*range(10)]


async def test_an_interrupted_batch_goes_on_where_it_stopped(bench, asker):
    bench.hold_at = 4
    task = asyncio.create_task(asker.ask(scan()))
    await asyncio.to_thread(bench.holding.wait)
    task.cancel()
    await overtaken(asker)
    bench.let_on.set()
    await asyncio.gather(task, return_exceptions=True)
    asker.points.clear()
    done = await asker.ask(scan())
    assert isinstance(done, ScanDone)
    assert done.points == 10
    assert asker.points == bench.exposed == [*range(10)]


async def test_two_callers_of_the_same_batch_expose_it_once(bench, asker):
    await asyncio.gather(asker.ask(scan()), asker.ask(scan()))
    assert bench.exposed == [*range(10)]
    assert sorted(asker.points) == sorted([*range(10)] * 2)


async def test_the_same_points_in_another_batch_are_refused(bench, asker):
    await asker.ask(scan())
    error = await refused(asker, scan(5, batch=1))
    assert error.code is ErrorCode.OUT_OF_LIMITS
    assert str(error).startswith("Point 5 of run 'r1' was already asked for in batch 0")
    assert bench.exposed == [*range(10)]


@pytest.mark.parametrize("other", [{"run": "r2"}, {"section": 1}])
async def test_another_run_or_section_is_another_story(bench, asker, other):
    await asker.ask(scan())
    await asker.ask(scan(**other))
    assert bench.exposed == [*range(10)] * 2


async def test_without_a_name_a_run_is_known_by_its_batches(bench, asker):
    await asker.ask(scan(run=""))
    await asker.ask(scan(run=""))
    assert bench.exposed == [*range(10)]
    await asker.ask(scan(run="", dwell_s=0.2))  # another run that was not named either
    assert bench.exposed == [*range(10)] * 2


async def test_a_failed_batch_keeps_what_it_has(bench, asker, monkeypatch):
    healthy = bench.scan

    def failing(request: ScanRequest) -> Iterator[PointBlock]:
        for block in healthy(request):
            yield block
            if block.point_id[0] == 6:
                raise DeviceFailed("The filament broke.", field="filament")

    monkeypatch.setattr(bench, "scan", failing)
    error = await refused(asker, scan())
    assert (str(error), error.code, error.field) == ("The filament broke.", ErrorCode.DEVICE_FAILED, "filament")
    assert bench.log[-1] == "park"
    monkeypatch.undo()
    assert (await asker.ask(scan())).points == 10
    assert bench.exposed == [*range(10)]


# --- what is refused -------------------------------------------------------------------------------------------------
OUTSIDE = np.array([[0, 0], [3, 30]], np.int32)
REFUSED = {
    "row": (scan(0, 2, position_px=OUTSIDE[:, ::-1]), "point 1 at row 30, column 3 is outside the grid of 20 × 30"),
    "column": (scan(0, 2, position_px=OUTSIDE), "point 1 at row 3, column 30 is outside the grid of 20 × 30 pixels"),
    "negative": (scan(0, 2, position_px=-OUTSIDE), "row -3, column -30"),
    "short dwell": (scan(dwell_s=0.001), "bench SEM: dwell_s 0.001 is outside 0.01 to 1 s."),
    "long dwell": (scan(dwell_s=2.0), "dwell_s 2 is outside"),
    "too many": (scan(0, 51), "bench SEM scans 1 to 50 points at once; batch 0 holds 51."),
    "none": (scan(0, 0), "batch 0 holds 0"),
    "lengths": (scan(0, 2, point_id=np.arange(3)), "3 point ids for 2 positions"),
    "twice": (scan(0, 3, point_id=np.array([7, 8, 7])), "batch 0 holds point 7 twice"),
    "section": (scan(section=2), "bench SEM has sections 0 to 1; section 2 was asked for."),
    "light section": (LightRequest(section=5, angles_deg=(0.0,)), "section 5"),
    "no angles": (LightRequest(), "takes 1 to 5 PL images; 0 angles"),
    "many angles": (LightRequest(angles_deg=(0.0,) * 6), "takes 1 to 5 PL images; 6 angles"),
}


@pytest.mark.parametrize(("request_", "sentence"), REFUSED.values(), ids=REFUSED.keys())
async def test_beyond_the_limits_nothing_is_exposed(bench, asker, request_, sentence):
    error = await refused(asker, request_)
    assert error.code is ErrorCode.OUT_OF_LIMITS
    assert sentence in str(error)
    assert bench.log == []


@pytest.mark.parametrize(
    ("light", "angles", "sentence"),
    [
        (None, (0.0,), "bench SEM has no PL camera."),
        (LIGHT.model_copy(update={"kind": LightKind.RGB}), (0.0,), "takes RGB images at no angle; 1 angles"),
    ],
)
async def test_light_that_is_not_there(light, angles, sentence):
    bench = Bench(CAPABILITIES.model_copy(update={"light": light}))
    async with running(DriverService(bench)) as endpoint, Client(endpoint, InstrumentReply, service="instrument") as it:
        assert sentence in str(await refused(Asker(it), LightRequest(angles_deg=angles)))


# --- drivers that break their word -----------------------------------------------------------------------------------
def one(point_id: int, **fields: Any) -> PointBlock:
    return PointBlock.one(point_id, (0, 0), **{"time_s": 1.0, "dwell_s": 0.1} | fields)


FAULTY = {
    "unasked point": ([one(99)], "delivered point 99, which batch 0 did not ask for"),
    "point twice": ([one(0), one(0)], "delivered point 0, which batch 0 did not ask for or already holds"),
    "points missing": ([one(0)], "delivered 1 of the 3 points of batch 0"),
    "nothing": ([], "delivered 0 of the 3 points"),
    "no block": ([5], "TypeError: scan yielded int where a PointBlock was expected"),
    "no unit quaternion": ([one(0, orientation=(1, 1, 0, 0))], "delivered point 0 with orientation"),
    "no orientation": ([one(0, orientation=(np.nan, 0, 0, 0))], "delivered point 0 with orientation"),
    "unknown phase": ([one(0, phase_id=9)], "delivered point 0 with phase_id 9"),
    "no time": ([one(0, time_s=float("nan"))], "delivered point 0 with time_s nan"),
    "no iterator": (None, "failed in scan: TypeError"),
}


@pytest.mark.parametrize(("blocks", "sentence"), FAULTY.values(), ids=FAULTY.keys())
async def test_a_faulty_scan_is_the_devices_fault(bench, asker, monkeypatch, blocks, sentence):
    monkeypatch.setattr(bench, "scan", lambda request: blocks)
    error = await refused(asker, scan(0, 3))
    assert error.code is ErrorCode.DEVICE_FAILED
    assert sentence in str(error)
    assert "bench SEM" in str(error)


IMAGES = {
    "frame": (np.zeros((1, 6, 4), np.float32), "declared PL images of (4, 6) pixels and delivered (6, 4)"),
    "count": (np.zeros((2, 4, 6), np.float32), "1 images expected, got 2"),
    "dtype": (np.zeros((1, 4, 6)), "expected an array of float32, got float64"),
    "numbers": (np.full((1, 4, 6), np.nan, np.float32), "NaN"),
    "nothing": (None, "failed in light"),
}


@pytest.mark.parametrize(("images", "sentence"), IMAGES.values(), ids=IMAGES.keys())
async def test_faulty_images_are_the_devices_fault(bench, asker, monkeypatch, images, sentence):
    monkeypatch.setattr(bench, "light", lambda section, angles_deg: images)
    error = await refused(asker, LightRequest(angles_deg=(0.0,)))
    assert error.code is ErrorCode.DEVICE_FAILED
    assert sentence in str(error)


# --- loading ---------------------------------------------------------------------------------------------------------
async def test_the_example_driver_is_short_and_complete():
    async with (
        running(DriverService(load_driver(f"{EXAMPLE}:ToyDriver"))) as endpoint,
        Client(endpoint, InstrumentReply, service="instrument") as it,
    ):
        asker = Asker(it)
        assert (await asker.ask(CheckHealth())).ok
        assert (await asker.ask(scan(dwell_s=0.01))).points == 10
        assert asker.points == [*range(10)]
    body = EXAMPLE.read_text().partition("class ToyDriver:")[2]
    statements = [line for line in body.splitlines() if line.strip() and '"""' not in line]
    assert len(statements) <= 15


class NoDriver:
    scan = light = park = print
    capabilities = "many"


class Breaks:
    def __init__(self) -> None:
        raise OSError("no such port")


HERE = __name__
LOADING = {
    "no colon": ("mylab", "does not name a driver as module:object"),
    "no object": (f"{HERE}:", "does not name a driver"),
    "no module": ("no_such_lab:Driver", "no_such_lab cannot be loaded: ModuleNotFoundError"),
    "no file": ("no/such/file.py:Driver", "There is no driver file"),
    "no attribute": (f"{HERE}:Missing", "has no object Missing"),
    "no methods": (f"{HERE}:CAPABILITIES", "is no driver: it lacks scan, light, park"),
    "no capabilities": (f"{HERE}:NoDriver", "its capabilities are str"),
    "no start": (f"{HERE}:Breaks", "cannot be started: OSError: no such port"),
}


@pytest.mark.parametrize(("name", "sentence"), LOADING.values(), ids=LOADING.keys())
def test_what_is_no_driver_is_bad_input(name, sentence):
    with pytest.raises(BadInput, match=sentence.replace(":", ".")):
        load_driver(name)


def test_a_broken_file_is_bad_input(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("1/0")
    with pytest.raises(BadInput, match="ZeroDivisionError"):
        load_driver(f"{path}:Driver")


def test_a_class_an_instance_and_a_factory_load():
    for name in ("Bench", "INSTANCE", "make"):
        assert isinstance(load_driver(f"{HERE}:{name}"), Bench)


INSTANCE = Bench()


def make() -> Bench:
    return Bench()


def test_the_driver_in_the_documentation_works():
    text = (EXAMPLE.parents[1] / "docs" / "drivers.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {
        "Capabilities": Capabilities,
        "PointBlock": PointBlock,
        "GRID": CAPABILITIES.grid,
        "PHASES": CAPABILITIES.phases,
    }
    exec(code, names)  # noqa: S102
    blocks = list(names["ToyDriver"]().scan(scan(dwell_s=0.01)))
    assert PointBlock.concatenate(blocks).point_id.tolist() == [*range(10)]
