"""The request/reply core without any network: what each side does with frames and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.protocols.codec import encode
from grainloop.protocols.errors import (
    BadMessage,
    Cancelled,
    DeadlineExceeded,
    DeviceFailed,
    ErrorCode,
    GrainloopError,
    RemoteError,
    TooLarge,
    Unavailable,
)
from grainloop.protocols.frames import Frame, pack
from grainloop.protocols.messages import (
    PROTOCOL_VERSION,
    CheckHealth,
    Health,
    InstrumentReply,
    InstrumentRequest,
    Parked,
    PointsMeasured,
    ScanDone,
)
from grainloop.protocols.rpc import (
    ClientCore,
    Envelope,
    EnvelopeKind,
    Failed,
    Heartbeat,
    Progressed,
    Replied,
    RequestKey,
    Send,
    SendTo,
    Serve,
    ServerCore,
    Withdraw,
)
from grainloop.protocols.rpc.envelope import from_frames, to_frames
from grainloop.protocols.values import PointBlock

PEER = b"peer"
HEALTH = Health(service="instrument", version="1", ok=True)
HEARTBEAT = Heartbeat(interval_s=1.0, silence_s=5.0)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Pair:
    """A client and a server core with a wire between them that the test holds."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.client = ClientCore(InstrumentReply, "The instrument", self.clock, HEARTBEAT)
        self.server = ServerCore("instrument", InstrumentRequest, self.clock, max_open=3, heartbeat=HEARTBEAT)

    def ask(self, deadline_s: float = 60.0) -> tuple[RequestKey, list[Frame]]:
        request_id, actions = self.client.request(CheckHealth(), deadline_s)
        return RequestKey(PEER, request_id), sent(actions)[0]

    def asked(self, deadline_s: float = 60.0) -> RequestKey:
        """A request that the server works on."""
        key, frames = self.ask(deadline_s)
        assert self.server.receive(PEER, frames) == [Serve(key, CheckHealth(), deadline_s)]
        return key

    def back(self, actions: Sequence[Any]) -> list[Any]:
        """What the client makes of what the server sends."""
        return [action for frames in sent(actions) for action in self.client.receive(frames)]

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds


def sent(actions: Sequence[Any]) -> list[list[Frame]]:
    return [action.frames for action in actions if isinstance(action, Send | SendTo)]


def kinds(actions: Sequence[Any]) -> list[EnvelopeKind]:
    return [from_frames(frames).kind for frames in sent(actions)]


@pytest.fixture
def pair() -> Pair:
    return Pair()


# --- request, progress, reply ----------------------------------------------------------------------------------------
def test_progress_then_one_reply(pair):
    key = pair.asked()
    block = PointsMeasured(batch=1, points=PointBlock.empty())
    assert pair.back(pair.server.progress(key, block)) == [Progressed(key.id, block)]
    assert pair.back(pair.server.reply(key, HEALTH)) == [Replied(key.id, HEALTH)]
    assert pair.server.reply(key, HEALTH) == []
    assert pair.server.progress(key, block) == []
    assert pair.client.wake_at is None
    assert pair.server.wake_at is None


def test_several_requests_are_told_apart(pair):
    first, second = pair.asked(), pair.asked()
    assert pair.back(pair.server.reply(second, Parked())) == [Replied(second.id, Parked())]
    assert pair.back(pair.server.reply(first, HEALTH)) == [Replied(first.id, HEALTH)]


def test_an_error_keeps_its_code_field_value_and_service(pair):
    key = pair.asked()
    (failed,) = pair.back(pair.server.fail(key, DeviceFailed("No beam.", field="beam", value=0), "trace"))
    assert isinstance(failed.error, RemoteError)
    assert (failed.error.code, str(failed.error)) == (ErrorCode.DEVICE_FAILED, "No beam.")
    assert (failed.error.field, failed.error.value) == ("beam", "0")
    assert (failed.error.service, failed.error.trace_id) == ("instrument", "trace")


def test_an_endless_error_is_cut(pair):
    (failed,) = pair.back(pair.server.fail(pair.asked(), DeviceFailed("x" * 10**6, value="y" * 10**6)))
    assert len(str(failed.error)) == 2000
    assert len(failed.error.value) == 200


