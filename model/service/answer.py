"""From a posterior to the message that answers: orientations back in the Euler frame, and what was left out is said."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import to_euler_frame
from grainloop.model.light import Alignment
from grainloop.model.reconstruct import Posterior, Reconstructor
from grainloop.model.reconstruct.problem import bound_of
from grainloop.model.service.methods import weights_sha256
from grainloop.model.service.prior import why_not_used
from grainloop.model.service.sections import Section
from grainloop.protocols.messages import LightDiagnostics, Proposals, Reconstruction, ReconstructRequest


@dataclass(frozen=True, eq=False)
class Aligned:
    """PL of a section for one reconstruction: usable or not, and why not."""

    phase_id: int
    alignment: Alignment | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Found:
    """What a reconstruction found.

    Attributes:
        posterior: of the whole section, in the map frame.
        phase_id: (h, w) uint8; 0 where nothing can be said.
        aligned: PL.
        out_of_time: the work time that the request allows is over.
    """

    posterior: Posterior
    phase_id: NDArray[np.uint8]
    aligned: Aligned
    out_of_time: bool

    @cached_property
    def phases(self) -> list[int]:
        """The phases that the map shows, that of most pixels first."""
        count = np.bincount(self.phase_id.ravel(), minlength=1)
        count[0] = 0
        return [int(n) for n in np.argsort(-count, kind="stable") if count[n]]

    @property
    def samples(self) -> int:
        """Posterior samples drawn."""
        return 0 if self.posterior.samples is None else len(self.posterior.samples)


def answer(
    section: Section,
    request: ReconstructRequest,
    method: Reconstructor,
    found: Found,
    proposed: Proposals | None,
    started: float,
) -> Reconstruction:
    """The message; `started` is what the performance counter showed when the work began."""
    posterior, frame = found.posterior, section.declared.frame
    denoised = posterior.denoised if request.want_denoised else None
    alignment = found.aligned.alignment if request.want_light else None
    return Reconstruction(
        section_key=request.section_key,
        method=method.name,
        orientation=to_euler_frame(posterior.orientation, frame).astype(np.float32),
        phase_id=found.phase_id,
        expected_error_deg=posterior.expected_error_deg,
        bound90_deg=bound_of(posterior),
        p_wrong=posterior.p_wrong,
        boundary=posterior.boundary,
        grain=posterior.grain,
        predicted_wrong=float(posterior.p_wrong.mean()),
        light=diagnostics(found.aligned, posterior.light_used),
        denoised=None if denoised is None else to_euler_frame(denoised, frame).astype(np.float32),
        light_features=None if alignment is None else alignment.registered,
        light_denoised=posterior.light if request.want_denoised else None,
        proposals=proposed,
        samples=found.samples,
        steps=request.steps if found.samples else None,
        weights_sha256=_weights(section, method, found),
        seconds=time.perf_counter() - started,
        degraded=(*posterior.degraded, *left_out(request, method.name, found)),
    )


def _weights(section: Section, method: Reconstructor, found: Found) -> str | None:
    return weights_sha256(method, section.phase(found.phases[0]).point_group) if found.phases else None


def left_out(request: ReconstructRequest, method: str, found: Found) -> tuple[str, ...]:
    """Sentences on what the request asks for and the answer does not hold."""
    unused = () if request.prior is None else why_not_used(request.prior, method, found.posterior, found.phases)
    if not found.phases:
        return unused
    notes: list[str] = []
    if found.samples < request.n_samples:
        notes.append(_why_fewer(request, method, found))
    if request.want_denoised and found.posterior.denoised is None:
        notes.append(f"The method '{method}' takes no noise out of the map.")
    return (*notes, *unused)


def _why_fewer(request: ReconstructRequest, method: str, found: Found) -> str:
    drawn = f"{found.samples} of {request.n_samples} posterior samples"
    if len(found.phases) > 1:
        return f"Posterior samples are drawn of sections of one phase only: {drawn}."
    if found.out_of_time:
        return f"The work time of {request.deadline_s:g} s is over: {drawn}."
    return f"The method '{method}' drew {drawn}."


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
