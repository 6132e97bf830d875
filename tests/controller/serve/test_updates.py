"""Followers by updates over real sockets: one comes late, one is slow, one was cut off, one outlives the controller."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.controller.journal import Entry, PointsStored, QuestionAnswered, Reconstructed, read_journal
from grainloop.controller.record import JOURNAL_NAME
from grainloop.controller.serve import updates as telling
from grainloop.controller.serve.updates import RunTold, UpdateLog, bytes_of
from grainloop.protocols.aio import Client
from grainloop.protocols.errors import Busy, ErrorCode, RemoteError
from grainloop.protocols.messages import (
    Command,
    ControlReply,
    EventKind,
    FollowRun,
    GetMaps,
    GetPoints,
    GetSnapshot,
    ResumeRequest,
    RunCommand,
    RunEvent,
    RunFinished,
    RunRequest,
    RunSnapshot,
    RunUpdate,
)
from grainloop.protocols.picture import RunPicture
from grainloop.protocols.states import FinishReason
from tests.controller.serve.telling import Recorded, assert_holds_what_the_session_holds, assert_same
from tests.controller.serve.test_picture import of_all, updates_of
from tests.controller.serve.test_service import PLAN, Lab, ask


class Gate:
    """Holds the scans of an instrument from a batch on until it is opened."""

    def __init__(self, lab: Lab, batch: int) -> None:
        self._batch, self.reached, self._open = batch, asyncio.Event(), asyncio.Event()
        lab.instrument._hold = self._wait

    async def _wait(self, request: Any) -> None:
        if request.batch >= self._batch and not self._open.is_set():
            self.reached.set()
            await self._open.wait()

    def open(self) -> None:
        self._open.set()


async def picture_of(client: Client) -> RunPicture:
    """As of now, all pages."""
    snapshot = await ask(client, GetSnapshot())
    assert isinstance(snapshot, RunSnapshot)
    picture = RunPicture.of(snapshot)
    while (first := picture.next_page) is not None:
        request = GetPoints(run=snapshot.began.run, first=first, corrections=len(snapshot.corrections))
        picture.add(await ask(client, request))
    return picture


def recorded(folder: Path) -> tuple[Entry, ...]:
    return read_journal(folder / JOURNAL_NAME).entries


async def test_one_who_hears_all_has_the_whole_picture(tmp_path: Path) -> None:
    lab, heard = Lab(), list[RunUpdate]()
    gate = Gate(lab, 0)
    async with lab.open() as client:
        running = asyncio.create_task(ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path))))
        await gate.reached.wait()
        following = asyncio.create_task(ask(client, FollowRun(after=0, updates=True), heard.append))
        gate.open()
        assert isinstance(await following, RunFinished)
        await running
    entries = recorded(tmp_path)
    assert heard == updates_of(entries)
    assert_holds_what_the_session_holds(of_all(heard), entries, tmp_path)


async def test_one_who_comes_late_asks_for_a_snapshot_and_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grainloop.protocols.picture.picture.PAGE_POINTS", 7)
    lab = Lab()
    gate = Gate(lab, 2)
    async with lab.open() as client:
        running = asyncio.create_task(ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path))))
        await gate.reached.wait()
        picture = await picture_of(client)
        assert len(picture.points) > 7
        assert picture.out
        follow = FollowRun(after=picture.number, updates=True, run=picture.began.run)
        following = asyncio.create_task(ask(client, follow, picture.apply))
        gate.open()
        await following
        await running
        assert_same(picture, await picture_of(client))
    entries = recorded(tmp_path)
    assert_same(picture, of_all(updates_of(entries)))
    assert_holds_what_the_session_holds(picture, entries, tmp_path)


async def test_one_for_whom_the_oldest_are_gone_sees_the_gap_and_asks_for_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "KEPT", 6)
    heard = list[RunUpdate]()
    async with Lab().open() as client:
        await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path)))
        await ask(client, FollowRun(after=3, updates=True), heard.append)
        picture = await picture_of(client)
    entries = recorded(tmp_path)
    assert [update.number for update in heard] == list(range(len(entries) - 5, len(entries) + 1))
    assert_same(picture, of_all(updates_of(entries)))


async def test_one_who_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    lab, before, after = Lab(), list[RunUpdate](), list[RunUpdate]()
    gate, some = Gate(lab, 2), asyncio.Event()

    def hear(update: RunUpdate) -> None:
        before.append(update)
        if len(before) == 12:
            some.set()

    async with lab.open() as client:
        running = asyncio.create_task(ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path))))
        await gate.reached.wait()
        async with Client(client.endpoint, ControlReply, service="controller") as cut_off:
            following = asyncio.create_task(ask(cut_off, FollowRun(after=0, updates=True), hear))
            await some.wait()
        await asyncio.wait([following])
        gate.open()
        await running
        await ask(client, FollowRun(after=before[-1].number, updates=True), after.append)
    assert [*before, *after] == updates_of(recorded(tmp_path))


async def test_one_who_stays_while_the_controller_dies_goes_on_by_the_same_numbers(tmp_path: Path) -> None:
    """The controller is gone, another one goes on with the run: what was heard before is what it tells."""
    heard, told = list[RunUpdate](), list[asyncio.Task[Any]]()
    async with Lab().open() as client:

        def stop(event: RunEvent) -> None:
            if event.event == EventKind.BATCH_DONE and not told:
                told.append(asyncio.create_task(ask(client, Command(command=RunCommand.STOP))))

        first = await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path)), stop)
        await asyncio.wait(told)
        assert first.reason is FinishReason.STOPPED
        await ask(client, FollowRun(after=0, updates=True), heard.append)
    picture = of_all(heard)
    assert picture.over is not None
    async with Lab().open() as client:
        with pytest.raises(RemoteError, match="has not begun yet") as caught:
            await ask(client, GetSnapshot())
        assert caught.value.code is ErrorCode.ILLEGAL_STATE
        going_on = await ask(client, ResumeRequest(session_dir=str(tmp_path)))
        assert going_on.reason is FinishReason.COMPLETED
        follow = FollowRun(after=picture.number, updates=True, run=picture.began.run)
        await ask(client, follow, picture.apply)
        assert_same(picture, await picture_of(client))
    entries = recorded(tmp_path)
    assert_same(picture, of_all(updates_of(entries)))
    assert_holds_what_the_session_holds(picture, entries, tmp_path)


async def test_another_run_is_told_apart(tmp_path: Path) -> None:
    async with Lab().open() as client:
        await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path)))
        for request in (
            FollowRun(after=9, updates=True, run="another"),
            GetPoints(run="another", first=0, corrections=0),
            GetMaps(run="another", maps="final"),
        ):
            with pytest.raises(RemoteError, match=r"The run is .* and not another; ask for a snapshot") as caught:
                await ask(client, request)
            assert caught.value.code is ErrorCode.OUT_OF_LIMITS


async def test_maps_can_be_asked_for_when_the_event_tells_of_them(tmp_path: Path) -> None:
    """Those of the newest answer while the run goes on, then the final ones as well; older ones are gone."""
    named = list[str]()
    async with Lab().open() as client:

        def hear(update: RunUpdate) -> None:
            if update.what.kind == "answer_came" and update.what.maps is not None:
                named.append(update.what.maps)

        finished = await ask(client, RunRequest(plan=PLAN, session_dir=str(tmp_path)))
        await ask(client, FollowRun(after=0, updates=True), hear)
        run = (await ask(client, GetSnapshot())).began.run
        newest = await ask(client, GetMaps(run=run, maps=named[-1]))
        final = await ask(client, GetMaps(run=run, maps="final"))
        with pytest.raises(RemoteError, match=f"The maps {named[0]} are not kept; kept are .* {named[-1]}, final"):
            await ask(client, GetMaps(run=run, maps=named[0]))
    assert len(named) == finished.rounds > 1
    entries = recorded(tmp_path)
    (stored,) = (entry for entry in entries if isinstance(entry, Reconstructed))
    assert np.array_equal(final.answer.orientation, stored.answer.orientation)
    assert (final.points, final.answer.proposals) == (stored.points, None)
    answers = [entry for entry in entries if isinstance(entry, QuestionAnswered)]
    assert newest.answer.predicted_wrong == answers[-1].predicted_wrong


# --- without sockets -------------------------------------------------------------------------------------------------
class Slow:
    """Takes updates while its gate is open."""

    def __init__(self) -> None:
        self.heard = list[int]()
        self.gate = asyncio.Event()

    async def __call__(self, update: RunUpdate) -> None:
        await self.gate.wait()
        self.heard.append(update.number)


async def test_a_slow_one_loses_the_oldest_and_nobody_waits_for_it() -> None:
    entries, told = Recorded(np.random.default_rng(1)).grow(300), RunTold(log=UpdateLog(most=10))
    slow, over = Slow(), False
    following = asyncio.create_task(told.follow(slow, 0, lambda: over))
    await asyncio.sleep(0)
    for number, entry in enumerate(entries):
        told.show(entry, number, 0.0)
        await asyncio.sleep(0)
    over = True
    slow.gate.set()
    told.close()
    await following
    assert slow.heard == [1, *range(len(entries) - 9, len(entries) + 1)]


async def test_one_who_takes_nothing_is_let_go_and_told_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grainloop.controller.serve.patience.PATIENCE_S", 0.05)
    told = RunTold()
    told.recall(Recorded(np.random.default_rng(1)).grow(10))
    with pytest.raises(Busy, match="follow again after update 4") as caught:
        await told.follow(Slow(), 4, lambda: False)
    assert caught.value.value == "4"


def kept(log: UpdateLog) -> list[RunUpdate]:
    found, number = list[RunUpdate](), 0
    while (update := log.after(number)) is not None:
        found.append(update)
        number = update.number
    return found


@pytest.mark.parametrize(("most", "most_bytes"), [(5, 10**9), (10**6, 400), (10**6, 1)])
def test_what_is_kept_is_bounded_in_number_and_in_bytes(most: int, most_bytes: int) -> None:
    updates = updates_of(Recorded(np.random.default_rng(2)).grow(200))
    log = UpdateLog(most, most_bytes)
    for update in updates:
        log.append(update)
        there = kept(log)
        assert len(there) == len(log) <= most
        assert log.bytes == sum(bytes_of(one.what) for one in there)
        assert log.bytes <= most_bytes or len(log) == 1
        assert there[-1] == update
        assert there == updates[update.number - len(there) : update.number]


def points_in(updates: Sequence[RunUpdate]) -> int:
    return sum(len(update.what.point_id) for update in updates if update.what.kind == "points_came")


def test_every_point_is_told_once() -> None:
    entries = Recorded(np.random.default_rng(5)).grow(300)
    stored = sum(len(entry.points) for entry in entries if isinstance(entry, PointsStored))
    assert points_in(updates_of(entries)) == stored > 20
