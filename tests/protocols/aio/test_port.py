"""The socket in the event loop: what a peer that reads nothing may cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import zmq

from grainloop.protocols.aio.port import HIGH_WATER, MOST_WAITING, Port
from grainloop.protocols.frames import Frame
from grainloop.protocols.messages import CheckHealth
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, to_frames
from grainloop.protocols.rpc.rate import Rate
from tests.patience import HANG_S
from tests.protocols.aio.services import Handlers, client, running


class Host:
    """A ROUTER port and a caller that says hello and then reads only when told to."""

    def __init__(self) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.gone: list[bytes] = []
        self.known: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.port = Port(self.context, zmq.ROUTER, self.heard, self.gone.append)
        number = self.port.socket.bind_to_random_port("tcp://127.0.0.1")
        self.port.start()
        self.caller = self.context.socket(zmq.DEALER)
        self.caller.setsockopt(zmq.RCVHWM, 1)
        self.caller.setsockopt(zmq.LINGER, 0)
        self.caller.connect(f"tcp://127.0.0.1:{number}")
        self.caller.send(b"hello")

    def heard(self, frames: list[Frame]) -> None:
        self.known.set_result(bytes(frames[0]))

    def close(self) -> None:
        self.port.close()
        self.caller.close()
        self.context.term()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    it = Host()
    yield it
    it.close()


async def test_a_peer_that_reads_nothing_costs_a_bounded_number_of_messages_and_counts_as_gone(host: Host) -> None:
    peer, message = await host.known, bytes(100_000)
    for _ in range(MOST_WAITING + HIGH_WATER + 600):
        host.port.send([message], peer)
    await asyncio.sleep(0)
    assert len(host.port._waiting[peer]) == MOST_WAITING
    assert set(host.gone) == {peer}


async def test_whoever_reads_again_gets_what_waited_in_order(host: Host) -> None:
    peer, padding = await host.known, bytes(20_000)
    count = HIGH_WATER + 700
    for number in range(count):
        host.port.send([b"%d" % number, padding], peer)
    assert host.port.full(peer)
    got = [int((await asyncio.to_thread(host.caller.recv_multipart))[0]) for _ in range(count)]
    assert got == list(range(count))
    assert host.gone == []


async def test_one_who_pings_for_ever_and_never_listens_is_served_no_more_and_the_others_are() -> None:
    """Within the rate; the answers must not pile up."""
    service = Handlers().service(rate=Rate(1e6, 1e6))
    async with running(service) as endpoint, client(endpoint) as honest:
        with zmq.Context() as context, context.socket(zmq.DEALER) as deaf:
            deaf.linger = 0
            deaf.setsockopt(zmq.RCVHWM, 1)
            deaf.setsockopt(zmq.RCVBUF, 4096)
            deaf.setsockopt(zmq.SNDHWM, 0)
            deaf.connect(endpoint)
            for number in range(5_000):
                deaf.send_multipart(to_frames(Envelope(EnvelopeKind.PING, f"{number:064d}")))
            assert (await honest.request(CheckHealth(), deadline_s=HANG_S)).ok
