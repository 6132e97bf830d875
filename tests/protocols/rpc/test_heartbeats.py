"""Pings, silence and lost connections: what each side makes of them, by a clock that the test holds."""

from __future__ import annotations

import math

from grainloop.protocols.errors import (
    Unavailable,
)
from grainloop.protocols.rpc import (
    Envelope,
    EnvelopeKind,
    Failed,
    Replied,
    Withdraw,
)
from grainloop.protocols.rpc.envelope import to_frames
from tests.protocols.rpc.pair import HEALTH, PEER, kinds, sent


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
