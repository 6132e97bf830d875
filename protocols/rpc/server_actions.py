"""What the answering side of request and reply asks its caller to do (`protocols.rpc.server`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.frames import Frame
from grainloop.protocols.security.roles import LOCAL, Caller
from grainloop.protocols.values import Value


class RequestKey(NamedTuple):
    """A request: the peer that asks and the id that it chose."""

    peer: bytes
    id: str


@dataclass(frozen=True, slots=True)
class SendTo:
    """Send these frames to this peer; `refused` where they say that a message is not served, and why."""

    peer: bytes
    frames: list[Frame]
    refused: GrainloopError | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Serve:
    """Work on this request, then call `reply` or `fail` exactly once."""

    key: RequestKey
    request: Value
    deadline_s: float | None
    caller: Caller = LOCAL


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The answer is no longer wanted: stop soon, then call `reply` or `fail` as ever.

    What is measured until then is still reported where somebody listens.

    Attributes:
        key: the request.
        reason: why.
        gone: the caller fell silent or its connection broke, so that it has not said that it wants no more.
    """

    key: RequestKey
    reason: GrainloopError
    gone: bool = False


ServerAction = SendTo | Serve | Withdraw