def test_an_oversize_reply_leaves_the_request_open_to_be_failed(pair):
    key = pair.asked()
    with pytest.raises(TooLarge):
        pair.server.reply(key, Health(service="x", version="1", ok=True, detail="x" * 2**20))
    assert isinstance(pair.back(pair.server.fail(key, TooLarge("Too large.")))[0], Failed)


def test_repeated_and_late_answers_mean_nothing(pair):
    key = pair.asked()
    (reply,) = sent(pair.server.reply(key, HEALTH))
    assert pair.client.receive(reply) == [Replied(key.id, HEALTH)]
    assert pair.client.receive(reply) == []


def test_a_repeated_request_is_served_once(pair):
    key, frames = pair.ask()
    assert isinstance(pair.server.receive(PEER, frames)[0], Serve)
    assert pair.server.receive(PEER, frames) == []
    pair.server.reply(key, HEALTH)
    assert pair.server.receive(PEER, frames) == []


def test_closed_requests_are_forgotten_in_the_end(pair):
    pair.server.remember = 2
    frames = []
    for _ in range(3):
        key, request = pair.ask()
        frames.append(request)
        pair.server.receive(PEER, request)
        pair.server.reply(key, HEALTH)
    assert [bool(pair.server.receive(PEER, request)) for request in frames] == [True, False, False]


def test_a_reply_of_another_service_fails_the_request(pair):
    key = pair.asked()
    body = {"kind": "section_closed", "section_key": "x"}
    actions = pair.client.receive(to_frames(Envelope(EnvelopeKind.REPLY, key.id, body)))
    assert kinds(actions) == [EnvelopeKind.CANCEL]
    assert isinstance(actions[-1].error, BadMessage)


# --- cancel and deadlines --------------------------------------------------------------------------------------------
def test_after_a_cancel_the_rest_still_arrives(pair):
    key = pair.asked()
    (cancel,) = sent(pair.client.cancel(key.id))
    (withdraw,) = pair.server.receive(PEER, cancel)
    assert withdraw.key == key
    block = PointsMeasured(batch=1, points=PointBlock.empty())
    assert pair.back(pair.server.progress(key, block)) == [Progressed(key.id, block)]
    (failed,) = pair.back(pair.server.fail(key, Cancelled("Withdrawn.")))
    assert failed.error.code is ErrorCode.CANCELLED
    assert pair.client.cancel(key.id) == []


def test_an_abandoned_request_is_deaf(pair):
    key = pair.asked()
    (cancel,) = sent(pair.client.abandon(key.id))
    assert isinstance(pair.server.receive(PEER, cancel)[0], Withdraw)
    assert pair.back(pair.server.reply(key, HEALTH)) == []
    assert pair.client.abandon(key.id) == []


def test_a_worker_is_told_once(pair):
    key = pair.asked(deadline_s=1)
    cancel = to_frames(Envelope(EnvelopeKind.CANCEL, key.id))
    assert len(pair.server.receive(PEER, cancel)) == 1
    assert pair.server.receive(PEER, cancel) == []
    pair.wait(1)
    (error,) = pair.server.tick()
    assert isinstance(error, SendTo)
    assert pair.server.lost(PEER, "It left.") == []


def test_a_peer_cannot_cancel_for_another(pair):
    key = pair.asked()
    assert pair.server.receive(b"other", to_frames(Envelope(EnvelopeKind.CANCEL, key.id))) == []
    assert pair.server.tick() == []
    assert pair.back(pair.server.reply(key, HEALTH)) == [Replied(key.id, HEALTH)]


def test_the_client_gives_up_at_its_deadline_and_says_so(pair):
    key = pair.asked(deadline_s=2)
    assert pair.client.wake_at == pytest.approx(101)  # a ping comes first
    pair.wait(2)
    actions = pair.client.tick()
    assert kinds(actions) == [EnvelopeKind.CANCEL]
    assert isinstance(actions[1].error, DeadlineExceeded)
    assert str(actions[1].error) == "The instrument did not answer check_health within 2 s."
    assert actions[1].id == key.id


def test_the_server_gives_up_at_the_deadline_too(pair):
    key = pair.asked(deadline_s=2)
    pair.wait(1.5)
    assert pair.server.tick() == []
    assert pair.server.wake_at == pytest.approx(102)
    pair.wait(0.5)
    error, withdraw = pair.server.tick()
    assert withdraw.key == key
    (failed,) = pair.back([error])
    assert type(failed.error) is DeadlineExceeded
    assert pair.server.tick() == []


