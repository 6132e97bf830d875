"""The neighbouring section of a request: checked, turned into the map frame, cut to one phase; why it had no say."""

from __future__ import annotations

import numpy as np

from grainloop.model.crystal import to_map_frame
from grainloop.model.reconstruct import Posterior, PriorSection
from grainloop.model.reconstruct.prior import NOT_USED, NOTHING_MEASURED, known_or_identity
from grainloop.model.reconstruct.problem import check_orientations
from grainloop.model.service.sections import Section
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import PriorMap

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
    known = prior.phase_id > 0
    for number in np.unique(prior.phase_id[known]):
        section.phase(int(number), "The prior map shows", "prior.phase_id")
    check_orientations(prior.orientation[known], "The prior map holds", "prior.orientation")


def prior_section(section: Section, prior: PriorMap | None, phase_id: int) -> PriorSection | None:
    """What the prior map says of one phase, in the map frame; None where that is nothing."""
    known = None if prior is None else prior.phase_id == phase_id
    if prior is None or known is None or not known.any():
        return None
    orientation = to_map_frame(known_or_identity(prior.orientation, known), section.declared.frame)
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
