"""Followers of a run: who is slow loses the oldest events and sees it, and nobody holds the run."""

from __future__ import annotations

import asyncio

import pytest

from grainloop.controller.serve import patience
from grainloop.controller.serve.followers import KEPT, ROOM, Followers
from grainloop.protocols.errors import Busy
from grainloop.protocols.messages import RunEvent
from grainloop.protocols.states import RunState


def event(number: int) -> RunEvent:
    return RunEvent(
        sequence=number, state=RunState.RUNNING, event="batch_done", text="", points_measured=number, points_budget=9999
    )


class Ear:
    """A caller that takes events while its gate is open."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, told: RunEvent) -> None:
        await self.gate.wait()
        self.heard.append(told.sequence)


@pytest.fixture
def crowd() -> Followers:
    return Followers()


async def test_one_who_listens_hears_all_in_order(crowd: Followers) -> None:
    ear, over = Ear(), False
    with crowd.follow(None) as follower:
        listening = asyncio.create_task(follower.pass_on(ear, lambda: over))
        for number in range(1, 1001):
            crowd.tell(event(number))
            if number % 100 == 0:
                await asyncio.sleep(0)  # as between two batches
                while ear.heard[-1:] != [number]:  # noqa: ASYNC110
                    await asyncio.sleep(0)
        over = True
        crowd.over()
        await listening
    assert ear.heard == list(range(1, 1001))


async def test_one_who_comes_late_begins_with_the_newest_or_where_she_says(crowd: Followers) -> None:
    for number in range(1, 11):
        crowd.tell(event(number))
    for after, expected in ((None, [10]), (0, list(range(1, 11))), (7, [8, 9, 10]), (10, []), (99, [])):
        ear = Ear()
        with crowd.follow(after) as follower:
            await follower.pass_on(ear, lambda: True)
        assert ear.heard == expected


async def test_a_new_run_counts_anew(crowd: Followers) -> None:
    crowd.tell(event(1))
    crowd.begin()
    ear = Ear()
    with crowd.follow(0) as follower:
        await follower.pass_on(ear, lambda: True)
    assert ear.heard == []


async def test_only_the_last_events_are_kept(crowd: Followers) -> None:
    for number in range(1, KEPT + 101):
        crowd.tell(event(number))
    ear = Ear()
    with crowd.follow(0) as follower:
        await follower.pass_on(ear, lambda: True)
    assert ear.heard == list(range(101, KEPT + 101))


async def test_a_slow_one_loses_the_oldest_and_sees_the_gap_while_the_others_hear_all(crowd: Followers) -> None:
    slow, quick, over = Ear(), Ear(), False
    slow.gate.clear()
    with crowd.follow(None) as one, crowd.follow(None) as other:
        tasks = [asyncio.create_task(f.pass_on(ear, lambda: over)) for f, ear in ((one, slow), (other, quick))]
        for number in range(1, 2001):
            crowd.tell(event(number))
            while quick.heard[-1:] != [number]:  # noqa: ASYNC110
                await asyncio.sleep(0)
        over = True
        crowd.over()
        slow.gate.set()
        await asyncio.gather(*tasks)
    assert quick.heard == list(range(1, 2001))
    assert slow.heard == [1, *range(2001 - ROOM, 2001)]


async def test_one_who_takes_nothing_is_let_go_and_told_where_to_go_on(
    crowd: Followers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    frozen = Ear()
    frozen.gate.clear()
    crowd.tell(event(41))
    with crowd.follow(None) as follower, pytest.raises(Busy, match="follow again after event 40"):
        await follower.pass_on(frozen, lambda: False)


async def test_one_who_is_slow_to_hear_the_end_hears_nothing_of_the_next_run(crowd: Followers) -> None:
    ear, over = Ear(), False
    ear.gate.clear()
    crowd.tell(event(1))
    with crowd.follow(None) as follower:
        hearing = asyncio.create_task(follower.pass_on(ear, lambda: over))
        await asyncio.sleep(0)
        over = True
        crowd.begin()
        crowd.tell(event(1))
        ear.gate.set()
        await hearing
    assert ear.heard == [1]
