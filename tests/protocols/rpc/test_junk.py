"""Frames that are no message, or not one for this side: each is answered by a typed error or ignored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.protocols.codec import encode
from grainloop.protocols.errors import (
    BadMessage,
    ErrorCode,
)
from grainloop.protocols.frames import pack
from grainloop.protocols.messages import (
    PROTOCOL_VERSION,
    CheckHealth,
)
from grainloop.protocols.rpc import (
    Envelope,
    EnvelopeKind,
    Replied,
)
from grainloop.protocols.rpc.envelope import from_frames, to_frames
from tests.protocols.rpc.pair import HEALTH, PEER, Pair, kinds

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
