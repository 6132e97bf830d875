"""Why a point is asked for, in figures that an operator can check: what every policy's points are told with.

Which kind of reason a point has is the policy's to say, but a pixel that was measured before is always a repeat.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.acquire.lookahead import predicted_gain
from grainloop.model.acquire.rivals import Rivals
from grainloop.model.acquire.scene import Scene, code_of
from grainloop.model.crystal import disorientation_deg
from grainloop.protocols.messages import ProposalReason, Proposals

IN_THE_RUNNING = 0.05
"""Probability from which a grain competes for a pixel."""


def with_evidence(scene: Scene, found: Proposals) -> Proposals:
    """The proposals with their predicted gain, how many known grains compete for the pixel, and how far these differ.

    The order stays as it is. Where the posterior does not say which grains compete, the policy's own gain stays.
    """
    where = tuple(found.position_px.T)
    gain, rivals = predicted_gain(scene, found.position_px.astype(np.intp)), scene.rivals
    again = scene.measured[where]
    reason = np.where(again, code_of(ProposalReason.RETRY), found.reason).astype(np.uint8)
    told = {"reason": reason, "p_wrong": scene.posterior.p_wrong[where].astype(np.float32)}
    if gain is not None and rivals is not None:
        count, angle = competition(scene, rivals, where)
        told |= {"gain": gain.astype(np.float32), "competing": count, "misorientation_deg": angle}
    return found.model_copy(update=told)


def competition(
    scene: Scene, rivals: Rivals, where: tuple[NDArray[np.integer], ...]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(n,) how many measured grains compete for pixels, and (n,) the angle between the two likeliest; NaN for one."""
    assert scene.points is not None  # noqa: S101  # there are no rivals without points
    weight, point = rivals.weight[where], rivals.point[where]
    count = (weight >= IN_THE_RUNNING).sum(axis=-1).astype(np.uint8)
    angle = np.full(len(weight), np.nan, np.float32)
    if weight.shape[-1] > 1:
        likeliest = np.take_along_axis(point, np.argsort(-weight, axis=-1, kind="stable")[:, :2], axis=-1)
        for number, group in scene.laue_groups.items():
            phase = scene.points.phase_id[likeliest]
            own = (count > 1) & (phase == number).all(axis=1)
            pair = scene.points.orientation[likeliest[own]]
            angle[own] = disorientation_deg(pair[:, 0], pair[:, 1], group)
    return count, angle
