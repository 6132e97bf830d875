"""Roles per kind of message: the table is complete, and over real sockets it is what decides."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import hypothesis
import pytest

from grainloop.protocols.aio import Call, Client, Service
from grainloop.protocols.errors import ErrorCode, RemoteError
from grainloop.protocols.messages import (
    CheckHealth,
    ControlReply,
    ControlRequest,
    Health,
    InstrumentRequest,
    ModelRequest,
)
from grainloop.protocols.rpc import Serve, ServerCore
from grainloop.protocols.rpc.envelope import Envelope, EnvelopeKind, to_frames
from grainloop.protocols.security import LEAST_ROLE, Caller, Role
from grainloop.protocols.security.roles import require_role
from grainloop.protocols.values import Value
from tests.patience import HANG_S
from tests.protocols.security.conftest import Lab
from tests.protocols.security.test_curve import serving
from tests.protocols.strategies import members, values

UNIONS: dict[str, Any] = {"instrument": InstrumentRequest, "model": ModelRequest, "controller": ControlRequest}
KINDS = [(service, kind) for service, union in UNIONS.items() for kind in members(union)]
RANK = list(Role)
HARMLESS = {"check_health", "describe", "describe_model", "get_status", "follow_run"} | {
    "get_snapshot",
    "get_points",
    "get_maps",
}


def word(kind: type[Value]) -> str:
    """The kind as it stands in a message."""
    return get_args(kind.model_fields["kind"].annotation)[0]


def example(kind: type[Value]) -> Value:
    """Any message of a kind; the first that comes, not the simplest."""
    first = hypothesis.settings(phases=[hypothesis.Phase.generate], database=None, derandomize=True)
    return hypothesis.find(values(kind), lambda _: True, settings=first)


def test_the_table_has_every_kind_and_no_other() -> None:
    told = {service: set(kinds) for service, kinds in LEAST_ROLE.items()}
    known = {service: {word(kind) for kind in members(union)} for service, union in UNIONS.items()}
    assert told == known, "a kind of message needs a line in protocols.security.roles.LEAST_ROLE"


def test_a_viewer_may_only_look() -> None:
    viewers = {kind for kinds in LEAST_ROLE.values() for kind, least in kinds.items() if least is Role.VIEWER}
    assert viewers <= HARMLESS


def test_what_is_not_in_the_table_needs_an_owner() -> None:
    require_role("instrument", "new_kind", Caller("k", "o", Role.OWNER))
    with pytest.raises(Exception, match="needs the role owner"):
        require_role("instrument", "new_kind", Caller("k", "o", Role.OPERATOR))


@pytest.mark.parametrize(("service", "kind"), KINDS, ids=[f"{service}-{word(kind)}" for service, kind in KINDS])
async def test_each_kind_is_served_to_those_with_the_role_and_refused_to_the_others(
    lab: Lab, service: str, kind: type[Value]
) -> None:
    """A viewer cannot scan, move, stop or abort; nothing of a refused message reaches the handler."""
    asked: list[str] = []

    async def handle(_request: Value, call: Call) -> Health:
        asked.append(call.caller.name)
        return Health(service=service, version="1", ok=True)

    message, least = example(kind), LEAST_ROLE[service][word(kind)]
    served = Service(service, UNIONS[service], {kind: handle})
    async with serving(lab.access, served) as endpoint:
        for role in Role:
            async with Client(endpoint, ControlReply, service=service, credentials=lab.credentials(role)) as client:
                if RANK.index(role) >= RANK.index(least):
                    assert (await client.request(message, deadline_s=HANG_S)).ok
                else:
                    with pytest.raises(RemoteError, match=f"needs the role {least}, and {role} is {role}") as caught:
                        await client.request(message, deadline_s=HANG_S)
                    assert caught.value.code is ErrorCode.NOT_PERMITTED
    assert asked == RANK[RANK.index(least) :]


async def test_who_asks_is_what_the_socket_proved_whatever_the_message_says(lab: Lab) -> None:
    """A field that claims a role is no field; the rest of the message is refused with it."""
    core = ServerCore("instrument", InstrumentRequest, lambda: 0.0, permit=partial_permit(lab))
    body = CheckHealth().model_dump() | {"user": "owner", "role": "owner"}
    frames = to_frames(Envelope(EnvelopeKind.REQUEST, "1", body))
    (answer,) = core.receive(b"peer", frames, lab.people["viewer"].public)
    assert not isinstance(answer, Serve)
    (served,) = core.receive(
        b"peer", to_frames(Envelope(EnvelopeKind.REQUEST, "2", CheckHealth())), lab.people["operator"].public
    )
    assert isinstance(served, Serve)
    assert served.caller == Caller(lab.people["operator"].public, "operator", Role.OPERATOR)


def partial_permit(lab: Lab) -> Any:
    access = lab.access
    return lambda user, request: access.permit("instrument", user, request)


async def test_a_revoked_key_is_refused_at_its_next_message_on_an_open_connection(lab: Lab) -> None:
    async def health(_request: CheckHealth, _call: Call) -> Health:
        return Health(service="controller", version="1", ok=True)

    served = Service("controller", ControlRequest, {CheckHealth: health})
    async with (
        serving(lab.access, served) as endpoint,
        Client(endpoint, ControlReply, service="controller", credentials=lab.credentials("viewer")) as client,
    ):
        assert (await client.request(CheckHealth(), deadline_s=HANG_S)).ok
        lab.revoke("viewer")
        with pytest.raises(RemoteError, match="not on its list of allowed keys"):
            await client.request(CheckHealth(), deadline_s=HANG_S)
        lab.folder.authorise(lab.people["viewer"].public, Role.VIEWER, "viewer")
        assert (await client.request(CheckHealth(), deadline_s=HANG_S)).ok


async def test_work_for_a_revoked_key_is_withdrawn(lab: Lab) -> None:
    begun, withdrawn = asyncio.Event(), asyncio.Event()

    async def work(_request: CheckHealth, call: Call) -> Health:
        begun.set()
        await asyncio.to_thread(call.cancelled.wait, HANG_S)
        withdrawn.set()
        return Health(service="controller", version="1", ok=True)

    served = Service("controller", ControlRequest, {CheckHealth: work})
    async with (
        serving(lab.access, served) as endpoint,
        Client(endpoint, ControlReply, service="controller", credentials=lab.credentials("operator")) as client,
    ):
        asking = asyncio.create_task(client.request(CheckHealth(), deadline_s=HANG_S))
        await begun.wait()
        lab.revoke("operator")
        with pytest.raises(RemoteError, match="not on its list of allowed keys"):
            await asking
        await withdrawn.wait()
