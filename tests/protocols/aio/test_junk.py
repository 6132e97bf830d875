"""Bytes and frames that are no message leave the service serving."""

from __future__ import annotations

import asyncio
import socket

import numpy as np
import pytest
import zmq

from grainloop.protocols.messages import (
    CheckHealth,
)
from grainloop.protocols.rpc.envelope import EnvelopeKind, from_frames
from tests.patience import HANG_S

JUNK = {
    "random": bytes(np.random.default_rng(5).integers(0, 256, 4096, dtype=np.uint8)),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "zeros": bytes(1000),
    "half a greeting": b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f",
    "an old peer": b"\x01\x00\x05\x00junk",
    "a pickle": b"cposix\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
async def test_junk_on_the_port_leaves_the_service_serving(asking, endpoint, junk):
    host, _, port = endpoint.removeprefix("tcp://").partition(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(junk)
            assert (await asking.request(CheckHealth(), deadline_s=HANG_S)).ok
    assert (await asking.request(CheckHealth(), deadline_s=HANG_S)).ok


async def test_junk_frames_are_answered_by_typed_errors(asking, endpoint):
    rng = np.random.default_rng(6)
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.connect(endpoint)
        for count in range(1, 30):
            peer.send_multipart([rng.bytes(int(rng.integers(0, 50))) for _ in range(count % 5 + 1)])
            assert (await asking.request(CheckHealth(), deadline_s=HANG_S)).ok
            assert await asyncio.to_thread(peer.poll, 10_000)
            envelope = from_frames(peer.recv_multipart())
            assert envelope.kind is EnvelopeKind.ERROR
            assert envelope.body["code"] in {"bad_message", "too_large"}
