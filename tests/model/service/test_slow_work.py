"""Slow work over a real socket: progress while it runs, cancelling, callers that vanish, work time, fair turns."""

import asyncio

import pytest
import zmq

from grainloop.model.service.deadline import Deadline
from grainloop.model.service.methods import methods
from grainloop.protocols.errors import DeadlineExceeded
from grainloop.protocols.messages import DescribeModel
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, to_frames
from tests.model.service.fakes import SOON_S, Sampler, Turnstile, begins, happens
from tests.model.service.runs import asking, connection, opening, section, serving

MANY = 256


def offered(monkeypatch, method):
    """The method, which the service offers until the test ends; then it is let go."""
    monkeypatch.setitem(methods(), method.name, method)
    yield method
    method.go.release(MANY)


@pytest.fixture
def sampler(monkeypatch):
    yield from offered(monkeypatch, Sampler())


@pytest.fixture
def turnstile(monkeypatch):
    yield from offered(monkeypatch, Turnstile())


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the work has taken, as a list of one."""
    now = [0.0]
    monkeypatch.setattr(
        "grainloop.model.service.reconstruction.Deadline", lambda seconds: Deadline(seconds, lambda: now[0])
    )
    return now


def sampling(n_samples=MANY, **fields):
    return asking(section()[1], method="sampler", n_samples=n_samples, **fields)


async def arrived(*peers):
    """Return when all that these connections have sent is with the service: messages of one connection keep order."""
    for _ in range(2):  # a request of another task may be sent behind the first
        await asyncio.gather(*(peer.request(DescribeModel(), deadline_s=SOON_S) for peer in peers))


async def test_progress_is_heard_while_the_work_goes_on(sampler):
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        heard = []
        task = asyncio.create_task(model.request(sampling(3), deadline_s=SOON_S, on_progress=heard.append))
        for number in range(3):
            assert await begins(sampler) == number
            await arrived(model)
            assert heard[-1].stage == f"sample {number + 1}"
            assert not task.done()
            sampler.go.release()
        found = await task
    fractions = [said.fraction for said in heard]
    assert fractions == sorted(fractions)
    assert (found.samples, found.degraded) == (3, ())


async def test_cancelling_waits_for_the_evaluation_in_hand_and_no_other(sampler):
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        doomed = asyncio.create_task(model.request(sampling(), deadline_s=SOON_S))
        await begins(sampler)
        doomed.cancel()
        await arrived(model)
        sampler.go.release()
        await happens(sampler.ended)
        assert sampler.evaluations == 1
        with pytest.raises(asyncio.CancelledError):
            await doomed
        assert (await model.request(asking(section()[1]), deadline_s=SOON_S)).predicted_wrong < 1


async def test_a_caller_that_vanishes_frees_the_worker(sampler):
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
            peer.linger = 0
            peer.connect(endpoint)
            peer.send_multipart(to_frames(Envelope(EnvelopeKind.REQUEST, "1", sampling(), 60.0)))
            await begins(sampler)
        while not sampler.ended.is_set():  # the service learns of it when a word of progress cannot be delivered
            sampler.go.release()
            await arrived(model)
        assert sampler.evaluations < MANY
        assert (await model.request(asking(section()[1]), deadline_s=SOON_S)).predicted_wrong < 1


async def test_work_time_that_runs_out_while_sampling_costs_samples_only(sampler, clock):
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        task = asyncio.create_task(model.request(sampling(8, deadline_s=2.0, propose=5, steps=7), deadline_s=SOON_S))
        for late in (0.0, 0.0, 2.5):
            await begins(sampler)
            clock[0] = late
            sampler.go.release()
        found = await task
    assert sampler.evaluations == 3
    assert (found.samples, found.steps) == (3, 7)
    assert found.degraded == ("The work time of 2 s is over: 3 of 8 posterior samples.",)
    assert len(found.proposals.gain) == 5


@pytest.mark.parametrize("method", ["nn", "sampler", None])
async def test_work_time_that_runs_out_before_there_is_a_map_is_an_error(sampler, method):
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        hasty = asking(section()[1], method=method, deadline_s=0.0)
        with pytest.raises(DeadlineExceeded, match=r"work time of 0 s ran out before the stage 'registration'"):
            await model.request(hasty, deadline_s=SOON_S)
        assert (await model.request(asking(section()[1]), deadline_s=SOON_S)).predicted_wrong < 1


async def test_waiting_for_a_turn_costs_no_work_time(turnstile, clock):
    async with serving() as endpoint, connection(endpoint) as model:
        await model.request(opening(), deadline_s=SOON_S)
        points = section()[1]
        first = asyncio.create_task(model.request(asking(points, method="turnstile"), deadline_s=SOON_S))
        await begins(turnstile)
        second = asyncio.create_task(model.request(asking(points, deadline_s=2.0), deadline_s=SOON_S))
        await arrived(model)
        clock[0] = 100.0
        turnstile.go.release()
        await first
        assert (await second).predicted_wrong < 1


async def test_a_second_controller_waits_for_the_work_in_hand_alone(turnstile):
    points = section()[1]
    async with serving() as endpoint, connection(endpoint) as greedy, connection(endpoint) as modest:
        await greedy.request(opening(), deadline_s=SOON_S)

        def ask(who, seed):
            return asyncio.create_task(who.request(asking(points, method="turnstile", seed=seed), deadline_s=SOON_S))

        tasks = [ask(greedy, 100 + n) for n in range(12)]
        for seed in range(4):
            assert await begins(turnstile) >= 100
            tasks.append(ask(modest, seed))
            await arrived(greedy, modest)
            turnstile.go.release()
            assert await begins(turnstile) == seed
            turnstile.go.release()
        turnstile.go.release(len(tasks))
        await asyncio.gather(*tasks)