@pytest.mark.parametrize("deadline_s", [0.0, -1.0, float("nan")])
def test_no_time_left_is_told_before_anything_is_sent(pair, deadline_s):
    with pytest.raises(DeadlineExceeded):
        pair.client.request(CheckHealth(), deadline_s)


def test_an_infinite_deadline_is_none(pair):
    _, frames = pair.ask(float("inf"))
    assert from_frames(frames).deadline_s is None
    pair.wait(4)
    assert all(isinstance(action, Send) for action in pair.client.tick())


# --- bounds ----------------------------------------------------------------------------------------------------------
def test_open_requests_of_a_peer_are_bounded(pair):
    keys = [pair.asked() for _ in range(3)]
    fourth, frames = pair.ask()
    (failed,) = pair.back(pair.server.receive(PEER, frames))
    assert (failed.id, failed.error.code) == (fourth.id, ErrorCode.BUSY)
    assert isinstance(pair.server.receive(b"other", pair.ask()[1])[0], Serve)
    pair.server.reply(keys[0], HEALTH)
    pair.asked()


def test_a_withdrawn_request_counts_until_its_worker_lets_go(pair):
    keys = [pair.asked() for _ in range(3)]
    pair.server.receive(PEER, to_frames(Envelope(EnvelopeKind.CANCEL, keys[0].id)))
    (failed,) = pair.back(pair.server.receive(PEER, pair.ask()[1]))
    assert failed.error.code is ErrorCode.BUSY
    pair.server.fail(keys[0], GrainloopError("Gone."))
    pair.asked()


def test_the_number_of_peers_is_bounded(pair):
    pair.server.max_peers = 1
    pair.asked()
    (failed,) = pair.back(pair.server.receive(b"other", pair.ask()[1]))
    assert failed.error.code is ErrorCode.BUSY


# --- heartbeats ------------------------------------------------------------------------------------------------------
def test_ping_and_pong(pair):
    pair.asked()
    pair.wait(1)
    actions = pair.client.tick()
    assert kinds(actions) == [EnvelopeKind.PING]
    pong = pair.server.receive(PEER, sent(actions)[0])
    assert kinds(pong) == [EnvelopeKind.PONG]
    assert pair.back(pong) == []
    ping = to_frames(Envelope(EnvelopeKind.PING, "1"))
    assert kinds(pair.client.receive(ping)) == [EnvelopeKind.PONG]


def test_a_silent_service_is_unavailable(pair):
    first, second = pair.asked(), pair.asked()
    for _ in range(4):
        pair.wait(1)
        assert kinds(pair.client.tick()) == [EnvelopeKind.PING]
    pair.wait(1)
    failed = [action for action in pair.client.tick() if isinstance(action, Failed)]
    assert [action.id for action in failed] == [first.id, second.id]
    assert all(type(action.error) is Unavailable for action in failed)
    assert str(failed[0].error) == "The instrument has not answered for 5 s."
    assert pair.client.wake_at is None


def test_any_sign_of_life_counts(pair):
    pair.asked()
    for _ in range(20):
        pair.wait(1)
        (ping,) = sent(pair.client.tick())
        pair.back(pair.server.receive(PEER, ping))
    assert pair.client.wake_at is not None


def test_our_own_sleep_is_not_their_silence(pair):
    key = pair.asked()
    pair.wait(50)  # this process was suspended
    assert not any(isinstance(action, Failed) for action in pair.client.tick())
    assert not any(isinstance(action, Withdraw) for action in pair.server.tick())
    assert pair.back(pair.server.reply(key, HEALTH)) == [Replied(key.id, HEALTH)]


def test_silence_before_a_request_does_not_count(pair):
    pair.back(pair.server.reply(pair.asked(), HEALTH))
    pair.wait(100)
    pair.asked()
    pair.wait(1)
    assert kinds(pair.client.tick()) == [EnvelopeKind.PING]


def test_requests_of_a_silent_caller_are_withdrawn(pair):
    key = pair.asked()
    for _ in range(4):
        pair.wait(1)
        assert pair.server.tick() == []
    pair.wait(1)
    (withdraw,) = pair.server.tick()
    assert (withdraw.key, str(withdraw.reason)) == (key, "The caller has been silent for 5 s.")


