"""Spools: what is stored is forgotten, and those that cannot be used expose nothing."""

from __future__ import annotations

import asyncio

import pytest

from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import BadInput, ErrorCode
from grainloop.protocols.hosting.spool import SUFFIX, SpoolFolder
from grainloop.protocols.messages import Stored
from tests.protocols.hosting.bench import Asker, Bench, refused, scan
from tests.protocols.hosting.served import AHEAD_ONE, held, served


@pytest.fixture
def bench() -> Bench:
    return Bench(AHEAD_ONE)


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
