"""One reconstruction of one section, from message to message: register PL, reconstruct each phase, propose points.

Plain numerical work for a worker thread: reports stages, looks at `cancelled` and the clock between them, touches no
socket. The message is put together in `answer`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import laue_group, to_map_frame
from grainloop.model.light import Alignment, LightFeatures, align, frame_note
from grainloop.model.reconstruct import (
    IsCancelled,
    Options,
    Posterior,
    Problem,
    Reconstructor,
    RegisteredLight,
    Report,
    SparsePoints,
)
from grainloop.model.reconstruct.problem import check_orientations, check_positions, checkpoint, nothing_known
from grainloop.model.service.answer import Aligned, Found, answer
from grainloop.model.service.checking import Given, corrected
from grainloop.model.service.deadline import Deadline, Watched
from grainloop.model.service.methods import default_method, methods
from grainloop.model.service.phases import compose, find_phases
from grainloop.model.service.prior import check_prior, prior_section
from grainloop.model.service.proposing import policy_named, propose, scene_of
from grainloop.model.service.sections import Section
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import Proposals, Reconstruction, ReconstructRequest
from grainloop.protocols.values import PointBlock

T = TypeVar("T")

SEARCH_AGAIN = 2
"""Times as many points as at the last search for the registration, from which it is searched for again."""
ALIGNED, MAPPED = 0.35, 0.9
"""Fractions of the work done after registration and after the map."""


@dataclass(frozen=True, eq=False)
class Work:
    """A request in hand: what it is about, and whom its methods answer to."""

    section: Section
    request: ReconstructRequest
    method: Reconstructor
    deadline: Deadline
    report: Report
    cancelled: IsCancelled


def reconstruct(
    section: Section,
    request: ReconstructRequest,
    report: Report,
    cancelled: IsCancelled,
    method: Reconstructor | None = None,
) -> Reconstruction:
    """Answer a request; the section remembers the alignment, and what was said to check it by the next points.

    Args:
        section: that the request is about.
        request: names a method of the service.
        report: told how far the work is.
        cancelled: whether the caller withdrew.
        method: reconstructs instead of the one that the request names.

    Raises:
        BadInput: an unknown method or policy, points off the grid or of an undeclared phase, a prior that does not fit.
        Cancelled: `cancelled` said so.
        DeadlineExceeded: the work time that the request allows was over before there was a map.
    """
    started, deadline = time.perf_counter(), Deadline(request.deadline_s)
    method = method or _named(methods(), request.method or default_method(), "method")
    policy = policy_named(None if request.propose is None else request.propose.policy)
    check_input(section, request)
    work = Work(section, request, method, deadline, report, cancelled)
    points = in_map_frame(request.points, section)
    found = find(work, points)
    checkpoint(report, cancelled, MAPPED, "proposals")
    proposed = _proposed(work, found, policy)
    return answer(section, request, method, corrected(Given(section, method, points), found), proposed, started)


def _proposed(work: Work, found: Found, policy: str) -> Proposals | None:
    section, request = work.section, work.request
    if request.propose is None:
        return None
    groups = {phase.phase_id: laue_group(phase.point_group).name for phase in section.declared.phases}
    alignment = found.aligned.alignment
    light = alignment.registered if alignment is not None and alignment.usable else None
    scene = scene_of(found.posterior, request.points, request.propose, groups, light)
    return propose(scene, request.propose, policy, request.seed)


def find(work: Work, points: PointBlock) -> Found:
    """The posterior of the whole section from points in the map frame.

    Raises:
        Cancelled: the caller withdrew.
        DeadlineExceeded: the work time was over before there was a map.
    """
    section, watched = work.section, Watched(work.deadline, work.report)
    checkpoint(watched, work.cancelled, 0.0, "registration")
    aligned = align_light(section, points, work.request.seed)
    checkpoint(watched, work.cancelled, ALIGNED, "phases")
    phases = find_phases(section.shape, points)
    numbers = [int(n) for n in np.unique(phases.phase_id) if n]
    parts: dict[int, Posterior] = {}
    for done, number in enumerate(numbers):
        problem = _problem(work, points, number, aligned)
        part = _solve(work, problem, done, len(numbers))
        parts[number] = _of_all_points(part, np.flatnonzero(points.phase_id == number))
    posterior = compose(phases, parts) if parts else nothing_known(section.shape)
    return Found(posterior, phases.phase_id, aligned, work.deadline.passed)


def _solve(work: Work, problem: Problem, done: int, parts: int) -> Posterior:
    """The posterior of one phase; samples are drawn only of a phase that has the section to itself."""
    watched = Watched(work.deadline, _report_part(work.report, done, parts))
    samples = work.request.n_samples if parts == 1 else 0
    request = work.request
    options = Options(samples, request.steps, request.seed, watched.out_of_time, denoised=request.want_denoised)
    return work.method(problem, options, watched, work.cancelled)


def _of_all_points(part: Posterior, own: NDArray[np.intp]) -> Posterior:
    """The posterior of a phase whose candidates refer to all points of the section, of which `own` (n,) were its."""
    if part.candidates is None:
        return part
    point = part.candidates.point
    every = np.where(point >= 0, own[point], -1).astype(np.int32)
    return replace(part, candidates=replace(part.candidates, point=every))


def check_input(section: Section, request: ReconstructRequest) -> None:
    """Refuse points and a prior map that do not belong to the section.

    Raises:
        BadInput: as `check_points` and `check_prior`.
    """
    check_points(section, request.points)
    if request.prior is not None:
        check_prior(section, request.prior)


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
    own = points.select(points.indexed & (points.phase_id == number))
    section.alignment = _register(section, section.features, own, seed)
    notes = (*section.notes, *section.alignment.notes)
    if section.alignment.usable and "C4" in section.features.names:
        frame = section.declared.frame.value
        here = section.alignment.warp
        notes += (frame_note(frame, section.features, here, own.position_px, own.orientation),)
    return Aligned(number, section.alignment, notes)


def _register(section: Section, features: LightFeatures, points: PointBlock, seed: int) -> Alignment:
    """Registration by points, from the one before and, whenever their number has doubled, from nothing as well.

    Few points can be explained as well by a warp that is wrong, and what starts from there stays there.
    """

    def start_from(start: Alignment | None) -> Alignment:
        step_um = section.declared.grid.step_um
        where, q = points.position_px, points.orientation
        return align(
            features, where, q, section.shape, pixel_um=section.pixel_um, step_um=step_um, start=start, seed=seed
        )

    before = section.alignment
    if before is not None and before.usable and len(points) < SEARCH_AGAIN * section.searched_with:
        return start_from(before)
    section.searched_with = len(points)
    found = [start_from(None)] + ([start_from(before)] if before is not None and before.usable else [])
    return max(found, key=lambda one: (one.usable, one.explained_variance))


def _problem(work: Work, points: PointBlock, number: int, aligned: Aligned) -> Problem:
    section, own = work.section, points.phase_id == number
    sparse = SparsePoints(points.position_px[own], points.orientation[own], points.indexed[own])
    light, missing = None, "PL takes part in another phase only."
    if number == aligned.phase_id or aligned.alignment is None:
        missing = " ".join(aligned.notes)
    found = aligned.alignment
    if number == aligned.phase_id and found is not None and found.usable:
        light = RegisteredLight(found.registered, found.sigma_of_channels(), found.residual_px)
    prior = prior_section(section, work.request.prior, number)
    return Problem(section.shape, section.phase(number).point_group, sparse, light, missing, prior)


def _report_part(report: Report, done: int, parts: int) -> Report:
    def inner(fraction: float, stage: str) -> None:
        report(ALIGNED + (MAPPED - ALIGNED) * (done + fraction) / parts, stage)

    return inner


def _named(known: dict[str, T], name: str, what: str) -> T:
    if name not in known:
        raise BadInput(f"There is no {what} '{name}'; known are {', '.join(known)}.", field=what, value=name)
    return known[name]
