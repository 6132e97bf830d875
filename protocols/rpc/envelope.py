"""The envelope around every message: protocol version, kind, request id, deadline, body.

A request is answered by any number of progress messages and then by exactly one reply or one error. Either side may
ping; the other answers with a pong of the same id. Deadlines travel as seconds left, so that no two clocks are
compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from grainloop.protocols.codec import require_version
from grainloop.protocols.errors import BadMessage
from grainloop.protocols.frames import LIMITS, Frame, Limits, pack, peek, unpack
from grainloop.protocols.messages import PROTOCOL_VERSION
from grainloop.protocols.sentences import short

MAX_ID_LENGTH = 64
_FIELDS = frozenset({"version", "kind", "id", "deadline_s", "body"})


class EnvelopeKind(StrEnum):
    """What an envelope is for."""

    REQUEST = "request"
    PROGRESS = "progress"
    REPLY = "reply"
    ERROR = "error"
    CANCEL = "cancel"
    PING = "ping"
    PONG = "pong"


_KINDS = {kind.value: kind for kind in EnvelopeKind}


@dataclass(frozen=True, slots=True)
class Envelope:
    """One envelope; `body` is a message on the way out and a plain, unvalidated tree on the way in."""

    kind: EnvelopeKind
    id: str
    body: Any = None
    deadline_s: float | None = None


def to_frames(envelope: Envelope) -> list[Frame]:
    """`envelope` as frames.

    Raises:
        TooLarge: the body is beyond the limits.
    """
    return pack(
        {
            "version": PROTOCOL_VERSION,
            "kind": envelope.kind,
            "id": envelope.id,
            "deadline_s": envelope.deadline_s,
            "body": envelope.body,
        }
    )


def from_frames(frames: Sequence[Frame], limits: Limits = LIMITS) -> Envelope:
    """The envelope in `frames`; its body is still to be validated.

    Raises:
        BadMessage: no envelope (`VersionMismatch`, `TooLarge` among them).
    """
    header = unpack(frames, limits)
    require_version(header)
    if header.keys() != _FIELDS:
        raise BadMessage(f"A header with the fields {short(sorted(map(str, header)))}.", field="header")
    return Envelope(_kind(header["kind"]), _id(header["id"]), header["body"], _deadline(header["deadline_s"]))


def salvage_id(frames: Sequence[Frame], limits: Limits = LIMITS) -> str:
    """The request id of a message that cannot be read otherwise, or `""`; so that its sender learns what failed."""
    found = peek(frames, limits).get("id")
    return found if isinstance(found, str) and len(found) <= MAX_ID_LENGTH else ""


def _kind(value: object) -> EnvelopeKind:
    if isinstance(value, str) and value in _KINDS:
        return _KINDS[value]
    raise BadMessage(f"{short(value)} is not a kind of envelope.", field="kind", value=short(value))


def _id(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH:
        return value
    raise BadMessage(f"{short(value)} is not a request id.", field="id", value=short(value))


def _deadline(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise BadMessage(f"deadline_s should be seconds left, got {short(value)}.", field="deadline_s", value=short(value))
