"""The asking side of request and reply: frames and clock ticks in, actions out. No socket, no thread, no waiting.

The caller carries out the actions in order, hands every incoming message to `receive`, and calls `tick` at `wake_at`.
Whatever arrives, nothing but the caller's own mistakes raises.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pydantic import ValidationError

from grainloop.protocols.codec import validator
from grainloop.protocols.errors import (
    BadMessage,
    DeadlineExceeded,
    ErrorCode,
    ErrorEnvelope,
    GrainloopError,
    RemoteError,
    Unavailable,
)
from grainloop.protocols.frames import Frame
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, from_frames, salvage_id, to_frames
from grainloop.protocols.rpc.heartbeat import CLIENT_HEARTBEAT, Heartbeat, Listening
from grainloop.protocols.values import Value


@dataclass(frozen=True, slots=True)
class Send:
    """Send these frames to the service."""

    frames: list[Frame]


@dataclass(frozen=True, slots=True)
class Progressed:
    """A progress message of an open request."""

    id: str
    message: Value


@dataclass(frozen=True, slots=True)
class Replied:
    """The reply; the request is closed."""

    id: str
    message: Value


@dataclass(frozen=True, slots=True)
class Failed:
    """The request is closed without a reply."""

    id: str
    error: GrainloopError


ClientAction = Send | Progressed | Replied | Failed


@dataclass(slots=True)
class _Open:
    what: str
    deadline_s: float
    deadline: float


def _ids() -> Callable[[], str]:
    """Ids that count up after a random beginning, so that the logs of several clients can be told apart."""
    prefix, numbers = secrets.token_hex(4), count(1)
    return lambda: f"{prefix}-{next(numbers)}"


@dataclass
class ClientCore:
    """All open requests of one client to one service.

    Attributes:
        replies: closed union of what the service may answer.
        peer: the service and its endpoint, as sentences name it.
        clock: monotonic seconds.
        new_id: makes request ids; unique per connection.
    """

    replies: Any
    peer: str
    clock: Callable[[], float]
    heartbeat: Heartbeat = CLIENT_HEARTBEAT
    new_id: Callable[[], str] = field(default_factory=_ids)
    _open: dict[str, _Open] = field(default_factory=dict[str, _Open])
    _listening: Listening | None = None

    def __post_init__(self) -> None:
        self._validate = validator(self.replies)

    def request(self, message: Value, deadline_s: float) -> tuple[str, list[ClientAction]]:
        """Open a request; returns its id and what to do.

        Args:
            message: the request.
            deadline_s: seconds from now; infinite for no deadline.

        Raises:
            DeadlineExceeded: no time is left.
            TooLarge: the message is beyond the limits.
        """
        what = str(getattr(message, "kind", type(message).__name__))
        if not deadline_s > 0:
            raise self._late(what, deadline_s)
        request_id = self.new_id()
        deadline = deadline_s if math.isfinite(deadline_s) else None
        frames = to_frames(Envelope(EnvelopeKind.REQUEST, request_id, message, deadline))
        now = self.clock()
        if not self._open:
            self._listening = Listening(self.heartbeat, now)
        self._open[request_id] = _Open(what, deadline_s, now + deadline_s)
        return request_id, [Send(frames)]

    def cancel(self, request_id: str) -> list[ClientAction]:
        """Ask the service to stop; the request stays open, and what is measured until the end still arrives."""
        return [_cancel(request_id)] if request_id in self._open else []

    def abandon(self, request_id: str) -> list[ClientAction]:
        """Close a request; whatever still comes for it is ignored. Unknown ids are none of our business."""
        return [] if self._open.pop(request_id, None) is None else [_cancel(request_id)]

    def receive(self, frames: Sequence[Frame]) -> list[ClientAction]:
        """What one incoming message means. Late, repeated and unreadable messages mean nothing."""
        if self._listening is not None:
            self._listening.heard(self.clock())
        try:
            envelope = from_frames(frames)
        except BadMessage as error:
            return self._fail(salvage_id(frames), error)
        if envelope.kind is EnvelopeKind.PING:
            return [Send(to_frames(Envelope(EnvelopeKind.PONG, envelope.id)))]
        return self._answer(envelope) if envelope.id in self._open else []

    def tick(self) -> list[ClientAction]:
        """Pings due, deadlines passed, or a peer gone silent."""
        if self._listening is None or not self._open:
            return []
        now = self.clock()
        self._listening.look(now)
        if self._listening.lost(now):
            return self.lost(f"{self.peer} has not answered for {self.heartbeat.silence_s:g} s.")
        late = [(key, request) for key, request in self._open.items() if now >= request.deadline]
        actions = [a for key, late_one in late for a in self._fail(key, self._late(late_one.what, late_one.deadline_s))]
        if self._open and self._listening.ping_due(now):
            actions.append(Send(to_frames(Envelope(EnvelopeKind.PING, self.new_id()))))
        return actions

    def lost(self, sentence: str, error: type[GrainloopError] = Unavailable) -> list[ClientAction]:
        """The connection is gone: no open request can be answered any more.

        The cancels reach a service that was only slow, or one that restarts and still finds the requests queued.
        """
        return [action for key in list(self._open) for action in self._fail(key, error(sentence))]

    @property
    def wake_at(self) -> float | None:
        """When to call `tick`, or None while nothing is open."""
        if self._listening is None or not self._open:
            return None
        return min(self._listening.wake_at, *(request.deadline for request in self._open.values()))

    def _answer(self, envelope: Envelope) -> list[ClientAction]:
        try:
            match envelope.kind:
                case EnvelopeKind.PROGRESS:
                    return [Progressed(envelope.id, self._validate(envelope.body))]
                case EnvelopeKind.REPLY:
                    message = self._validate(envelope.body)
                    del self._open[envelope.id]
                    return [Replied(envelope.id, message)]
                case EnvelopeKind.ERROR:
                    error = _remote(envelope.body)
                    del self._open[envelope.id]
                    return [Failed(envelope.id, error)]
                case _:
                    return []
        except BadMessage as error:
            return self._fail(envelope.id, error)

    def _fail(self, request_id: str, error: GrainloopError) -> list[ClientAction]:
        """Close a request that the service may still be working on."""
        return [*self.abandon(request_id), Failed(request_id, error)] if request_id in self._open else []

    def _late(self, what: str, deadline_s: float) -> DeadlineExceeded:
        sentence = f"{self.peer} did not answer {what} within {max(0.0, deadline_s):g} s."
        return DeadlineExceeded(sentence, field="deadline_s", value=deadline_s)


def frames_of(actions: Iterable[ClientAction]) -> list[list[Frame]]:
    """What `actions` send, for tests and recorders."""
    return [action.frames for action in actions if isinstance(action, Send)]


def _cancel(request_id: str) -> Send:
    return Send(to_frames(Envelope(EnvelopeKind.CANCEL, request_id)))


def _remote(body: object) -> GrainloopError:
    try:
        envelope = ErrorEnvelope.model_validate(body)
    except ValidationError:
        raise BadMessage("The service sent an error that cannot be read.", field="body") from None
    if envelope.code is ErrorCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(envelope.message, field=envelope.field, value=envelope.value)
    return RemoteError(envelope)
