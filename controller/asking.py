"""What the controller needs of a connection to a service: one method, and a reply of the right kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from protocols.errors import BadMessage
from protocols.values import Value

T = TypeVar("T")


class Asks(Protocol):
    """A connection to a service, as `protocols.aio.Client` is one."""

    async def request(
        self, message: Value, *, deadline_s: float, on_progress: Callable[[Any], None] | None = None
    ) -> Any:
        """The reply to `message`; raises a `GrainloopError` when there is none."""
        ...


def expect(reply: Any, kind: type[T], service: str) -> T:
    """`reply`, if it is of this kind.

    Raises:
        BadMessage: it is something else.
    """
    if not isinstance(reply, kind):
        raise BadMessage(f"The {service} service answered with {type(reply).__name__} instead of {kind.__name__}.")
    return reply
