"""A recorded run told again over a real socket: every event in order, at its time; nothing else can be asked of it."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest

from grainloop.cli import main
from grainloop.cli.serve.processes import free_endpoints
from grainloop.controller.journal.entries import Ended, EventTold
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.recorded.retell import Retelling, finished_of
from grainloop.controller.session.reader import load_session
from grainloop.protocols.aio import Client
from grainloop.protocols.errors import BadInput, ErrorCode, NotPermitted, RemoteError
from grainloop.protocols.messages import (
    CheckHealth,
    Command,
    ControlReply,
    EventKind,
    FollowRun,
    GetMaps,
    GetPoints,
    GetSnapshot,
    GetStatus,
    RunCommand,
    RunEvent,
    RunFinished,
    RunRequest,
)
from grainloop.protocols.picture import RunPicture
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.states import FinishReason, RunState
from tests.controller.serve.telling import assert_holds_what_the_session_holds, assert_same
from tests.controller.serve.test_service import serving
from tests.integration.processes import grainloop
from tests.patience import HANG_S

SAMPLE = Path(__file__).parents[1] / "journal" / "samples" / "v1"
MAX = float("inf")


@pytest.fixture(scope="module")
def entries() -> tuple[Any, ...]:
    return read_journal(SAMPLE / JOURNAL_NAME).entries


def events_of(entries: tuple[Any, ...]) -> list[RunEvent]:
    return [entry.event for entry in entries if isinstance(entry, EventTold)]


async def follow(at: str, after: int | None = None) -> tuple[list[RunEvent], RunFinished]:
    heard = list[RunEvent]()
    async with Client(at, ControlReply, service="controller") as client:
        end = await client.request(FollowRun(after=after), deadline_s=HANG_S, on_progress=heard.append)
    return heard, end


async def test_followers_hear_every_event_and_the_end(entries: tuple[Any, ...]) -> None:
    async with serving(Retelling(entries, "session.h5", MAX)) as at:
        (first, end), (second, _) = await asyncio.gather(follow(at, 0), follow(at, 0))
        late, again = await follow(at)
        async with Client(at, ControlReply, service="controller") as client:
            status = await client.request(GetStatus(), deadline_s=HANG_S)
    assert first == second == events_of(entries)
    assert (late, again) == (first[-1:], end)
    assert (status.state, status.last) == (RunState.FINISHED, first[-1])
    assert (end.reason, end.points_measured, end.rounds) == (FinishReason.COMPLETED, 72, 3)
    assert end.session_file == "session.h5"
    assert end.instrument_s == pytest.approx(first[-1].instrument_s)


async def test_a_follower_by_updates_makes_the_picture_of_the_run(entries: tuple[Any, ...], tmp_path: Path) -> None:
    async with (
        serving(Retelling(entries, "session.h5", MAX)) as at,
        Client(at, ControlReply, service="controller") as client,
    ):
        with pytest.raises(RemoteError, match="has not begun yet"):
            await client.request(GetSnapshot(), deadline_s=60)
        picture = RunPicture()
        follow = FollowRun(after=0, updates=True)
        end = await client.request(follow, deadline_s=60, on_progress=picture.apply)
        snapshot = await client.request(GetSnapshot(), deadline_s=60)
        run = snapshot.began.run
        page = await client.request(GetPoints(run=run, first=0, corrections=0), deadline_s=60)
        maps = await client.request(GetMaps(run=run, maps="final"), deadline_s=60)
        with pytest.raises(RemoteError, match="not another"):
            await client.request(FollowRun(updates=True, run="another"), deadline_s=60)
    assert picture.number == len(entries)
    assert_same(picture, RunPicture.of(snapshot))
    assert_holds_what_the_session_holds(picture, entries, tmp_path)
    assert (end.points_measured, len(page.point_id), maps.points) == (72, 72, 72)


async def test_more_events_than_a_follower_of_a_run_may_wait_for_arrive_all(entries: tuple[Any, ...]) -> None:
    """A run would drop the oldest of those who are slow; a recording waits for them."""
    event = next(entry for entry in entries if isinstance(entry, EventTold))
    many = [EventTold(event=event.event.model_copy(update={"sequence": n})) for n in range(1, 2001)]
    async with serving(Retelling([entries[0], *many], "session.h5", MAX)) as at:
        heard, end = await follow(at)
    assert [one.sequence for one in heard] == list(range(1, 2001))
    assert (end.reason, end.detail) == (FinishReason.FAILED, "the recording ends before the run")


async def test_events_come_by_the_instrument_clock(entries: tuple[Any, ...]) -> None:
    events, factor = events_of(entries), 40.0
    loop, at_s = asyncio.get_running_loop(), list[float]()
    async with (
        serving(Retelling(entries, "session.h5", factor)) as at,
        Client(at, ControlReply, service="controller") as client,
    ):
        asked_s = loop.time()  # however late the first event is heard, it was not told before
        await client.request(FollowRun(), deadline_s=HANG_S, on_progress=lambda _: at_s.append(loop.time()))
    lasts_s = (events[-1].instrument_s - events[0].instrument_s) / factor
    assert lasts_s > 1.5
    assert at_s[-1] - asked_s > 0.95 * lasts_s
    for one, heard_s in zip(events, at_s, strict=True):
        assert heard_s - asked_s > (one.instrument_s - events[0].instrument_s) / factor - 0.05 * lasts_s


async def test_it_waits_for_somebody_and_obeys_nobody(entries: tuple[Any, ...], tmp_path: Path) -> None:
    async with (
        serving(Retelling(entries, "session.h5", MAX)) as at,
        Client(at, ControlReply, service="controller") as client,
    ):
        assert (await client.request(GetStatus(), deadline_s=HANG_S)).state is RunState.IDLE
        assert (await client.request(CheckHealth(), deadline_s=HANG_S)).ok
        run = RunRequest(plan=RunPlan(), session_dir=str(tmp_path / "new"))
        for request in (Command(command=RunCommand.ABORT), run):
            with pytest.raises(RemoteError, match="This is a recording that is told again") as caught:
                await client.request(request, deadline_s=HANG_S)
            assert caught.value.code is ErrorCode.ILLEGAL_STATE
    assert not (tmp_path / "new").exists()


async def test_a_follower_who_leaves_holds_nobody_up(entries: tuple[Any, ...]) -> None:
    begun = asyncio.Event()
    async with (
        serving(Retelling(entries, "session.h5", 40.0)) as at,
        Client(at, ControlReply, service="controller") as leaver,
    ):
        leaving = asyncio.create_task(leaver.request(FollowRun(), deadline_s=HANG_S, on_progress=lambda _: begun.set()))
        await begun.wait()
        leaving.cancel()
        heard, _ = await follow(at, 0)
    assert heard == events_of(entries)


async def test_a_recording_can_be_stopped_in_the_middle(entries: tuple[Any, ...]) -> None:
    begun, stop, ready = asyncio.Event(), asyncio.Event(), asyncio.Event()
    telling = Retelling(entries, "session.h5", 1e-3)
    serving_task = asyncio.create_task(telling.run("tcp://127.0.0.1:0", ready=ready.set, stop=stop))
    await ready.wait()
    assert telling.service.endpoint is not None
    async with Client(telling.service.endpoint, ControlReply, service="controller") as client:
        asking = asyncio.create_task(client.request(FollowRun(), deadline_s=HANG_S, on_progress=lambda _: begun.set()))
        await begun.wait()
        stop.set()
        with pytest.raises(RemoteError, match="was stopped before its end"):
            await asking
        await serving_task


async def test_other_machines_need_keys(entries: tuple[Any, ...]) -> None:
    with pytest.raises(NotPermitted):
        await Retelling(entries, "session.h5", MAX).run("tcp://192.0.2.1:5599")


def test_how_it_ended_is_what_the_controller_told(entries: tuple[Any, ...]) -> None:
    end = finished_of(entries, "x")
    last = events_of(entries)[-1]
    ended = next(entry for entry in entries if isinstance(entry, Ended))
    assert (end.points_measured, end.detail) == (last.points_measured, ended.detail)


def test_a_journal_without_events_is_refused(entries: tuple[Any, ...]) -> None:
    with pytest.raises(BadInput, match="holds no event"):
        Retelling(entries[:1], "x", MAX)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--speed", "0"], "--speed 0 cannot be used: give a factor above 0, or max."),
        (["--speed", "quick"], "--speed quick cannot be used"),
        (["--speed", "max", "--policy", "grid"], "--speed tells a run as it is"),
        (["--speed", "max", "--bind", "tcp://192.0.2.1:5599"], "tcp://192.0.2.1:5599"),
    ],
)
def test_what_cannot_be_told_is_refused(options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(SAMPLE), *options]) == 1
    assert sentence in capsys.readouterr().err


def test_watch_follows_a_recording(tmp_path: Path) -> None:
    """Two real processes: one tells, the other watches."""
    shutil.copytree(SAMPLE / JOURNAL_NAME, tmp_path / JOURNAL_NAME)
    (tmp_path / SESSION_NAME).write_bytes(gzip.decompress((SAMPLE / f"{SESSION_NAME}.gz").read_bytes()))
    (at,) = free_endpoints(1)
    told = ("replay", str(tmp_path), "--speed", "max", "--bind", at)
    with grainloop(*told, cwd=tmp_path) as telling:
        telling.wait_for(f"ready controller {at}", "stdout")
        with grainloop("watch", "--controller", at, cwd=tmp_path) as watching:
            code, out, err = watching.finish()
        telling.process.terminate()
        assert telling.process.wait(timeout=HANG_S) == 0
    assert code == 0, err
    assert "The run has completed: the budget is spent" in out
    assert f"72 points in {tmp_path / SESSION_NAME}" in out
    events = load_session(tmp_path / SESSION_NAME).events
    assert [event.text for event in events if event.event is not EventKind.FINISHED] == err.splitlines()
