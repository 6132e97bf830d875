"""Typed errors, and the one envelope in which an error crosses a process boundary.

Every error that a user can see is a `GrainloopError` whose message is one plain sentence naming the file, device,
service or field and the value. What is not of this kind is a bug. Nothing here knows about sockets.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from grainloop.protocols.sentences import one_line


class ErrorCode(StrEnum):
    """What went wrong, for programs. The message is for people."""

    BAD_MESSAGE = "bad_message"
    UNKNOWN_KIND = "unknown_kind"
    VERSION_MISMATCH = "version_mismatch"
    TOO_LARGE = "too_large"
    BUSY = "busy"
    NOT_PERMITTED = "not_permitted"
    OUT_OF_LIMITS = "out_of_limits"
    ILLEGAL_STATE = "illegal_state"
    BAD_INPUT = "bad_input"
    UNKNOWN_SECTION = "unknown_section"
    DEVICE_FAILED = "device_failed"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class ErrorEnvelope(BaseModel):
    """An error on the wire: never a traceback, always the service and, where there is one, the field and its value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: ErrorCode
    message: str
    service: str
    field: str | None = None
    value: str | None = None
    trace_id: str | None = None


class GrainloopError(Exception):
    """Base of all errors shown to a user; `str(error)` is the sentence shown."""

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str, *, field: str | None = None, value: object = None) -> None:
        self.message = one_line(message)  # drivers and files say what they like, in any encoding
        super().__init__(self.message)
        self.field = None if field is None else one_line(field)
        self.value = None if value is None else one_line(value)

    def envelope(self, service: str, trace_id: str | None = None) -> ErrorEnvelope:
        """The error as `service` sends it."""
        return ErrorEnvelope(
            code=self.code,
            message=self.message,
            service=service,
            field=self.field,
            value=self.value,
            trace_id=trace_id,
        )


class BadMessage(GrainloopError):
    """Bytes that are no message of this protocol."""

    code = ErrorCode.BAD_MESSAGE


class UnknownKind(BadMessage):
    """A message kind outside the closed union that this service accepts."""

    code = ErrorCode.UNKNOWN_KIND


class VersionMismatch(BadMessage):
    """A peer that speaks another version of the protocol."""

    code = ErrorCode.VERSION_MISMATCH


class TooLarge(BadMessage):
    """A message, array or nesting beyond the declared bounds."""

    code = ErrorCode.TOO_LARGE


class Busy(GrainloopError):
    """The service has as many open requests as it accepts."""

    code = ErrorCode.BUSY


class NotPermitted(GrainloopError):
    """Something that this side may not do, or not there."""

    code = ErrorCode.NOT_PERMITTED


class OutOfLimits(GrainloopError):
    """A request outside what the instrument, the plan or the budget allows."""

    code = ErrorCode.OUT_OF_LIMITS


class IllegalState(GrainloopError):
    """A move that the table of legal run states does not hold."""

    code = ErrorCode.ILLEGAL_STATE


class BadInput(GrainloopError):
    """A file, plan or array whose content cannot be used."""

    code = ErrorCode.BAD_INPUT


class UnknownSection(GrainloopError):
    """A section that the model service does not hold (it restarted, or needed the memory): open it again."""

    code = ErrorCode.UNKNOWN_SECTION


class DeviceFailed(GrainloopError):
    """The instrument could not do what it accepted to do."""

    code = ErrorCode.DEVICE_FAILED


class DeadlineExceeded(GrainloopError):
    """No answer within the time that the caller allowed."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Cancelled(GrainloopError):
    """The caller withdrew the request."""

    code = ErrorCode.CANCELLED


class Unavailable(GrainloopError):
    """A service that cannot be reached, or that went away."""

    code = ErrorCode.UNAVAILABLE


class NotInstalled(Unavailable):
    """A part of grainloop, or its data, that this installation lacks."""


class RemoteError(GrainloopError):
    """An error that the other side reported."""

    def __init__(self, envelope: ErrorEnvelope) -> None:
        super().__init__(envelope.message, field=envelope.field, value=envelope.value)
        self.code = envelope.code
        self.service = envelope.service
        self.trace_id = envelope.trace_id
