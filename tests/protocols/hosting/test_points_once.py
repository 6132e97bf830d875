"""Whatever is asked for again, no point is exposed twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from grainloop.protocols.errors import DeviceFailed, ErrorCode
from grainloop.protocols.messages import (
    ScanDone,
    ScanRequest,
)
from grainloop.protocols.values import PointBlock
from tests.protocols.hosting.bench import overtaken, refused, scan


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
