"""One reconstruction of one section, from message to message: register PL, reconstruct each phase, propose points.

Plain numerical work for a worker thread: reports stages, looks at `cancelled` between them, touches no socket.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.acquire import DEFAULT_POLICY, POLICIES, Scene
from model.crystal import laue_group, to_euler_frame, to_map_frame
from model.light import Alignment, align, frame_note
from model.reconstruct import (
    IsCancelled,
    Options,
    Posterior,
    Problem,
    RegisteredLight,
    Report,
    SparsePoints,
)
from model.reconstruct.problem import check_orientations, check_positions, checkpoint, nothing_known
from model.service.methods import DEFAULT_METHOD, METHODS
from model.service.phases import PhaseMap, compose, find_phases
from model.service.sections import Section
from protocols.errors import BadInput
from protocols.messages import (
    LightDiagnostics,
    ProposalRequest,
    Proposals,
    Reconstruction,
    ReconstructRequest,
)
from protocols.values import PointBlock

T = TypeVar("T")

ALIGNED, MAPPED = 0.35, 0.9
"""Fractions of the work done after registration and after the map."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """PL of a section for one reconstruction: usable or not, and why not."""

    phase_id: int
    alignment: Alignment | None
    notes: tuple[str, ...]


def reconstruct(
    section: Section, request: ReconstructRequest, report: Report, cancelled: IsCancelled
) -> Reconstruction:
    """Answer a request; the section remembers the alignment.

    Raises:
        BadInput: an unknown method or policy, points off the grid or of an undeclared phase.
        Cancelled: `cancelled` said so.
    """
    started = time.perf_counter()
    method, policy = _named(METHODS, request.method or DEFAULT_METHOD, "method"), _policy(request)
    check_points(section, request.points)
    points = in_map_frame(request.points, section)
    checkpoint(report, cancelled, 0.0, "registration")
    aligned = align_light(section, points, request.seed)
    checkpoint(report, cancelled, ALIGNED, "phases")
    phases = find_phases(section.shape, points)
    options = Options(request.n_samples, request.steps, request.seed)
    parts: dict[int, Posterior] = {}
    numbers = [int(n) for n in np.unique(phases.phase_id) if n]
    for done, number in enumerate(numbers):
        part = _report_part(report, done, len(numbers))
        parts[number] = method(_problem(section, points, number, aligned), options, part, cancelled)
    posterior = compose(phases, parts) if parts else nothing_known(section.shape)
    checkpoint(report, cancelled, MAPPED, "proposals")
    proposed = None if request.propose is None else propose(posterior, points, request.propose, policy, request.seed)
    return _message(section, request, method.name, phases, posterior, aligned, proposed, started)


def check_points(section: Section, points: PointBlock) -> None:
    """Refuse points that do not belong to the section.

    Raises:
        BadInput: pixels off the grid, quaternions that are no rotations, phases that were not declared.
    """
    check_positions(section.shape, points.position_px)
    check_orientations(points.orientation[points.indexed])
    for number in np.unique(points.phase_id[points.indexed]):
        section.phase(int(number))


def in_map_frame(points: PointBlock, section: Section) -> PointBlock:
    """The points with orientations in the map frame, where PL can be predicted from them."""
    turned = to_map_frame(points.orientation, section.declared.frame)
    return points.model_copy(update={"orientation": turned})


def align_light(section: Section, points: PointBlock, seed: int) -> Aligned:
    """Register PL by the points of the phase with a unique c-axis that has most of them."""
    uniaxial = [p.phase_id for p in section.declared.phases if laue_group(p.point_group).uniaxial_fold > 0]
    if section.features is None or not uniaxial:
        return Aligned(0, None, section.notes)
    number = max(uniaxial, key=lambda n: int(np.sum(points.indexed & (points.phase_id == n))))
    own = points.indexed & (points.phase_id == number)
    section.alignment = align(
        section.features,
        points.position_px[own],
        points.orientation[own],
        section.shape,
        pixel_um=section.pixel_um,
        step_um=section.declared.grid.step_um,
        start=section.alignment,
        seed=seed,
    )
    notes = (*section.notes, *section.alignment.notes)
    if section.alignment.usable and "C4" in section.features.names:
        frame = section.declared.frame.value
        here = section.alignment.warp
        notes += (frame_note(frame, section.features, here, points.position_px[own], points.orientation[own]),)
    return Aligned(number, section.alignment, notes)


def _problem(section: Section, points: PointBlock, number: int, aligned: Aligned) -> Problem:
    own = points.phase_id == number
    sparse = SparsePoints(points.position_px[own], points.orientation[own], points.indexed[own])
    light, missing = None, "PL takes part in another phase only."
    if number == aligned.phase_id or aligned.alignment is None:
        missing = " ".join(aligned.notes)
    found = aligned.alignment
    if number == aligned.phase_id and found is not None and found.usable:
        light = RegisteredLight(found.registered, found.sigma_of_channels(), found.residual_px)
    return Problem(section.shape, section.phase(number).point_group, sparse, light, missing)


def _report_part(report: Report, done: int, parts: int) -> Report:
    def inner(fraction: float, stage: str) -> None:
        report(ALIGNED + (MAPPED - ALIGNED) * (done + fraction) / parts, stage)

    return inner


def propose(posterior: Posterior, points: PointBlock, request: ProposalRequest, policy: str, seed: int) -> Proposals:
    """The points that a policy asks for next.

    Raises:
        BadInput: excluded pixels off the grid.
    """
    shape = posterior.p_wrong.shape
    check_positions(shape, request.excluded_px)
    scene = Scene(
        posterior,
        measured=_mask(shape, points.position_px),
        excluded=_mask(shape, request.excluded_px),
        exploration_share=request.exploration_share,
        not_indexed=_mask(shape, points.position_px[~points.indexed]),
    )
    return POLICIES[policy](scene, request.count, np.random.default_rng((seed, len(points))))


def _mask(shape: tuple[int, ...], position: NDArray[np.int32]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[tuple(position.T)] = True
    return mask


def _policy(request: ReconstructRequest) -> str:
    asked = None if request.propose is None else request.propose.policy
    return _named(POLICIES, asked or DEFAULT_POLICY, "policy").name


def _named(known: dict[str, T], name: str, what: str) -> T:
    if name not in known:
        raise BadInput(f"There is no {what} '{name}'; known are {', '.join(known)}.", field=what, value=name)
    return known[name]


def diagnostics(aligned: Aligned, used: bool) -> LightDiagnostics:
    """What became of PL."""
    found = aligned.alignment
    if found is None:
        return LightDiagnostics(used=used, notes=aligned.notes)
    return LightDiagnostics(
        used=used,
        explained_variance=found.explained_variance,
        distrusted_share=found.distrusted_share,
        registration_residual_px=found.residual_px if np.isfinite(found.residual_px) else None,
        registration_px=found.moved_px,
        notes=aligned.notes,
    )


def _message(
    section: Section,
    request: ReconstructRequest,
    method: str,
    phases: PhaseMap,
    posterior: Posterior,
    aligned: Aligned,
    proposed: Proposals | None,
    started: float,
) -> Reconstruction:
    frame = section.declared.frame
    features = aligned.alignment.registered if request.want_light and aligned.alignment is not None else None
    return Reconstruction(
        section_key=request.section_key,
        method=method,
        orientation=to_euler_frame(posterior.orientation, frame).astype(np.float32),
        phase_id=phases.phase_id,
        expected_error_deg=posterior.expected_error_deg,
        p_wrong=posterior.p_wrong,
        boundary=posterior.boundary,
        grain=posterior.grain,
        predicted_wrong=float(posterior.p_wrong.mean()),
        light=diagnostics(aligned, posterior.light_used),
        light_features=features,
        proposals=proposed,
        seconds=time.perf_counter() - started,
        degraded=posterior.degraded,
    )