def test_a_caller_that_vanished_has_not_cancelled_until_it_says_so(pair):
    key = pair.asked()
    (gone,) = pair.server.lost(PEER, "It left.")
    assert gone.gone
    (cancel,) = sent(pair.client.cancel(key.id))
    (cancelled,) = pair.server.receive(PEER, cancel)
    assert (cancelled.key, cancelled.gone) == (key, False)
    assert pair.server.receive(PEER, cancel) == pair.server.lost(PEER, "It left.") == []


def test_a_cancel_stays_one_when_its_caller_vanishes(pair):
    key = pair.asked()
    (cancel,) = sent(pair.client.cancel(key.id))
    assert not pair.server.receive(PEER, cancel)[0].gone
    assert pair.server.lost(PEER, "It left.") == []


def test_silence_is_counted_since_the_last_sign_of_life_while_the_request_is_open(pair):
    key = pair.asked()
    for _ in range(3):
        pair.wait(1)
        pair.server.tick()
    assert pair.server.silence_s(key) == 3
    (ping,) = sent(pair.client.tick())
    pair.server.receive(PEER, ping)
    assert pair.server.silence_s(key) == 0
    pair.wait(2)
    pair.server.lost(PEER, "It left.")
    assert pair.server.silence_s(key) == 2
    pair.server.reply(key, HEALTH)
    assert pair.server.silence_s(key) == math.inf


def test_a_lost_connection_fails_what_is_open(pair):
    key = pair.asked()
    actions = pair.client.lost("It crashed.")
    assert kinds(actions) == [EnvelopeKind.CANCEL]
    assert (actions[1].id, str(actions[1].error)) == (key.id, "It crashed.")
    assert isinstance(pair.server.lost(PEER, "It left.")[0], Withdraw)
    assert pair.server.lost(PEER, "It left.") == []


# --- junk ------------------------------------------------------------------------------------------------------------
GOOD = {"version": PROTOCOL_VERSION, "kind": "request", "id": "7", "deadline_s": 1.0, "body": {"kind": "check_health"}}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"version": 9}, ErrorCode.VERSION_MISMATCH),
        ({"kind": "shout"}, ErrorCode.BAD_MESSAGE),
        ({"kind": 1}, ErrorCode.BAD_MESSAGE),
        ({"id": ""}, ErrorCode.BAD_MESSAGE),
        ({"id": "x" * 65}, ErrorCode.BAD_MESSAGE),
        ({"id": 5}, ErrorCode.BAD_MESSAGE),
        ({"deadline_s": -1.0}, ErrorCode.BAD_MESSAGE),
        ({"deadline_s": float("nan")}, ErrorCode.BAD_MESSAGE),
        ({"deadline_s": True}, ErrorCode.BAD_MESSAGE),
        ({"more": 1}, ErrorCode.BAD_MESSAGE),
        ({"body": {"kind": "shout"}}, ErrorCode.UNKNOWN_KIND),
        ({"body": {"kind": "describe_model"}}, ErrorCode.UNKNOWN_KIND),
        ({"body": {"kind": "park", "x": 1}}, ErrorCode.BAD_MESSAGE),
        ({"body": np.ones(3)}, ErrorCode.UNKNOWN_KIND),
        ({"body": "x" * 70_000}, ErrorCode.TOO_LARGE),
    ],
)
def test_a_faulty_request_is_answered_by_a_typed_error(pair, fault, code):
    (action,) = pair.server.receive(PEER, pack(GOOD | fault))
    assert from_frames(action.frames).body["code"] == code


def test_a_request_with_a_broken_array_is_answered_under_its_id(pair):
    frames = pack(GOOD | {"body": np.ones(3)})
    (action,) = pair.server.receive(PEER, [frames[0], b"short"])
    assert from_frames(action.frames).id == "7"


@pytest.mark.parametrize("kind", ["reply", "progress", "error", "pong"])
def test_a_server_ignores_what_only_servers_send(pair, kind):
    assert pair.server.receive(PEER, pack(GOOD | {"kind": kind})) == []


@pytest.mark.parametrize(
    "body", [None, {}, {"code": "odd"}, "no", {"code": "busy", "message": "m", "service": "s", "x": 1}]
)
def test_an_unreadable_error_still_ends_the_request(pair, body):
    key = pair.asked()
    actions = pair.client.receive(to_frames(Envelope(EnvelopeKind.ERROR, key.id, body)))
    assert isinstance(actions[-1].error, BadMessage)


