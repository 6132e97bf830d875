"""A client core and a server core with a wire and a clock between them that the test holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grainloop.protocols.frames import Frame
from grainloop.protocols.messages import (
    CheckHealth,
    Health,
    InstrumentReply,
    InstrumentRequest,
)
from grainloop.protocols.rpc import (
    ClientCore,
    EnvelopeKind,
    Heartbeat,
    RequestKey,
    Send,
    SendTo,
    Serve,
    ServerCore,
)
from grainloop.protocols.rpc.envelope import from_frames

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
