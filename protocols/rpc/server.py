"""The answering side of request and reply: frames and clock ticks in, actions out. No socket, no thread, no waiting.

The caller carries out the actions in order, hands every incoming message to `receive`, reports with `progress`, `reply`
and `fail`, and calls `tick` at `wake_at`. Junk never raises: it is answered by a typed error or ignored. What a request
means, and who works on it, is the caller's business.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grainloop.protocols.codec import validator
from grainloop.protocols.errors import (
    BadMessage,
    Busy,
    Cancelled,
    DeadlineExceeded,
    GrainloopError,
    NotPermitted,
    Unavailable,
)
from grainloop.protocols.frames import LIMITS, Frame, Limits
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, from_frames, salvage_id, to_frames
from grainloop.protocols.rpc.heartbeat import SERVER_HEARTBEAT, Heartbeat, Listening
from grainloop.protocols.rpc.rate import Buckets, Rate, Verdict
from grainloop.protocols.rpc.server_actions import RequestKey, SendTo, Serve, ServerAction, Withdraw
from grainloop.protocols.security.roles import LOCAL, Caller
from grainloop.protocols.values import Value

UNKNOWN_ID = "?"
"""Id of an error that answers a message without a readable id."""

MAX_SENTENCE = 2000
MAX_VALUE = 200


Permit = Callable[[str, Value], Caller]
"""`(user, request) -> caller`; `NotPermitted` where this user may not ask this, `Unavailable` where nobody can tell."""


def permit_all(_user: str, _request: Value) -> Caller:
    """The rule of a socket that only this machine can reach."""
    return LOCAL


@dataclass(slots=True)
class _Open:
    """A request: whose, until when, whether it was withdrawn, and whether its caller has had the last word already.

    `gone` says that it was withdrawn because the caller fell silent, and for nothing else.
    """

    who: object
    user: str
    request: Value
    deadline: float | None
    withdrawn: bool = False
    gone: bool = False
    answered: bool = False


@dataclass(slots=True)
class _Peer:
    """A connection with open requests, and who the socket says is at its other end."""

    user: str
    listening: Listening


@dataclass
class ServerCore:
    """All open requests of all peers of one service.

    Where the socket tells users, a caller is a user, else a peer: limits hold for all connections of a user together.

    Attributes:
        service: its name, as errors carry it.
        requests: closed union of what it accepts.
        clock: monotonic seconds.
        max_open: open requests that one caller may have.
        max_peers: peers that may have open requests at the same time.
        remember: how many closed requests are remembered, to ignore their duplicates.
        limits: of what is sent to it.
        rate: of messages of one caller.
        permit: who may ask what; asked again at every tick while a request is open.
    """

    service: str
    requests: Any
    clock: Callable[[], float]
    max_open: int = 16
    max_peers: int = 64
    heartbeat: Heartbeat = SERVER_HEARTBEAT
    remember: int = 1024
    limits: Limits = LIMITS
    rate: Rate = field(default_factory=Rate)
    permit: Permit = permit_all
    _open: dict[RequestKey, _Open] = field(default_factory=dict[RequestKey, _Open])
    _peers: dict[bytes, _Peer] = field(default_factory=dict[bytes, _Peer])
    # Oldest first; a plain dict would search for its first key past all those deleted before.
    _closed: OrderedDict[RequestKey, None] = field(default_factory=OrderedDict[RequestKey, None])

    def __post_init__(self) -> None:
        self._validate = validator(self.requests)
        self._buckets = Buckets(self.rate)

    def receive(self, peer: bytes, frames: Sequence[Frame], user: str = "") -> list[ServerAction]:
        """What one incoming message means.

        Args:
            peer: the connection that brought it.
            frames: the message.
            user: who sent it, as the socket has proven; `""` where it proves nothing.
        """
        now = self.clock()
        verdict = self._buckets.take(user or peer, now)
        if verdict is not Verdict.TAKE:
            return self._too_fast(peer, frames) if verdict is Verdict.REFUSE else []
        return [*self._heard(peer, user, now), *self._understand(peer, frames, user)]

    def _too_fast(self, peer: bytes, frames: Sequence[Frame]) -> list[ServerAction]:
        error = Busy(f"{self.service} takes at most {self.rate.per_s:g} messages per second from one caller.")
        return [self._refuse(RequestKey(peer, salvage_id(frames, self.limits) or UNKNOWN_ID), error)]

    def _heard(self, peer: bytes, user: str, now: float) -> list[ServerAction]:
        """Note a sign of life; of another user it is none: connections choose their names, and may take an old one."""
        known = self._peers.get(peer)
        if known is None:
            return []
        known.listening.heard(now)
        if known.user == user:
            return []
        known.user = user
        return self.lost(peer, "The caller is gone; another one has its connection.")

    def _understand(self, peer: bytes, frames: Sequence[Frame], user: str) -> list[ServerAction]:
        try:
            envelope = from_frames(frames, self.limits)
        except BadMessage as error:
            return [self._refuse(RequestKey(peer, salvage_id(frames, self.limits) or UNKNOWN_ID), error)]
        match envelope.kind:
            case EnvelopeKind.PING:
                return [SendTo(peer, to_frames(Envelope(EnvelopeKind.PONG, envelope.id)))]
            case EnvelopeKind.CANCEL:
                return self._withdraw(RequestKey(peer, envelope.id), Cancelled("The caller withdrew the request."))
            case EnvelopeKind.REQUEST:
                return self._request(RequestKey(peer, envelope.id), envelope, user)
            case _:
                return []

    def progress(self, key: RequestKey, message: Value) -> list[ServerAction]:
        """Report progress; nothing once nobody listens.

        Raises:
            TooLarge: the message is beyond the limits.
        """
        return [self._send(EnvelopeKind.PROGRESS, key, message)] if self.heard(key) else []

    def reply(self, key: RequestKey, message: Value) -> list[ServerAction]:
        """Answer and close the request.

        Raises:
            TooLarge: the message is beyond the limits; the request stays open, to be failed.
        """
        actions: list[ServerAction] = [self._send(EnvelopeKind.REPLY, key, message)] if self.heard(key) else []
        self._close(key)
        return actions

    def fail(self, key: RequestKey, error: GrainloopError, trace_id: str | None = None) -> list[ServerAction]:
        """Answer with an error and close the request."""
        actions: list[ServerAction] = [self._error(key, error, trace_id)] if self.heard(key) else []
        self._close(key)
        return actions

    def heard(self, key: RequestKey) -> bool:
        """Whether somebody still listens to what is sent for this request."""
        return key in self._open and not self._open[key].answered

    def lost(self, peer: bytes, sentence: str) -> list[ServerAction]:
        """The peer is gone: withdraw its requests, tell nobody."""
        actions: list[ServerAction] = []
        for key in [key for key in self._open if key.peer == peer and self.heard(key)]:
            self._open[key].answered = True
            actions += self._withdraw(key, Cancelled(sentence), gone=True)
        return actions

    def silence_s(self, key: RequestKey) -> float:
        """Seconds since the last sign of life of whoever asked; infinite once the request is closed."""
        known = self._peers.get(key.peer)
        return math.inf if known is None else known.listening.silence_s(self.clock())

    def tick(self) -> list[ServerAction]:
        """Deadlines passed, peers gone silent, and callers who may not ask any more what they asked."""
        now, actions = self.clock(), list[ServerAction]()
        for peer, known in list(self._peers.items()):
            known.listening.look(now)
            if known.listening.lost(now):
                actions += self.lost(peer, f"The caller has been silent for {self.heartbeat.silence_s:g} s.")
        for key, request in self._open.items():
            if not request.answered and (error := self._over(request, now)) is not None:
                actions += self._end(key, request, error)
        return actions

    def _over(self, request: _Open, now: float) -> GrainloopError | None:
        """Why the caller gets nothing more for this request."""
        if request.deadline is not None and now >= request.deadline:
            return DeadlineExceeded(f"{self.service} did not finish before the deadline.")
        try:
            self.permit(request.user, request.request)
        except NotPermitted as error:
            return error
        except Unavailable:
            return None  # nobody can tell now: work that was permitted goes on, and new requests are refused
        return None

    @property
    def wake_at(self) -> float | None:
        """When to call `tick`, or None while nothing is open."""
        if not self._open:
            return None
        deadlines = [r.deadline for r in self._open.values() if r.deadline is not None and not r.answered]
        # Every interval at the latest, so that `Listening` can tell the peer's silence from our own sleep.
        return min([self.clock() + self.heartbeat.interval_s, *deadlines])

    def _request(self, key: RequestKey, envelope: Envelope, user: str) -> list[ServerAction]:
        if key in self._open or key in self._closed:
            return []
        who = user or key.peer
        try:
            self._require_room(key.peer, who)
            request = self._validate(envelope.body)
            caller = self.permit(user, request)
        except GrainloopError as error:
            return [self._refuse(key, error)]
        now = self.clock()
        deadline = None if envelope.deadline_s is None else now + envelope.deadline_s
        self._open[key] = _Open(who, user, request, deadline)
        self._peers.setdefault(key.peer, _Peer(user, Listening(self.heartbeat, now)))
        return [Serve(key, request, envelope.deadline_s, caller)]

    def _require_room(self, peer: bytes, who: object) -> None:
        if sum(request.who == who for request in self._open.values()) >= self.max_open:
            raise Busy(f"{self.service} already works on {self.max_open} requests of this caller.")
        if peer not in self._peers and len(self._peers) >= self.max_peers:
            raise Busy(f"{self.service} already serves {self.max_peers} callers.")

    def _end(self, key: RequestKey, request: _Open, error: GrainloopError) -> list[ServerAction]:
        """The caller hears why, and no more."""
        request.answered = True
        return [self._error(key, error), *self._withdraw(key, error)]

    def _withdraw(self, key: RequestKey, reason: GrainloopError, *, gone: bool = False) -> list[ServerAction]:
        """Tell the worker, once, and again when a caller thought to be gone says so itself.

        The request stays open until the worker has let go of it.
        """
        request = self._open.get(key)
        if request is None or (request.withdrawn and (gone or not request.gone)):
            return []
        request.withdrawn, request.gone = True, gone
        return [Withdraw(key, reason, gone)]

    def _close(self, key: RequestKey) -> None:
        if self._open.pop(key, None) is None:
            return
        self._closed[key] = None
        if len(self._closed) > self.remember:
            self._closed.popitem(last=False)
        if not any(other.peer == key.peer for other in self._open):
            self._peers.pop(key.peer, None)

    def _refuse(self, key: RequestKey, error: GrainloopError) -> SendTo:
        return replace(self._error(key, error), refused=error)

    def _error(self, key: RequestKey, error: GrainloopError, trace_id: str | None = None) -> SendTo:
        full = error.envelope(self.service, trace_id)
        value = None if full.value is None else full.value[:MAX_VALUE]
        told = full.model_copy(update={"message": full.message[:MAX_SENTENCE], "value": value})
        return self._send(EnvelopeKind.ERROR, key, told)

    def _send(self, kind: EnvelopeKind, key: RequestKey, body: object) -> SendTo:
        return SendTo(key.peer, to_frames(Envelope(kind, key.id, body)))
