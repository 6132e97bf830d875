"""What every service answers, and the types of field that all messages share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grainloop.protocols.values import Value

PROTOCOL_VERSION = 5
"""Raised whenever a message changes its meaning or its fields."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class CheckHealth(Value):
    """Ask a service to prove with a tiny real piece of work that it can serve."""

    kind: Literal["check_health"] = "check_health"


class Health(Value):
    """The proof: `ok` means that the work succeeded, not that the process exists."""

    kind: Literal["health"] = "health"
    service: Name
    version: Name
    ok: bool
    detail: str = ""
