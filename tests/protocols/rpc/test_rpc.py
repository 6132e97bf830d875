"""The request/reply core without any network: requests, replies, cancels, deadlines and bounds."""

from __future__ import annotations

import pytest

from grainloop.protocols.errors import (
    BadMessage,
    Cancelled,
    DeadlineExceeded,
    DeviceFailed,
    ErrorCode,
    GrainloopError,
    RemoteError,
    TooLarge,
)
from grainloop.protocols.messages import (
    CheckHealth,
    Health,
    Parked,
    PointsMeasured,
)
from grainloop.protocols.rpc import (
    Envelope,
    EnvelopeKind,
    Failed,
    Progressed,
    Replied,
    Send,
    SendTo,
    Serve,
    Withdraw,
)
from grainloop.protocols.rpc.envelope import from_frames, to_frames
from grainloop.protocols.values import PointBlock
from tests.protocols.rpc.pair import HEALTH, PEER, kinds, sent


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