@given(frames=st.lists(st.binary(max_size=40), max_size=3))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_junk_raises_on_neither_side(frames):
    pair = Pair()
    key = pair.asked()
    assert kinds(pair.server.receive(PEER, frames)) == [EnvelopeKind.ERROR]
    assert pair.client.receive(frames) == []
    assert pair.back(pair.server.reply(key, HEALTH)) == [Replied(key.id, HEALTH)]


def test_a_bare_message_without_an_envelope_is_junk(pair):
    (action,) = pair.server.receive(PEER, encode(CheckHealth()))
    assert from_frames(action.frames).body["code"] == ErrorCode.BAD_MESSAGE


# --- any order of events ---------------------------------------------------------------------------------------------
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "up", "down", "lose up", "lose down", "repeat up", "repeat down", "progress", "reply"])
        | st.sampled_from(["fail", "cancel", "abandon", "wait", "tick", "junk", "disconnect"]),
        st.integers(0, 20),
    ),
    max_size=80,
)


@given(steps=STEPS)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_the_wire_does_each_request_ends_once(steps):
    world = World()
    for name, number in steps:
        world.step(name, number)
    world.finish()
    assert sorted(world.ended) == sorted(world.asked)
    assert len(set(world.ended)) == len(world.ended)
    assert not world.open_at_server


class World:
    """A pair over a wire that loses and repeats, and a worker that answers when told to."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.up: list[list[Frame]] = []
        self.down: list[list[Frame]] = []
        self.asked: list[str] = []
        self.ended: list[str] = []
        self.open_at_server: list[RequestKey] = []

    def step(self, name: str, number: int) -> None:
        pair = self.pair
        match name.split():
            case ["ask"]:
                request_id, actions = pair.client.request(CheckHealth(), 1 + number)
                self.asked.append(request_id)
                self.at_client(actions)
            case [("up" | "down") as way]:
                self.deliver(way, keep=False)
            case ["repeat", way]:
                self.deliver(way, keep=True)
            case ["lose", way]:
                del getattr(self, way)[:1]
            case ["progress" | "reply" | "fail"] if self.open_at_server:
                self.work(name, self.open_at_server[number % len(self.open_at_server)])
            case ["cancel"] if self.asked:
                request_id = self.asked[number % len(self.asked)]
                self.at_client(pair.client.cancel(request_id))
            case ["abandon"] if self.asked:
                request_id = self.asked[number % len(self.asked)]
                actions = pair.client.abandon(request_id)
                self.ended += [request_id] if actions else []
                self.at_client(actions)
            case ["wait"]:
                pair.wait(number / 4)
            case ["tick"]:
                self.at_client(pair.client.tick())
                self.at_server(pair.server.tick())
            case ["junk"]:
                self.up.append([bytes([number])])
                self.down.append([bytes([number])])
            case ["disconnect"]:
                self.at_client(pair.client.lost("Gone."))
                self.at_server(pair.server.lost(PEER, "Gone."))
            case _:
                pass

    def deliver(self, way: str, *, keep: bool) -> None:
        queue = getattr(self, way)
        if queue and way == "up":
            self.at_server(self.pair.server.receive(PEER, queue[0]))
        elif queue:
            self.at_client(self.pair.client.receive(queue[0]))
        del queue[: 0 if keep else 1]

    def work(self, name: str, key: RequestKey) -> None:
        server = self.pair.server
        done = ScanDone(batch=0, points=0, started_s=0, finished_s=0)
        if name == "progress":
            self.at_server(server.progress(key, PointsMeasured(batch=0, points=PointBlock.empty())))
            return
        self.open_at_server.remove(key)
        self.at_server(server.reply(key, done) if name == "reply" else server.fail(key, DeviceFailed("No beam.")))

    def at_client(self, actions: Sequence[Any]) -> None:
        self.up += sent(actions)
        self.ended += [action.id for action in actions if isinstance(action, Replied | Failed)]
        for action in actions:
            assert not isinstance(action, Progressed) or action.id not in self.ended

    def at_server(self, actions: Sequence[Any]) -> None:
        self.down += sent(actions)
        self.open_at_server += [action.key for action in actions if isinstance(action, Serve)]

    def finish(self) -> None:
        for key in list(self.open_at_server):
            self.work("reply", key)
        self.at_client(self.pair.client.lost("The test ends."))
