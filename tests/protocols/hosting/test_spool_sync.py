"""What an instrument service has told, and what it is about to expose, survives a power failure at any moment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.hosting.batches import LOST, HeldBatch
from grainloop.protocols.hosting.spool import SUFFIX, SpoolFolder
from grainloop.protocols.hosting.store import BatchStore, RunStore
from grainloop.protocols.messages import Forgotten, InstrumentReply, PointsMeasured, ScanDone, ScanRequest, Stored
from grainloop.protocols.values import PointBlock
from tests.patience import HANG_S
from tests.power import Disk
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import CAPABILITIES, Bench, scan

BATCHES, AHEAD = 4, 2


class Looking:
    """Reads, as the next service would, what a power failure now would leave of the spool."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._disk, self.looks = folder, disk, 0

    def run(self) -> RunStore:
        """The run of the spool that is left."""
        self.looks += 1
        with tempfile.TemporaryDirectory() as copy:
            spool = SpoolFolder(self._disk.copy_survivors(self._folder, Path(copy), f"*{SUFFIX}"), "bench SEM")
            ledger = BatchStore(spool)
            try:
                return ledger.run("r1")
            finally:
                ledger.close()
                spool.close()

    def batch(self, number: int) -> HeldBatch:
        """A batch of it."""
        return self.run().batches[0, number]


def told_in(batch: HeldBatch, lost: str | None) -> set[int]:
    """Ids of the points that a batch tells with this reason for being lost."""
    return {point for one in batch.told if one.lost == lost for point in one.points.point_id.tolist()}


class Exposing(Bench):
    """Looks before each exposure whether the next service would know that it may have happened."""

    def __init__(self, looking: Looking) -> None:
        super().__init__(CAPABILITIES.model_copy(update={"exposes_ahead": AHEAD}))
        self._looking = looking

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        for block in super().scan(request):
            batch = self._looking.batch(request.batch)
            assert set(block.point_id.tolist()) <= told_in(batch, LOST)
            yield block


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr("grainloop.protocols.record_file.sync_data", disk.sync)
    monkeypatch.setattr("grainloop.protocols.record_file.sync_folder", disk.sync_folder)
    monkeypatch.setattr("os.fsync", disk.sync)
    yield disk
    disk.close()


async def test_what_was_told_survives_and_what_may_be_exposed_is_known(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grainloop.protocols.hosting.store.TIDY_BYTES", 0)  # the spool is written anew at every chance
    monkeypatch.setattr("grainloop.protocols.hosting.measuring.GROUP_S", 0.0)
    looking, told, replace = Looking(tmp_path, disk), list[int](), os.replace

    def replaced(new: Path, old: Path) -> None:
        before = looking.run()
        replace(new, old)
        after = looking.run()
        assert (after.batches.keys(), after.dropped) == (before.batches.keys(), before.dropped)

    monkeypatch.setattr("os.replace", replaced)

    def heard(message: PointsMeasured) -> None:
        told.extend(message.points.point_id.tolist())
        assert set(message.points.point_id.tolist()) <= told_in(looking.batch(message.batch), None)

    bench = Exposing(looking)
    async with running(DriverService(bench, tmp_path)) as at, Client(at, InstrumentReply, service="it") as client:

        async def ask(message: Any) -> Any:
            return await client.request(message, deadline_s=HANG_S, on_progress=heard)

        for number in range(BATCHES):
            done = await ask(scan(10 * number, batch=number))
            assert isinstance(done, ScanDone)
            assert looking.batch(number).done == done
            if number % 2:
                assert await ask(Stored(run="r1", section=0, below=number)) == Forgotten(batches=number)
                assert looking.run().dropped[0].below == number
    assert told == bench.exposed == [*range(10 * BATCHES)]
    assert looking.looks > 10 * BATCHES
