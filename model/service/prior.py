"""The neighbouring section of a request: checked, turned into the map frame, cut to one phase; why it had no say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.crystal import to_map_frame
from model.reconstruct import Posterior, PriorSection
from model.reconstruct.prior import NOT_USED, NOTHING_MEASURED
from model.reconstruct.problem import UNIT_TOLERANCE
from model.service.sections import Section
from protocols.errors import BadInput
from protocols.messages import PriorMap

SAYS_NOTHING = "The prior map is not used: none of its pixels has a phase."
OTHER_PHASES = "The prior map is not used: it shows none of the phases that are measured here."


def check_prior(section: Section, prior: PriorMap) -> None:
    """Refuse a prior map that does not belong to the section.

    Raises:
        BadInput: another shape than the grid, quaternions that are no rotations, phases that were not declared.
    """
    if (have := prior.phase_id.shape) != section.shape:
        grid = section.shape
        sentence = f"The prior map has {have[0]}×{have[1]} pixels, the grid {grid[0]}×{grid[1]}."
        raise BadInput(sentence, field="prior", value=have)
    _check_phases(section, prior.phase_id)
    _check_rotations(prior.orientation[prior.phase_id > 0])


def _check_phases(section: Section, phase_id: NDArray[np.uint8]) -> None:
    declared = {phase.phase_id for phase in section.declared.phases}
    for number in np.unique(phase_id[phase_id > 0]).tolist():
        if number not in declared:
            key = section.declared.section_key
            sentence = f"The prior map shows phase {number}, which section '{key}' does not declare."
            raise BadInput(sentence, field="prior.phase_id", value=number)


def _check_rotations(orientation: NDArray[np.float32]) -> None:
    norm = np.linalg.norm(orientation.astype(np.float64), axis=-1)
    faulty = ~(np.abs(norm - 1) < UNIT_TOLERANCE)
    if faulty.any():
        length = f"{norm[faulty.argmax()]:.4g}"
        sentence = f"The prior map holds a quaternion of norm {length}, not 1."
        raise BadInput(sentence, field="prior.orientation", value=length)


def prior_section(section: Section, prior: PriorMap | None, phase_id: int) -> PriorSection | None:
    """What the prior map says of one phase, in the map frame; None where that is nothing."""
    known = None if prior is None else prior.phase_id == phase_id
    if prior is None or known is None or not known.any():
        return None
    identity = np.array([1, 0, 0, 0], np.float32)  # what is not known may hold anything, NaN included
    orientation = to_map_frame(np.where(known[..., None], prior.orientation, identity), section.declared.frame)
    spacing_px = prior.spacing_um / section.declared.grid.step_um
    return PriorSection(orientation.astype(np.float32), known, spacing_px)


def why_not_used(prior: PriorMap, method: str, found: Posterior, phases: list[int]) -> tuple[str, ...]:
    """A sentence on why the prior map took no part, unless it did or the method `found` a reason of its own.

    Args:
        prior: that was given.
        method: name of the method.
        found: what it made of the problem.
        phases: that the map shows; none where nothing is indexed.
    """
    if found.prior_used or any(note.startswith(NOT_USED) for note in found.degraded):
        return ()
    if not prior.phase_id.any():
        return (SAYS_NOTHING,)
    if not phases:
        return (NOTHING_MEASURED,)
    if not np.isin(prior.phase_id, phases).any():
        return (OTHER_PHASES,)
    return (f"{NOT_USED} the method '{method}' does not look at it.",)
