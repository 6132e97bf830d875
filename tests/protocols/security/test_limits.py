"""Bounds per caller: rate, open requests, message size; one who breaks them costs the others nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from grainloop.protocols.aio import Client, port
from grainloop.protocols.errors import ErrorCode, NotPermitted, RemoteError, Unavailable
from grainloop.protocols.frames import Limits
from grainloop.protocols.messages import CheckHealth, Health, InstrumentReply, InstrumentRequest, ScanRequest
from grainloop.protocols.rpc import RequestKey, SendTo, Serve, ServerCore, Withdraw
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, from_frames, to_frames
from grainloop.protocols.rpc.rate import Buckets, Rate, Verdict
from grainloop.protocols.security import LOCAL, Caller
from grainloop.protocols.values import Value
from tests.integration.junk import CURVE_GREETING, NULL_GREETING
from tests.patience import HANG_S
from tests.protocols.aio.services import Handlers, client, running
from tests.protocols.conftest import Leap
from tests.protocols.security.conftest import Lab
from tests.protocols.security.test_curve import serving

HEALTH = Health(service="instrument", version="1", ok=True)


# --- the bucket ------------------------------------------------------------------------------------------------------
@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 2)), max_size=200),
    st.floats(0.5, 20),
    st.integers(1, 20),
)
def test_never_more_than_the_rate_and_a_burst(steps: list[tuple[float, int]], per_s: float, burst: int) -> None:
    """In any stretch of time, whatever the others send."""
    buckets, now = Buckets(Rate(per_s, burst)), 0.0
    times: dict[Verdict, list[float]] = {verdict: [] for verdict in Verdict}
    for pause, who in steps:
        now += pause
        verdict = buckets.take(who, now)
        if who == 0:
            times[verdict].append(now)
    for verdict in (Verdict.TAKE, Verdict.REFUSE):
        at = times[verdict]
        for first in range(len(at)):
            for last in range(first, len(at)):
                assert last - first + 1 <= burst + per_s * (at[last] - at[first]) + 1e-6


@given(st.integers(1, 50))
def test_a_caller_below_the_rate_is_never_refused(burst: int) -> None:
    buckets = Buckets(Rate(10.0, burst))
    assert {buckets.take("a", n / 9.9) for n in range(200)} == {Verdict.TAKE}


def test_memory_of_callers_is_bounded() -> None:
    buckets = Buckets(remember=10)
    for who in range(1000):
        buckets.take(who, 0.0)
    assert len(buckets._buckets) == 10


# --- the core --------------------------------------------------------------------------------------------------------
@dataclass
class Bench:
    """A core whose users, clock and rights the test holds."""

    now: float = 0.0
    revoked: set[str] = field(default_factory=set)
    broken: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.core = ServerCore(
            "instrument", InstrumentRequest, lambda: self.now, permit=self.permit, max_open=2, **self.options
        )

    def permit(self, user: str, _request: Value) -> Caller:
        if self.broken:
            raise Unavailable("The list cannot be used.")
        if user in self.revoked:
            raise NotPermitted(f"{user} may not any more.")
        return LOCAL

    def ask(self, number: str, peer: bytes = b"p", user: str = "anna", kind: str = "request") -> list[Any]:
        body = CheckHealth() if kind == "request" else None
        return self.core.receive(peer, to_frames(Envelope(EnvelopeKind(kind), number, body)), user)


def codes(actions: list[Any]) -> list[str]:
    return [from_frames(action.frames).body["code"] for action in actions if isinstance(action, SendTo)]


def test_too_fast_is_told_for_a_while_and_then_ignored() -> None:
    bench = Bench(options={"rate": Rate(10.0, 5.0)})
    answers = [bench.ask(str(n), kind="ping") for n in range(20)]
    assert [from_frames(a[0].frames).kind for a in answers[:5]] == [EnvelopeKind.PONG] * 5
    assert [codes(a) for a in answers[5:10]] == [["busy"]] * 5
    assert answers[10:] == [[]] * 10
    assert bench.ask("other", b"q", user="bert")
    bench.now += 0.11
    assert from_frames(bench.ask("20", kind="ping")[0].frames).kind is EnvelopeKind.PONG


def test_open_requests_count_for_all_connections_of_a_user_together() -> None:
    bench = Bench()
    assert [type(bench.ask("1", peer)[0]) for peer in (b"p", b"q")] == [Serve, Serve]
    assert codes(bench.ask("1", b"r")) == ["busy"]
    assert isinstance(bench.ask("1", b"s", "bert")[0], Serve)
    bench.core.reply(RequestKey(b"q", "1"), HEALTH)
    assert isinstance(bench.ask("2", b"r")[0], Serve)


def test_without_users_each_connection_counts_for_itself() -> None:
    bench = Bench()
    assert [type(bench.ask(str(n), b"p", "")[0]) for n in range(3)] == [Serve, Serve, SendTo]
    assert isinstance(bench.ask("1", b"q", "")[0], Serve)


def test_a_right_taken_away_withdraws_what_is_open_and_says_why() -> None:
    bench = Bench()
    bench.ask("1")
    assert bench.core.tick() == []
    bench.revoked.add("anna")
    told, withdrawn = bench.core.tick()
    assert codes([told]) == ["not_permitted"]
    assert isinstance(withdrawn, Withdraw)
    assert bench.core.tick() == []
    assert bench.core.reply(RequestKey(b"p", "1"), HEALTH) == []
    assert codes(bench.ask("2")) == ["not_permitted"]


def test_while_nobody_can_tell_rights_open_work_goes_on_and_nothing_new_begins() -> None:
    bench = Bench()
    bench.ask("1")
    bench.broken = True
    assert bench.core.tick() == []
    assert codes(bench.ask("2")) == ["unavailable"]
    assert len(bench.core.reply(RequestKey(b"p", "1"), HEALTH)) == 1


def test_whoever_takes_over_the_name_of_a_connection_gets_nothing_of_it() -> None:
    """A caller may choose the routing id that another one had before it vanished."""
    bench = Bench()
    bench.ask("1", user="anna")
    withdrawn, pong = bench.ask("x", user="victor", kind="ping")
    assert isinstance(withdrawn, Withdraw)
    assert from_frames(pong.frames).kind is EnvelopeKind.PONG
    assert bench.core.progress(RequestKey(b"p", "1"), HEALTH) == []
    assert bench.core.reply(RequestKey(b"p", "1"), HEALTH) == []


def test_nobody_else_can_cancel_a_request() -> None:
    bench = Bench()
    bench.ask("1", b"p", "anna")
    assert bench.ask("1", b"q", "victor", kind="cancel") == []
    assert isinstance(bench.ask("1", b"p", "anna", kind="cancel")[0], Withdraw)


@pytest.mark.parametrize("size", [2**10, 2**12])
def test_an_array_beyond_what_the_service_takes_is_refused(size: int) -> None:
    bench = Bench(options={"limits": Limits(array_bytes=2**10)})
    frames = to_frames(Envelope(EnvelopeKind.REQUEST, "1", {"a": np.zeros(size, np.uint8)}))
    assert codes(bench.core.receive(b"p", frames, "anna")) == ["too_large" if size > 2**10 else "unknown_kind"]


# --- over sockets ----------------------------------------------------------------------------------------------------
async def test_a_flood_is_refused_and_the_others_are_served(lab: Lab, leap: Leap) -> None:
    service = Handlers().service(rate=Rate(0.001, 100.0))  # however long the flood takes to arrive
    async with serving(lab.access, service) as endpoint:
        flooding = Client(endpoint, InstrumentReply, service="instrument", credentials=lab.credentials("owner"))
        quiet = Client(endpoint, InstrumentReply, service="instrument", credentials=lab.credentials("operator"))
        async with flooding, quiet:
            flood = [asyncio.create_task(flooding.request(CheckHealth(), deadline_s=1e4)) for _ in range(150)]
            assert (await quiet.request(CheckHealth(), deadline_s=HANG_S)).ok
            await asyncio.wait(flood, return_when=asyncio.FIRST_EXCEPTION)
            leap(1e4)  # not all are told
            ends = await asyncio.gather(*flood, return_exceptions=True)
    refused = [end for end in ends if isinstance(end, RemoteError)]
    assert {error.code for error in refused} == {ErrorCode.BUSY}
    assert "at most 0.001 messages per second" in str(refused[-1])


async def test_a_reconnecting_user_gets_no_second_share(lab: Lab) -> None:
    service = Handlers().service(rate=Rate(0.001, 3.0))
    answers: list[object] = []
    async with serving(lab.access, service) as endpoint:
        for _ in range(3):
            asking = Client(endpoint, InstrumentReply, service="instrument", credentials=lab.credentials("owner"))
            async with asking:
                answers += await asyncio.gather(
                    *(asking.request(CheckHealth(), deadline_s=HANG_S) for _ in range(2)), return_exceptions=True
                )
    assert [isinstance(answer, RemoteError) for answer in answers].count(False) <= 3
    assert "messages per second" in str(answers[-1])


@pytest.mark.parametrize("said", [b"", NULL_GREETING[:10], CURVE_GREETING])
async def test_a_stranger_who_does_not_prove_herself_is_hung_up(
    lab: Lab, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that open connections of strangers do not pile up."""
    monkeypatch.setattr(port, "HANDSHAKE_MS", 300)
    async with serving(lab.access) as endpoint:
        host, _, number = endpoint.removeprefix("tcp://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(number))
        writer.write(said)
        try:
            await asyncio.wait_for(reader.read(), HANG_S)
        finally:
            writer.close()


async def test_an_oversize_frame_ends_the_connection_of_its_sender_alone() -> None:
    """libzmq stops it before it fills the memory; the message never reaches the service."""
    service = Handlers().service(limits=Limits(array_bytes=2**20))
    huge = ScanRequest(batch=0, point_id=np.arange(300_000), position_px=np.zeros((300_000, 2), np.int32), dwell_s=1)
    async with running(service) as endpoint, client(endpoint) as honest:
        with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
            peer.linger = 0
            peer.connect(endpoint)
            monitor = peer.get_monitor_socket(int(zmq.EVENT_DISCONNECTED))
            peer.send_multipart(to_frames(Envelope(EnvelopeKind.REQUEST, "1", huge, 10.0)))
            assert await asyncio.to_thread(monitor.poll, 10_000)
            peer.disable_monitor()
            monitor.close()
        assert (await honest.request(CheckHealth(), deadline_s=HANG_S)).ok
