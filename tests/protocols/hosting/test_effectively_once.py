"""The same request again: while it runs, after its caller died, after the service was started again, once stored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
import zmq.asyncio

from grainloop.protocols.aio import Client
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import BadInput, ErrorCode
from grainloop.protocols.hosting.spool import SUFFIX, SpoolFolder
from grainloop.protocols.messages import Describe, InstrumentReply, ScanRequest, Stored
from grainloop.protocols.rpc import Envelope, EnvelopeKind, Heartbeat
from grainloop.protocols.rpc.envelope import to_frames
from grainloop.protocols.shapes import Piece, ScanShape, encode_pieces
from tests.protocols.aio.test_service import running
from tests.protocols.hosting.test_driver_service import CAPABILITIES, Asker, Bench, busy, overtaken, refused, scan

AHEAD_ONE = CAPABILITIES.model_copy(update={"exposes_ahead": 1})


@pytest.fixture
def bench() -> Bench:
    return Bench(AHEAD_ONE)


@asynccontextmanager
async def asking(endpoint: str, **options: Any) -> AsyncIterator[Asker]:
    async with Client(endpoint, InstrumentReply, service="instrument", **options) as client:
        yield Asker(client)


@asynccontextmanager
async def served(bench: Bench, spool: Path | None = None, dead_man_s: float = 30.0) -> AsyncIterator[Asker]:
    async with running(DriverService(bench, spool, dead_man_s)) as endpoint, asking(endpoint) as asker:
        yield asker
        bench.let_on.set()


class Mute:
    """A caller that sends what it is told and never pings."""

    def __init__(self, endpoint: str) -> None:
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(endpoint)

    async def send(self, message: ScanRequest, name: str = "1") -> None:
        await self.socket.send_multipart(to_frames(Envelope(EnvelopeKind.REQUEST, name, message)))

    def vanish(self) -> None:
        self.context.destroy(linger=0)


async def held(bench: Bench) -> None:
    await asyncio.to_thread(bench.holding.wait)
    bench.holding.clear()


# --- while it runs ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("spooled", [False, True])
async def test_who_asks_again_is_attached_and_sees_the_rest_live(bench, tmp_path, spooled):
    bench.hold_at = 4
    async with served(bench, tmp_path if spooled else None) as asker, asking(asker.client.endpoint) as other:
        first = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        behind = asyncio.create_task(asker.ask(scan(10, batch=1)))
        await busy(asker, 2)
        again = asyncio.create_task(other.ask(scan()))
        await busy(asker, 3)
        await overtaken(other)
        if not spooled:  # with a spool quick points are told together
            assert other.points == asker.points == [0, 1, 2, 3]
        bench.hold_at, held_now, bench.let_on = 13, bench.let_on, threading.Event()
        held_now.set()
        assert await first == await again  # before what waits behind it is over
        assert not behind.done()
        bench.let_on.set()
        await behind
        assert other.points == [*range(10)]
        assert bench.exposed == [*range(20)]


async def test_a_scan_goes_on_for_the_caller_that_is_left(bench):
    bench.hold_at = 4
    async with served(bench) as asker, asking(asker.client.endpoint) as other:
        first = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        again = asyncio.create_task(other.ask(scan()))
        await busy(asker, 2)
        first.cancel()
        await overtaken(asker)
        bench.let_on.set()
        assert (await again).points == 10
        await asyncio.wait([first])
        assert bench.exposed == other.points == [*range(10)]


async def test_a_controller_that_vanished_finds_its_batch_finished(bench):
    bench.hold_at = 4
    async with served(bench) as asker:
        mute = Mute(asker.client.endpoint)
        await mute.send(scan())
        await held(bench)
        mute.vanish()
        bench.let_on.set()
        done = await asker.ask(scan())
        assert done.points == 10
        assert bench.exposed == asker.points == [*range(10)]
        assert bench.log == ["scan 0", "end 0"]


async def test_what_waits_of_a_controller_that_vanished_is_not_begun(bench):
    bench.hold_at = 4
    quick = Heartbeat(interval_s=0.02, silence_s=0.1)
    service = DriverService(bench)
    service.service._heartbeat = quick
    async with running(service) as endpoint, asking(endpoint) as asker:
        first = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        mute = Mute(endpoint)
        await mute.send(scan(10, batch=1))
        await busy(asker, 2)
        while not any(call.gone for call in service._calls):
            await overtaken(asker)
        mute.vanish()
        bench.let_on.set()
        await first
        await asker.ask(scan(20, batch=2))
        assert bench.log == ["scan 0", "end 0", "scan 2", "end 2"]


@pytest.mark.parametrize("spooled", [False, True])
async def test_duplicates_and_another_order_expose_every_point_once(bench, tmp_path, spooled):
    batches = [scan(10 * n, batch=n) for n in range(4)]
    order = np.random.default_rng(5).permutation([0, 1, 2, 3] * 3)
    async with served(bench, tmp_path if spooled else None) as asker:
        replies = await asyncio.gather(*(asker.ask(batches[n]) for n in order))
        assert len({done.model_dump_json() for done in replies}) == 4
        assert sorted(bench.exposed) == [*range(40)]
        assert sorted(asker.points) == sorted([*range(40)] * 3)


# --- the dead-man timer ----------------------------------------------------------------------------------------------
async def test_a_silent_caller_ends_the_scan_and_the_rest_is_measured_when_it_asks_again(bench):
    bench.hold_at = 4
    service = DriverService(bench, None, 0.2)
    async with running(service) as endpoint, asking(endpoint) as asker:
        assert (await asker.ask(Describe())).dead_man_s == 0.2
        mute = Mute(asker.client.endpoint)
        await mute.send(scan())
        await held(bench)
        await stopped(service, asker)
        bench.let_on.set()
        frames = await last_answer(mute)
        assert b"Nothing was heard of the controller for 0.2 s" in frames
        assert bench.exposed == [0, 1, 2, 3, 4]
        assert bench.log == ["scan 0", "end 0", "park"]
        mute.vanish()
        assert (await asker.ask(scan())).points == 10
        assert bench.exposed == asker.points == [*range(10)]


async def test_a_caller_that_pings_is_not_silent(bench):
    bench.hold_at = 4
    service = DriverService(bench, None, 0.4)
    async with (
        running(service) as endpoint,
        asking(endpoint, heartbeat=Heartbeat(interval_s=0.02)) as asker,
        asking(endpoint) as other,
    ):
        task = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        mute = Mute(endpoint)
        await mute.send(scan(10, batch=1))
        await busy(other, 2)
        await stopped(service, other, 1)  # as long as it takes for one that is silent
        mute.vanish()
        bench.let_on.set()
        assert (await task).points == 10


async def stopped(service: DriverService, asker: Asker, batch: int = 0) -> None:
    """Return when the timer of a batch has run out."""
    (found,) = [one for one in service._scans._going.values() if one.batch.request.batch == batch]
    while not found.stopped:
        await overtaken(asker)


async def last_answer(mute: Mute) -> bytes:
    while True:
        frames = await mute.socket.recv_multipart()
        if b"error" in frames[0] or b"reply" in frames[0]:
            return frames[0]


# --- after the service was started again -----------------------------------------------------------------------------
async def test_a_finished_batch_is_told_again_after_a_restart(bench, tmp_path):
    async with served(bench, tmp_path) as asker:
        assert (await asker.ask(Describe())).spools
        done = await asker.ask(scan())
    after = Bench(AHEAD_ONE)
    async with served(after, tmp_path) as asker:
        assert await asker.ask(scan()) == done
        assert asker.points == bench.exposed == [*range(10)]
        assert after.exposed == []
        error = await refused(asker, scan(5, batch=1))
        assert str(error).startswith("Point 5 of run 'r1' was already asked for in batch 0")


async def test_a_cancelled_batch_goes_on_after_a_restart_and_nothing_counts_as_lost(bench, tmp_path):
    bench.hold_at = 4
    async with served(bench, tmp_path) as asker:
        task = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        task.cancel()
        await overtaken(asker)
        bench.let_on.set()
        await asyncio.wait([task])
    after = Bench(AHEAD_ONE)
    async with served(after, tmp_path) as asker:
        assert (await asker.ask(scan())).points == 10
        assert asker.points == bench.exposed + after.exposed == [*range(10)]


# --- what is refused -------------------------------------------------------------------------------------------------
PIECES = encode_pieces([Piece(ScanShape.POINTS, 10)])
CHANGED = {
    "dwell": scan(dwell_s=0.2),
    "points": scan(5, 10),
    "fewer": scan(0, 9),
    "new points": scan(30),
    "order": scan(point_id=np.arange(10)[::-1].copy()),
    "place": scan(position_px=scan().position_px + 1),
    "pieces": scan(pieces=PIECES),
}


@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED.keys())
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_changed_batch_is_refused(bench, tmp_path, changed, restarted):
    async with served(bench, tmp_path) as asker:
        await asker.ask(scan())
        error = None if restarted else await refused(asker, changed)
    if restarted:
        async with served(bench, tmp_path) as asker:
            error = await refused(asker, changed)
    assert error is not None
    assert error.code is ErrorCode.OUT_OF_LIMITS
    assert str(error).startswith("Batch 0 of run 'r1' was asked for before ")
    assert bench.exposed == [*range(10)]


# --- once stored -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("restarted", [False, True])
async def test_what_is_stored_is_forgotten_and_never_exposed_again(bench, tmp_path, restarted):
    async with served(bench, tmp_path) as asker:
        for n in range(3):
            await asker.ask(scan(10 * n, batch=n))
        assert [(await asker.ask(Stored(run="r1", below=2))).batches for _ in range(2)] == [2, 2]
        told = await asking_for_what_is_stored(asker) if not restarted else None
    if restarted:
        async with served(bench, tmp_path) as asker:
            told = await asking_for_what_is_stored(asker)
    assert told == ["Batch 1 of run 'r1' was told", "Point 3 of run 'r1' was already asked for in a batch"]
    assert bench.exposed == [*range(30)]


async def asking_for_what_is_stored(asker: Asker) -> list[str]:
    asker.points.clear()
    assert (await asker.ask(scan(20, batch=2))).points == 10
    assert asker.points == [*range(20, 30)]
    errors = [await refused(asker, scan(10, batch=1)), await refused(asker, scan(3, 1, batch=7))]
    assert all(error.code is ErrorCode.OUT_OF_LIMITS for error in errors)
    return [" ".join(str(error).split()[:n]) for error, n in zip(errors, (7, 12), strict=True)]


async def test_a_batch_that_runs_is_not_forgotten(bench, tmp_path):
    bench.hold_at = 4
    async with served(bench, tmp_path) as asker:
        task = asyncio.create_task(asker.ask(scan()))
        await held(bench)
        assert (await asker.ask(Stored(run="r1", below=5))).batches == 0
        bench.let_on.set()
        done = await task
        assert await asker.ask(scan()) == done
        assert (await asker.ask(Stored(run="r1", below=5))).batches == 1


async def test_a_spool_stays_small_when_batches_are_stored(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("grainloop.protocols.hosting.store.TIDY_BYTES", 20_000)
    sizes = []
    async with served(bench, tmp_path) as asker:
        for n in range(40):
            await asker.ask(scan(10 * n, batch=n))
            await asker.ask(Stored(run="r1", below=n))
            sizes.append(sum(path.stat().st_size for path in tmp_path.glob(f"*{SUFFIX}")))
    assert max(sizes) < 25_000
    async with served(bench, tmp_path) as asker:
        await asker.ask(scan(390, batch=39))
        await refused(asker, scan(0, batch=0))
    assert bench.exposed == [*range(400)]


# --- spools that cannot be used --------------------------------------------------------------------------------------
async def test_a_spool_has_one_service(bench, tmp_path):
    async with served(bench, tmp_path):
        with pytest.raises(BadInput, match="Another instrument service uses the spool"):
            await DriverService(Bench(), tmp_path).run("tcp://127.0.0.1:0")


async def test_a_damaged_spool_ends_its_run_and_no_other(bench, tmp_path):
    async with served(bench, tmp_path) as asker:
        await asker.ask(scan())
        await asker.ask(scan(run="r2"))
    (path,) = tmp_path.glob(f"r1-*{SUFFIX}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    async with served(bench, tmp_path) as asker:
        error = await refused(asker, scan(10, batch=1))
        assert error.code is ErrorCode.BAD_INPUT
        assert str(error).startswith(f"The spool {path} is damaged from byte ")
        await asker.ask(scan(10, batch=1, run="r2"))


async def test_a_spool_of_another_instrument_is_refused(bench, tmp_path):
    async with served(bench, tmp_path) as asker:
        await asker.ask(scan())
    other = Bench(AHEAD_ONE.model_copy(update={"name": "another SEM"}))
    async with served(other, tmp_path) as asker:
        error = await refused(asker, scan())
        assert "is not of this run and instrument" in str(error)
    assert other.exposed == []


async def test_where_nothing_can_be_recorded_nothing_is_exposed(bench, tmp_path, monkeypatch):
    async with served(bench, tmp_path) as asker:
        await asker.ask(scan())

        def fails(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("grainloop.protocols.record_file.sync_data", fails)
        error = await refused(asker, scan(10, batch=1))
        monkeypatch.undo()
        assert "cannot be written: No space left on device. Nothing more is exposed" in str(error)
        await refused(asker, scan(20, batch=2))  # after a failed fsync nobody knows what is on the disk
        assert bench.exposed == [*range(10)]
        assert (await asker.ask(scan())).points == 10


def test_names_of_runs_make_no_paths(tmp_path):
    folder = SpoolFolder(tmp_path / "spool", "SEM")
    spools = [folder.open(run) for run in ("../../etc", "a/b", "a-b", "ü" * 200)]
    for one in [*spools, folder]:
        one.close()
    paths = [one.path for one in spools]
    assert len(set(paths)) == 4
    assert all(path.parent == tmp_path / "spool" for path in paths)


async def test_a_spool_where_no_folder_can_be_is_refused(bench, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file/spool cannot be written"):
        await DriverService(bench, tmp_path / "file" / "spool").run("tcp://127.0.0.1:0")
    assert bench.log == []
