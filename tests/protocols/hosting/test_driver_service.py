"""An instrument hosted over real sockets: streaming, queueing, times, cancel and park."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from grainloop.protocols.capabilities import ScanTiming
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import ErrorCode, RemoteError
from grainloop.protocols.messages import (
    CheckHealth,
    Describe,
    LightRequest,
    Park,
    Parked,
    ScanDone,
    Withdraw,
)
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import CAPABILITIES, LIGHT, busy, overtaken, refused, scan


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


async def test_a_deadline_stops_the_beam(bench, asker, leap):
    bench.hold_at = 2
    task = asyncio.create_task(asker.ask(scan(), deadline_s=1e4))
    await asyncio.to_thread(bench.holding.wait)
    leap(1e4)
    await asyncio.wait([task])
    leap(1e4)  # the service began to count later than the caller
    await overtaken(asker)
    bench.let_on.set()
    await asker.ask(Park())
    assert bench.exposed == [0, 1, 2]
    assert type(task.exception()).__name__ == "DeadlineExceeded"


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float16", "float32", "float64"])
async def test_pl_of_any_type_of_numbers_is_converted(bench, asker, monkeypatch, kind):
    """A whole day at a microscope without PL for the sake of a dtype is no bargain."""
    full = np.iinfo(kind).max if np.dtype(kind).kind in "ui" else 1
    images = (np.linspace(0, 1, 2 * 4 * 6).reshape(2, 4, 6) * full).astype(kind)
    monkeypatch.setattr(bench, "light", lambda section, angles_deg: images)
    taken = (await asker.ask(LightRequest(angles_deg=(0.0, 45.0)))).light.images
    assert taken.dtype == np.float32
    assert taken.min() == 0
    assert taken.max() == 1
    np.testing.assert_allclose(taken, images / full, atol=1e-3)


@pytest.mark.parametrize("values", ["complex64", "U3", "float64 beyond float32"])
async def test_pl_that_is_no_numbers_is_refused(bench, asker, monkeypatch, values):
    images = np.full((2, 4, 6), 1e300) if "beyond" in values else np.ones((2, 4, 6)).astype(values)
    monkeypatch.setattr(bench, "light", lambda section, angles_deg: images)
    with pytest.raises(RemoteError, match=r"light|NaN or infinity"):
        await asker.ask(LightRequest(angles_deg=(0.0, 45.0)))
