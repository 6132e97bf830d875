"""Everything before the first scan point: capabilities, checks, session file, PL images, the section at the model.

Nothing is measured before the plan was checked and the session file exists. A model service that does not answer is no
obstacle, nor is a PL camera that fails; an instrument that does not answer is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.decide import Decider, Watch, groups_of
from grainloop.controller.journal import LightStored, Replayed, SoftwareTold, Started
from grainloop.controller.plans import Terms, check_model, check_terms
from grainloop.controller.record import Recording, recorded_beginning
from grainloop.controller.run.batches import Batches
from grainloop.controller.run.links import Asks, DecisionTime, ModelLink, describe_model
from grainloop.controller.run.replies import checked_light
from grainloop.controller.run.standing import Standing
from grainloop.protocols.aio import expect
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import ErrorCode, GrainloopError, OutOfLimits
from grainloop.protocols.messages import (
    Describe,
    Description,
    EventKind,
    Expected,
    LightRequest,
    LightTaken,
    OpenSection,
    Sync,
)
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.sentences import counted, one_line, printable
from grainloop.protocols.values import LightImages

_NOT_SYNCED = "Records are not synced to disk: they survive the death of any process, not a power failure."
_ASK_S = 30.0
_READY_S = 900.0
"""A fresh model service compiles before it is ready; one that is gone or frozen is noticed within seconds."""
_LIGHT_S = 600.0
_LIGHT_FACTOR = 20.0
_NO_LIGHT = frozenset({ErrorCode.DEVICE_FAILED, ErrorCode.BAD_MESSAGE})
"""Errors that mean that there are no PL images; the instrument may measure all the same."""


Begins = Callable[[Path, Decider, Sync], Recording]
"""What begins the recording of a run: `Recording.begin`, or `Recording.nowhere`."""


@dataclass(frozen=True)
class Prepared:
    """What a run works with.

    Attributes:
        decision_s: what a decision counts on the instrument clock.
    """

    decider: Decider
    link: ModelLink
    batches: Batches
    session: Recording
    drift: Watch
    decision_s: DecisionTime


async def prepare(
    plan: RunPlan,
    path: Path,
    instrument: Asks,
    model: Asks,
    standing: Standing,
    sync: Sync,
    answers: NDArray[np.uint8] | None = None,
    records: Begins = Recording.begin,
    decision_s: DecisionTime | None = None,
) -> Prepared:
    """Get ready to measure; `standing` gets ledger and session as soon as they exist, `answers` are for `Decider`.

    What a decision counts is as in the plan where no other `decision_s` is given.

    Raises:
        GrainloopError: no instrument, a plan outside its limits, no session file, no PL images.
    """
    described = expect(await instrument.request(Describe(), deadline_s=_ASK_S), Description, "instrument")
    terms = Terms(plan, described.capabilities).with_angles()
    check_terms(terms)
    terms = terms.with_decision_time() if decision_s is None else terms
    software = await _known_model(plan, model)
    decider = Decider(terms, uuid4().hex, answers)
    session = records(path, decider, sync)
    standing.record_in(session, decider.ledger)
    session.record(SoftwareTold(software=software))
    standing.say(EventKind.DESCRIBED, _about(terms.capabilities))
    _say_sync(standing, sync)
    light = await _take_light(decider, instrument, standing)
    link = ModelLink(model, _section(decider, light), plan.model_deadline_s)
    await _open_section(link, standing)
    batches = Batches(instrument, decider, session, standing, remembers=described.spools)
    watch, thinking_s = Watch(groups_of(terms.capabilities)), decision_s or _as_planned(terms)
    return Prepared(decider, link, batches, session, watch, thinking_s)


def _as_planned(terms: Terms) -> DecisionTime:
    return lambda _question: terms.plan.decision_s


async def take_up(path: Path, instrument: Asks, model: Asks, standing: Standing, sync: Sync) -> Prepared:
    """Get ready to go on with the run recorded beside `path`, whose controller died.

    What was out is sent again; an instrument that remembers it answers with what it has exposed. One that may have
    forgotten is not asked to expose it once more: what had not come is given up.

    Raises:
        GrainloopError: no instrument, another one, or a recording that cannot be gone on with.
    """
    described = expect(await instrument.request(Describe(), deadline_s=_ASK_S), Description, "instrument")
    _check_same(described.capabilities, recorded_beginning(path.parent).capabilities)
    recording, found = await _taken_up(path, sync)
    decider, standing.last = found.decider, found.last
    standing.record_in(recording, decider.ledger)
    points, out = len(decider.ledger.points), len(found.sent)
    goes_on = f"The run goes on with {counted(points, 'point')}"
    text = f"{goes_on}; {counted(out, 'batch was', 'batches were')} out. {recording.united}".rstrip()
    standing.say(EventKind.RESUMED, text, points=points, batches=out)
    _say_sync(standing, sync)
    light = None if found.light is None else found.light.light
    if not found.started and found.light is not None:  # it died between the two records
        _begin(decider, standing, found.light.seconds)
    elif not found.started:
        light = await _take_light(decider, instrument, standing)
    link = ModelLink(model, _section(decider, light), decider.terms.plan.model_deadline_s)
    await _open_section(link, standing)
    batches = Batches(instrument, decider, recording, standing, remembers=described.spools)
    for batch in found.sent.values():
        if described.spools:
            batches.send_again(batch)
        else:
            batches.give_up(batch)
    watch = Watch(groups_of(decider.terms.capabilities))
    return Prepared(decider, link, batches, recording, watch, _as_planned(decider.terms))


async def _taken_up(path: Path, sync: Sync) -> tuple[Recording, Replayed]:
    """See `Recording.take_up`; in a thread, for a long run is decided again for longer than callers bear silence."""
    work = asyncio.create_task(asyncio.to_thread(Recording.take_up, path, sync))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        if work.exception() is None:
            work.result()[0].close()
        raise


def _say_sync(standing: Standing, sync: Sync) -> None:
    if sync is Sync.NEVER:
        standing.say(EventKind.NOT_SYNCED, _NOT_SYNCED)


def _check_same(declared: Capabilities, before: Capabilities) -> None:
    """See that it is the instrument of the run.

    Raises:
        OutOfLimits: it is another one, or another section.
    """
    for name in ("name", "grid", "phases", "frame"):
        if getattr(declared, name) != getattr(before, name):
            message = f"The run was measured with another {name}: {getattr(before, name)}."
            raise OutOfLimits(message, field=name, value=getattr(declared, name))


async def _known_model(plan: RunPlan, model: Asks) -> dict[str, str]:
    """Check the plan against the model service, if that can be reached."""
    try:
        known = await describe_model(model, min(_ASK_S, plan.model_deadline_s))
    except GrainloopError as error:
        return {"model": f"unknown: {error}"}
    check_model(plan, known)
    weights = {f"weights for {group}": sha256 for group, sha256 in known.weights_sha256}
    return {"model": known.version} | weights


async def _take_light(decider: Decider, instrument: Asks, standing: Standing) -> LightImages | None:
    terms = decider.terms
    if (why := terms.why_no_light) is not None:
        _begin(decider, standing, 0.0)
        standing.say(EventKind.NO_LIGHT, why)
        return None
    request = LightRequest(section=terms.plan.section, angles_deg=terms.light_angles_deg)
    deadline_s = _LIGHT_S + _LIGHT_FACTOR * terms.light_s
    try:
        taken = expect(await instrument.request(request, deadline_s=deadline_s), LightTaken, "instrument")
        if (declared := terms.capabilities.light) is not None:
            checked_light(taken, request, declared, terms.name, deadline_s)
    except GrainloopError as error:
        if error.code not in _NO_LIGHT:
            raise
        _begin(decider, standing, terms.light_s)
        standing.say(EventKind.LIGHT_FAILED, f"{error} EBSD alone.")
        return None
    if standing.session is not None:
        standing.session.record(LightStored(light=taken.light, seconds=taken.seconds))
    _begin(decider, standing, taken.seconds)
    images = len(taken.light.images)
    text = f"{images} PL images in {taken.seconds:.1f} s."
    standing.say(EventKind.LIGHT_TAKEN, text, images=images, seconds=taken.seconds)
    return taken.light


def _begin(decider: Decider, standing: Standing, light_s: float) -> None:
    decider.begin(light_s)
    if standing.session is not None:
        standing.session.record(Started(light_s=light_s))


def _section(decider: Decider, light: LightImages | None) -> OpenSection:
    terms = decider.terms
    return OpenSection(
        section_key=decider.run,
        grid=terms.capabilities.grid,
        phases=terms.capabilities.phases,
        frame=terms.frame,
        light=light,
        expects=Expected(method=terms.plan.method, policy=terms.plan.policy, means=terms.means),
    )


async def _open_section(link: ModelLink, standing: Standing) -> None:
    try:
        opened = await link.open(_READY_S)
    except GrainloopError as error:
        standing.say(EventKind.MODEL_FAILED, f"{error} Space filling decides until the model answers.")
        return
    for note in opened.notes:
        standing.say(EventKind.MODEL_NOTE, one_line(note))


def _about(capabilities: Capabilities) -> str:
    height, width = capabilities.grid.shape_px
    phases = ", ".join(f"{printable(phase.name)} ({phase.point_group})" for phase in capabilities.phases)
    kind = "simulated instrument" if capabilities.simulated else "instrument"
    name = printable(capabilities.name)
    return f"{name}, a {kind}: {height} × {width} px of {capabilities.grid.step_um:g} µm, {phases}."
