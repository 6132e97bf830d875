"""What services reply, looked at before it counts: ends of batches, PL images, maps and proposals.

A reply that cannot be true is refused in one sentence; what is done without it is the business of who asked. Scan
points are looked at one by one (`controller.ledger.refusals`); that a message is of its kind, the codec has seen to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from grainloop.controller.session import INFERRED_MAPS
from grainloop.protocols.capabilities import LightCapabilities
from grainloop.protocols.errors import BadMessage, DeviceFailed
from grainloop.protocols.hosting.limits import check_images
from grainloop.protocols.hosting.shape_limits import piece_faults
from grainloop.protocols.messages import (
    REASON_CODES,
    LightRequest,
    LightTaken,
    OpenSection,
    ProposalRequest,
    Proposals,
    Reconstruction,
    ReconstructRequest,
    ScanDone,
)
from grainloop.protocols.shapes import decode_pieces, parts

_ROUNDING: Final = 1e-3
"""What clocks, probabilities and norms may be beside what they can be."""
_MOST_DEG: Final = 180.0
_BRIGHTEST: Final = 2.0**32
"""No camera counts further."""
_LONGEST_S: Final = 1e9
Map = NDArray[Any]


def checked_done(done: ScanDone, came: int, asked: int, newest_s: float | None, patience_s: float) -> ScanDone:
    """See that the end of a batch can be one.

    Args:
        done: as told.
        came: points that came of the request.
        asked: points that it asked for.
        newest_s: time of the newest of them on the instrument clock, if there is one.
        patience_s: how long the batch was waited for at most.

    Raises:
        BadMessage: it counts other points, or its clock says what no clock can.
    """
    about, slack_s = f"The instrument ended batch {done.batch} with", _ROUNDING + 1e-9 * done.finished_s
    if done.points not in (came, asked):
        raise BadMessage(f"{about} {done.points} points; {came} came.", field="points", value=done.points)
    if done.finished_s < max(done.started_s, newest_s or 0.0) - slack_s:
        since = f"after it began at {done.started_s:g} s" + (
            f", its newest point at {newest_s:g} s" if newest_s else ""
        )
        raise BadMessage(f"{about} finished_s {done.finished_s:g}, {since}.", field="finished_s", value=done.finished_s)
    if newest_s is not None and done.finished_s > newest_s + patience_s + slack_s:
        late = f"{about} finished_s {done.finished_s:g}, long after its newest point at {newest_s:g} s."
        raise BadMessage(late, field="finished_s", value=done.finished_s)
    if done.idle_s > done.started_s + slack_s:
        idle = f"{about} idle_s {done.idle_s:g}, though its clock began {done.started_s:g} s before it."
        raise BadMessage(idle, field="idle_s", value=done.idle_s)
    return done


def checked_light(
    taken: LightTaken, request: LightRequest, declared: LightCapabilities, name: str, patience_s: float
) -> LightTaken:
    """See that PL images are those that were asked for.

    Args:
        taken: as told.
        request: that it answers.
        declared: the PL camera.
        name: of the instrument.
        patience_s: how long they were waited for at most.

    Raises:
        DeviceFailed: they are others, or hold what is no light.
    """
    light = taken.light
    told = (taken.section, light.kind, light.angles_deg, light.pixel_um)
    asked = (request.section, declared.kind, request.angles_deg, declared.pixel_um)
    for field, found, wanted in zip(("section", "kind", "angles_deg", "pixel_um"), told, asked, strict=True):
        if found != wanted:
            message = f"{name} took PL images with {field} {found}, where {wanted} was to be."
            raise DeviceFailed(message, field=field, value=found)
    check_images(light, declared, name)
    if (brightest := float(np.abs(light.images).max(initial=0.0))) > _BRIGHTEST:
        raise DeviceFailed(f"{name} took PL images with {brightest:g} counts.", field="images", value=brightest)
    if taken.seconds > patience_s:
        message = f"{name} took PL images for {taken.seconds:g} s, longer than they were waited for."
        raise DeviceFailed(message, field="seconds", value=taken.seconds)
    return taken


def checked_answer(answer: Reconstruction, question: ReconstructRequest, section: OpenSection) -> Reconstruction:
    """See that an answer can be one to this question.

    Raises:
        BadMessage: maps of another shape, numbers that are none or that cannot be, unknown phases, or proposals that
            nobody can measure; the sentence names the first.
    """
    faults = _faults(answer, question, section)
    if (fault := next(faults, None)) is not None:
        field, said = fault
        raise BadMessage(f"The model service answered with {said}.", field=field)
    return answer


Fault = tuple[str, str]
"""The field, and what is wrong with it."""


def _faults(answer: Reconstruction, question: ReconstructRequest, section: OpenSection) -> Iterator[Fault]:
    if answer.section_key != question.section_key:
        yield "section_key", f"section {answer.section_key!r} for {question.section_key!r}"
    if answer.seconds > _LONGEST_S:
        yield "seconds", f"{answer.seconds:g} seconds of work"
    if answer.samples > question.n_samples:
        yield "samples", f"{answer.samples} samples where {question.n_samples} were asked for"
    wrong_shapes = list(_shape_faults(answer, section))
    yield from wrong_shapes
    if not wrong_shapes:
        yield from _map_faults(answer, [phase.phase_id for phase in section.phases])
    yield from _light_faults(answer)
    if answer.proposals is not None:
        if question.propose is None:
            yield "proposals", "proposals that nobody asked for"
        else:
            yield from _proposal_faults(answer.proposals, question.propose, section.grid.shape_px)
            yield from _piece_faults(answer.proposals, question.propose, section.grid.shape_px)


def _shape_faults(answer: Reconstruction, section: OpenSection) -> Iterator[Fault]:
    """Maps of another shape than the grid: they would be stored and trusted."""
    wanted = section.grid.shape_px
    shapes = {name: getattr(answer, name).shape[:2] for name in INFERRED_MAPS}
    if answer.denoised is not None:
        shapes["denoised"] = answer.denoised.shape[:2]
    for name in ("light_features", "light_denoised"):
        if (stack := getattr(answer, name)) is not None:
            shapes[name] = stack.shape[1:]
    for name, shape in shapes.items():
        if shape != wanted:
            yield name, f"{name} of {shape} px for {wanted} px"


def _map_faults(answer: Reconstruction, phases: list[int]) -> Iterator[Fault]:
    """Maps of the right shape that hold what cannot be."""
    known = np.isin(answer.phase_id, [0, *phases])
    if not known.all():
        yield "phase_id", f"phase {answer.phase_id[~known][0]}, which the section does not have"
    if (answer.grain < 0).any():
        yield "grain", f"grain {answer.grain.min()}"
    for name in ("orientation", "denoised"):
        if (turns := getattr(answer, name)) is not None:
            yield from _turn_faults(name, turns)
    for name, most in (("expected_error_deg", _MOST_DEG), ("bound90_deg", _MOST_DEG), ("p_wrong", 1), ("boundary", 1)):
        yield from _range_faults(name, getattr(answer, name), most * (1 + _ROUNDING))


def _turn_faults(name: str, turns: Map) -> Iterator[Fault]:
    wrong = ~(np.abs(np.einsum("...i,...i", turns, turns, dtype=np.float64) - 1) < _ROUNDING)
    if wrong.any():
        yield name, f"{name} {turns[wrong][0]}, which is no unit quaternion"


def _range_faults(name: str, values: Map, most: float, *, unknown: bool = False) -> Iterator[Fault]:
    wrong = ~((values >= -_ROUNDING) & (values <= most))
    if unknown:
        wrong &= ~np.isnan(values)
    if wrong.any():
        yield name, f"{name} {values[wrong][0]}"


def _light_faults(answer: Reconstruction) -> Iterator[Fault]:
    """Where PL says nothing, its features are NaN, perhaps everywhere; they are never endless."""
    for name in ("light_features", "light_denoised"):
        stack = getattr(answer, name)
        if stack is not None and np.isinf(stack).any():
            yield name, f"{name} that hold infinity"


def _proposal_faults(told: Proposals, asked: ProposalRequest, shape_px: tuple[int, int]) -> Iterator[Fault]:
    count = len(told.position_px)
    yield from told.uneven()
    if told.pieces is None and count > asked.count:
        yield "position_px", f"{count} proposals where {asked.count} were asked for"
    yield from _place_faults(told, shape_px)
    unknown = told.reason >= len(REASON_CODES)
    if unknown.any():
        yield "reason", f"reason {told.reason[unknown][0]}, which is none"
    yield from _range_faults("gain", told.gain, float(np.prod(shape_px)))
    if told.p_wrong is not None:
        yield from _range_faults("p_wrong", told.p_wrong, 1 + _ROUNDING, unknown=True)
    if told.misorientation_deg is not None:
        yield from _range_faults("misorientation_deg", told.misorientation_deg, _MOST_DEG + _ROUNDING, unknown=True)


def _place_faults(told: Proposals, shape_px: tuple[int, int]) -> Iterator[Fault]:
    places, count = told.position_px, len(told.position_px)
    beside = ((places < 0) | (places >= np.array(shape_px))).any(axis=1)
    if beside.any():
        row, column = places[beside][0].tolist()
        yield "position_px", f"a proposal at row {row}, column {column}, outside the grid"
    elif told.pieces is None and len(np.unique(places[:, 0].astype(np.int64) * shape_px[1] + places[:, 1])) < count:
        yield "position_px", "a pixel proposed twice"


def _piece_faults(told: Proposals, asked: ProposalRequest, shape_px: tuple[int, int]) -> Iterator[Fault]:
    if told.pieces is None:
        return
    if asked.means is None:
        yield "pieces", "shapes where points were asked for"
        return
    count = len(told.position_px)
    try:
        pieces = decode_pieces(told.pieces, count)
    except ValueError as error:
        yield "pieces", f"pieces that are none ({error})"
        return
    if sum(piece.points for piece in pieces) != count or any(piece.points < 1 for piece in pieces):
        yield "pieces", f"pieces that do not make up its {count} proposals"
        return
    for piece, where in parts(pieces):
        for fault in piece_faults(piece, told.position_px[where], asked.means.shapes, shape_px):
            yield "pieces", f"a shape that cannot be scanned: {fault}"
            return
