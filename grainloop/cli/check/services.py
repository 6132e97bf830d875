"""Checks of the three services: who listens at each endpoint, whether it speaks our protocol, and what it declares.

An idle instrument proves itself by parking, which does no harm; nothing else is asked to move.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from grainloop.cli.check.findings import Finding, State, bad, doubtful, good, judge
from grainloop.protocols.aio import Client, run
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.endpoints import host_of, is_loopback, is_near, port_of
from grainloop.protocols.errors import ErrorCode, GrainloopError
from grainloop.protocols.messages import (
    PROTOCOL_VERSION,
    CheckHealth,
    ControlReply,
    Describe,
    DescribeModel,
    Description,
    GetStatus,
    Health,
    InstrumentReply,
    ModelDescription,
    ModelReply,
    RunStatus,
)
from grainloop.protocols.rpc.heartbeat import Heartbeat
from grainloop.protocols.security import Credentials
from grainloop.protocols.version import grainloop_version

CONNECT_S = 1.0
ANSWER_S = 5.0
HEALTH_S = 60.0


@dataclass(frozen=True)
class Place:
    """Where a service should be.

    Attributes:
        service: its name.
        endpoint: where it is, or would listen.
        asked_for: it was named on the command line, so that nobody there is a fault.
        credentials: how to prove oneself to it, if it uses keys.
    """

    service: str
    endpoint: str
    asked_for: bool = False
    credentials: Credentials | None = None

    @property
    def what(self) -> str:
        """As rows name it."""
        return f"{self.service} service"


@dataclass(frozen=True)
class _Kind:
    replies: Any
    first: Any
    look: Callable[[Any], Iterator[Finding]]


def service(place: Place) -> Iterator[Finding]:
    """Everything about one service."""
    if not is_near(place.endpoint) and place.credentials is None:
        found = f"{place.endpoint} is on another machine and no keys are given, so nothing was sent"
        do = f"Give --key and --{place.service}-key: without keys anybody there could be it, and read along."
        yield bad(f"encryption to the {place.service}", found, do)
        return
    if place.credentials is not None:
        yield good(f"encryption to the {place.service}", f"on, as {place.credentials.own.name}")
    if _nobody_there(place.endpoint):
        yield _free(place)
        return
    yield from run(_asked(place))


def _nobody_there(endpoint: str) -> bool:
    """Whether the machine itself says that nobody listens; silence of another machine is told by asking."""
    host, port = host_of(endpoint), port_of(endpoint)
    if not (endpoint.startswith("tcp://") and port.isdigit()):
        return False
    with suppress(OSError), socket.create_connection((host, int(port)), CONNECT_S):
        return False
    return True


def _free(place: Place) -> Finding:
    start = f"Start it: grainloop serve {place.service}."
    if place.asked_for:
        return bad(place.what, f"nobody listens at {place.endpoint}", start)
    found = f"not running; {place.endpoint} is free for it"
    if not is_loopback(host_of(place.endpoint)):
        return good(place.what, found)
    with socket.socket() as probe:
        try:
            probe.bind((host_of(place.endpoint), int(port_of(place.endpoint))))
        except OSError as error:
            said = f"{place.endpoint} cannot be listened on: {error.strerror or error}"
            return bad(place.what, said, "Use another --endpoint.")
    return good(place.what, found)


async def _asked(place: Place) -> list[Finding]:
    kind, found = _KINDS[place.service], list[Finding]()
    heartbeat = Heartbeat(interval_s=ANSWER_S / 3, silence_s=ANSWER_S)
    try:
        async with Client(
            place.endpoint, kind.replies, service=place.service, heartbeat=heartbeat, credentials=place.credentials
        ) as client:
            reply = await client.request(kind.first, deadline_s=ANSWER_S)
            found.append(good(place.what, f"answers at {place.endpoint}, protocol version {PROTOCOL_VERSION}"))
            found += kind.look(reply)
        async with Client(place.endpoint, kind.replies, service=place.service, credentials=place.credentials) as client:
            found += await _health(place, client)
    except GrainloopError as error:
        found.append(bad(place.what, error.message, _advice(error.code, place)))
    return found


async def _health(place: Place, client: Client) -> list[Finding]:
    what = f"{place.service} health"
    try:
        health = await client.request(CheckHealth(), deadline_s=HEALTH_S)
    except GrainloopError as error:
        if error.code is ErrorCode.NOT_PERMITTED:
            return [good(what, "not asked for: the key may only look")]
        return [bad(what, error.message, f"Look into the log of the {place.service} service.")]
    if not isinstance(health, Health):
        return [bad(what, f"it answered with {type(health).__name__}", "Use the same grainloop on both sides.")]
    own = grainloop_version()
    said = f"grainloop {health.version}" + ("" if health.version == own else f", here {own}")
    return [
        judge(what, health.ok, health.detail, f"Look into the log of the {place.service} service."),
        judge(f"{place.service} version", health.version == own, said, "Use the same version.", State.WARN),
    ]


def _advice(code: ErrorCode, place: Place) -> str:
    match code:
        case ErrorCode.VERSION_MISMATCH:
            return "Install the same grainloop on both sides."
        case ErrorCode.UNKNOWN_KIND:
            return "Another service of grainloop listens there: look at the ports."
        case ErrorCode.NOT_PERMITTED:
            return "Check keys on both sides: grainloop keys list."
        case ErrorCode.UNAVAILABLE | ErrorCode.DEADLINE_EXCEEDED:
            return f"Another program may use {place.endpoint}, or the service hangs: look what listens there."
        case _:
            return f"Look into the log of the {place.service} service."


def _instrument(reply: Any) -> Iterator[Finding]:
    if not isinstance(reply, Description):
        yield bad("instrument service", f"it answered with {type(reply).__name__}", "Another service listens there.")
        return
    declared = reply.capabilities
    shapes = ", ".join(declared.shapes.accepted)
    height, width = declared.grid.shape_px
    kind = "simulated" if declared.simulated else "real"
    told = f"{declared.name} ({kind}): {height} × {width} px of {declared.grid.step_um:g} µm, scans {shapes}"
    yield good("capabilities", told)
    yield from _sensible(declared)
    spool = "on" if reply.spools else "off"
    needed = reply.spools or declared.simulated
    do = "Start the instrument service with --spool, or its death loses what was exposed."
    yield judge("spool of the instrument", needed, spool, do)
    dead_man = f"blanks the beam after {reply.dead_man_s:g} s of silence" if reply.dead_man_s else "off"
    do = "Start the instrument service with --dead-man 30, or a dead controller leaves the beam on."
    yield judge("dead-man timer", bool(reply.dead_man_s) or declared.simulated, dead_man, do, State.WARN)


def _sensible(declared: Capabilities) -> Iterator[Finding]:
    """What is legal and yet hardly meant."""
    if "points" not in declared.shapes.accepted:
        do = "Expect a full or coarse raster: this instrument takes no free points (docs/plan.md)."
        yield doubtful("shapes", f"only {', '.join(declared.shapes.accepted)}", do)
    if declared.dwell_range_s[0] == declared.dwell_range_s[1]:
        yield good("dwell", f"{declared.default_dwell_s:g} s and no other")
    if declared.timing.model_dump() == type(declared.timing)().model_dump():
        do = "Let the driver declare what scans cost (docs/drivers.md): times are planned with it."
        yield doubtful("timing", "all costs are declared as 0", do)
    yield from _phases(declared)
    if declared.light is None:
        yield doubtful("PL", "the instrument has no PL camera", "Expect to need more points: EBSD alone.")


def _phases(declared: Capabilities) -> Iterator[Finding]:
    from grainloop.cli.check.software import trained_groups
    from grainloop.model.crystal import LAUE_GROUP_NAMES, laue_group

    for phase in declared.phases:
        what = f"phase {phase.name}"
        try:
            group = laue_group(phase.point_group).name
        except ValueError:
            do = f"Let the driver declare one of {', '.join(LAUE_GROUP_NAMES)}."
            yield bad(what, f"the point group {phase.point_group} is unknown", do)
            continue
        trained = group in trained_groups()
        found = f"{group}, " + ("with trained weights" if trained else "without trained weights")
        yield judge(what, trained, found, "It is reconstructed by the classical method.", State.WARN)


def _model(reply: Any) -> Iterator[Finding]:
    if not isinstance(reply, ModelDescription):
        yield bad("model service", f"it answered with {type(reply).__name__}", "Another service listens there.")
        return
    weights = ", ".join(f"{group} {sha256[:12]}…" for group, sha256 in reply.weights_sha256) or "none"
    do = "Install grainloop again on the machine of the model: it has no trained weights."
    yield judge("weights of the model service", bool(reply.weights_sha256), weights, do, State.WARN)


def _controller(reply: Any) -> Iterator[Finding]:
    if not isinstance(reply, RunStatus):
        yield bad("controller service", f"it answered with {type(reply).__name__}", "Another service listens there.")
        return
    yield good("run", f"{reply.state}" + (f": {reply.last.text}" if reply.last is not None else ""))
    do = "Start the controller without --sync never: a power failure loses points that count."
    yield judge("journal of the controller", reply.sync == "always", f"sync {reply.sync}", do, State.WARN)


_KINDS = {
    "instrument": _Kind(InstrumentReply, Describe(), _instrument),
    "model": _Kind(ModelReply, DescribeModel(), _model),
    "controller": _Kind(ControlReply, GetStatus(), _controller),
}
