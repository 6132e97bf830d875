"""Turns: callers alternate, results reach whoever asked, the loop stays free."""

import asyncio
import threading

import pytest

from grainloop.model.service.turns import Turns


@pytest.fixture
async def turns():
    made = Turns("test work")
    yield made
    await made.close()


class Gate:
    """Work that holds the thread until it is let go."""

    def __init__(self):
        self.entered, self.leave = threading.Event(), threading.Event()

    def __call__(self):
        self.entered.set()
        assert self.leave.wait(30)
        return "gate"

    async def reached(self):
        assert await asyncio.to_thread(self.entered.wait, 30)


async def test_callers_alternate_however_much_one_asks(turns):
    gate, order = Gate(), []
    first = asyncio.create_task(turns.do(b"greedy", gate))
    await gate.reached()
    jobs = [
        asyncio.create_task(turns.do(who, lambda who=who: order.append(who)))
        for who in [b"greedy"] * 4 + [b"modest"] * 2
    ]
    await asyncio.sleep(0)  # lets the tasks queue their work
    gate.leave.set()
    await asyncio.gather(first, *jobs)
    assert order == [b"modest", b"greedy", b"modest", b"greedy", b"greedy", b"greedy"]


async def test_results_and_errors_reach_whoever_asked(turns):
    def fail():
        raise LookupError("no")

    failing, working = turns.do(b"a", fail), turns.do(b"b", lambda: 7)
    results = await asyncio.gather(failing, working, return_exceptions=True)
    assert isinstance(results[0], LookupError)
    assert results[1] == 7


async def test_the_loop_is_free_while_the_thread_works(turns):
    gate = Gate()
    working = asyncio.create_task(turns.do(b"a", gate))
    await gate.reached()
    assert not working.done()
    gate.leave.set()
    assert await working == "gate"


async def test_work_given_up_while_it_waits_is_never_done(turns):
    gate, done = Gate(), []
    first = asyncio.create_task(turns.do(b"a", gate))
    await gate.reached()
    given_up = asyncio.create_task(turns.do(b"a", lambda: done.append("given up")))
    kept = asyncio.create_task(turns.do(b"a", lambda: done.append("kept")))
    await asyncio.sleep(0)
    given_up.cancel()
    gate.leave.set()
    await asyncio.gather(first, kept)
    assert done == ["kept"]
    assert given_up.cancelled()


async def test_closing_drops_what_waits_and_ends_the_thread():
    turns, gate, done = Turns("closing work"), Gate(), []
    first = asyncio.create_task(turns.do(b"a", gate))
    await gate.reached()
    waiting = asyncio.create_task(turns.do(b"b", lambda: done.append("waiting")))
    await asyncio.sleep(0)
    closing = asyncio.create_task(turns.close())
    await asyncio.sleep(0)
    gate.leave.set()
    await closing
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await first == "gate"
    assert done == []
    assert not [t for t in threading.enumerate() if t.name.startswith("closing work")]
