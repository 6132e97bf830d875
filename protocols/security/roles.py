"""Roles, and the table that says which one each kind of request needs. Who has which is told by the allow-list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from grainloop.protocols.errors import NotPermitted


class Role(StrEnum):
    """What a key may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    """Look: status, events, capabilities."""
    OPERATOR = "operator"
    """Also measure: start, pause, resume, stop and abort runs; scan, take PL, park; reconstruct."""
    OWNER = "owner"
    """Also store sessions outside the sessions folder of the controller."""


_RANK: Final = {role: rank for rank, role in enumerate(Role)}

LEAST_ROLE: Final[Mapping[str, Mapping[str, Role]]] = {
    "instrument": {
        # It parks an idle instrument, to prove that the driver answers.
        "check_health": Role.OPERATOR,
        "describe": Role.VIEWER,
        "light_request": Role.OPERATOR,
        "scan_request": Role.OPERATOR,
        "stored": Role.OPERATOR,
        "withdraw": Role.OPERATOR,
        "park": Role.OPERATOR,
    },
    "model": {
        "check_health": Role.VIEWER,
        "describe_model": Role.VIEWER,
        "open_section": Role.OPERATOR,
        "reconstruct_request": Role.OPERATOR,
        "close_section": Role.OPERATOR,
    },
    "controller": {
        "check_health": Role.VIEWER,
        "get_status": Role.VIEWER,
        "follow_run": Role.VIEWER,
        "get_snapshot": Role.VIEWER,
        "get_points": Role.VIEWER,
        "get_maps": Role.VIEWER,
        "run_request": Role.OPERATOR,
        "resume_request": Role.OPERATOR,
        "command": Role.OPERATOR,
    },
}
"""Service → kind of request → least role. What is not in the table needs an owner."""


@dataclass(frozen=True)
class Caller:
    """Who asks, as the socket proved it; never as a message says.

    Attributes:
        key: public key, `""` on a socket without keys.
        name: as the allow-list calls the key.
        role: what the key may do; None once it was taken from the list.
    """

    key: str
    name: str
    role: Role | None

    def at_least(self, role: Role) -> bool:
        """Whether this caller may do what `role` may."""
        return self.role is not None and _RANK[self.role] >= _RANK[role]


LOCAL: Final = Caller("", "this machine", Role.OWNER)
"""Whoever reaches a socket without keys, which only this machine can."""


def require_role(service: str, kind: str, caller: Caller) -> None:
    """Refuse what the table does not give to `caller`.

    Raises:
        NotPermitted: the role is not enough, or the key was revoked.
    """
    if caller.role is None:
        raise NotPermitted(
            f"{service} refuses {kind}: the key {caller.key} is not on its list of allowed keys.",
            field="kind",
            value=kind,
        )
    least = LEAST_ROLE.get(service, {}).get(kind, Role.OWNER)
    if not caller.at_least(least):
        raise NotPermitted(
            f"{service} refuses {kind}: it needs the role {least}, and {caller.name} is {caller.role}.",
            field="kind",
            value=kind,
        )
