"""Doubt checked by measuring: what an answer said of pixels, held against what was then measured there.

Every point that comes after an answer tests it. What follows for the share of wrong pixels is decided in
`model.estimate.share`; here are the checks of a section, which live as long as it is held, and the correction of an
answer by them. Proposals are made from the doubt as it was calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import disorientation_deg
from grainloop.model.estimate.share import Checked, Circumstances, lost_share
from grainloop.model.reconstruct import WRONG_DEG, Reconstructor
from grainloop.model.service.answer import Found
from grainloop.model.service.methods import share_correction
from grainloop.model.service.sections import Said, Section
from grainloop.protocols.values import PointBlock

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Given:
    """What an answer is made from.

    Attributes:
        section: that holds what was said before.
        method: that reconstructs.
        points: measured, in the map frame.
    """

    section: Section
    method: Reconstructor
    points: PointBlock


def corrected(given: Given, found: Found) -> Found:
    """What was found with P(wrong) corrected; the section remembers what is said, to be checked by the next points.

    Methods without weights, and phases that they have no correction for, keep their doubt.
    """
    section, points = given.section, given.points
    measured, carrying = (mask_of(section.shape, at) for at in (points, points.select(points.indexed)))
    section.checked = check(given, measured)
    section.said = Said(
        given.method.name, measured, found.posterior.p_wrong, found.posterior.orientation, found.phase_id
    )
    p_wrong = found.posterior.p_wrong.copy()
    for number in found.phases:
        correction = share_correction(given.method, section.phase(number).point_group)
        if correction is not None:
            own = found.phase_id == number
            lit = found.posterior.light_used and found.aligned.phase_id == number
            here = circumstances(section.checked, points, carrying, lit)
            p_wrong[own] = correction(p_wrong[own], carrying[own], here)
    return replace(found, posterior=replace(found.posterior, p_wrong=p_wrong))


def circumstances(checked: Checked, points: PointBlock, carrying: Mask, light_used: bool) -> Circumstances:
    """What a section has shown, from its points and the pixels (h, w) that carry an orientation."""
    lost = lost_share(points.position_px, points.indexed)
    return Circumstances(float(carrying.mean()), light_used, checked.surprise, lost)


def check(given: Given, measured: Mask) -> Checked:
    """All checks of a section so far; none where another method spoke last, or of other points."""
    section, said = given.section, given.section.said
    if said is None or said.method != given.method.name or (said.measured & ~measured).any():
        return Checked()
    points = given.points
    new = points.select(points.indexed & ~said.measured[tuple(points.position_px.T)])
    if not len(new) or not said.phase_id.any():
        return section.checked
    at = tuple(new.position_px.T)
    return section.checked.then(float(said.p_wrong[at].sum()), float(shown_wrong(section, said, new).sum()))


def shown_wrong(section: Section, said: Said, points: PointBlock) -> Mask:
    """(n,) whether the map said another phase than points show, or was off by more than 5°."""
    at = tuple(points.position_px.T)
    phase, orientation = said.phase_id[at], said.orientation[at]
    wrong = phase != points.phase_id
    for number in np.unique(points.phase_id):
        own = (points.phase_id == number) & ~wrong
        group = section.phase(int(number)).point_group
        wrong[own] = np.asarray(disorientation_deg(orientation[own], points.orientation[own], group)) > WRONG_DEG
    return wrong


def mask_of(shape: tuple[int, int], points: PointBlock) -> Mask:
    """(h, w) pixels of points."""
    mask = np.zeros(shape, np.bool_)
    mask[tuple(points.position_px.T)] = True
    return mask
