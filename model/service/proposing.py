"""From a posterior to the points asked for next: the scene that policies look at, and what is told with points."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from grainloop.model.acquire import (
    DEFAULT_POLICY,
    POLICIES,
    POLICY_FAULTS,
    Scene,
    fills_evenly,
    with_evidence,
)
from grainloop.model.acquire.shape_proposals import asks_for_shapes, shape_proposals
from grainloop.model.reconstruct import Posterior
from grainloop.model.reconstruct.problem import check_positions
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import ProposalRequest, Proposals
from grainloop.protocols.values import PointBlock


def policy_named(name: str | None) -> str:
    """The name of a policy that exists, by default the default one.

    Raises:
        BadInput: there is none of that name; the sentence tells why, where a package offers one that cannot be used.
    """
    asked = name or DEFAULT_POLICY
    if asked not in POLICIES:
        why = "".join(f" {fault}" for fault in POLICY_FAULTS if f"'{asked}'" in fault)
        sentence = f"There is no policy '{asked}'; known are {', '.join(POLICIES)}.{why}"
        raise BadInput(sentence, field="policy", value=asked)
    return asked


def scene_of(
    posterior: Posterior,
    points: PointBlock,
    request: ProposalRequest,
    laue_groups: Mapping[int, str],
    light: NDArray[np.float32] | None,
) -> Scene:
    """What the policies look at.

    Raises:
        BadInput: excluded or repeatable pixels off the grid.
    """
    shape = posterior.p_wrong.shape
    for pixels in (request.excluded_px, request.repeatable_px):
        if pixels is not None:
            check_positions(shape, pixels)
    failed = _mask(shape, points.position_px[~points.indexed]) & ~_mask(shape, points.position_px[points.indexed])
    return Scene(
        posterior,
        measured=_mask(shape, points.position_px),
        excluded=_mask(shape, request.excluded_px),
        exploration_share=request.exploration_share,
        not_indexed=failed,
        points=points,
        laue_groups=laue_groups,
        light=light,
        repeatable=None if request.repeatable_px is None else failed & _mask(shape, request.repeatable_px),
    )


def propose(scene: Scene, request: ProposalRequest, policy: str, seed: int) -> Proposals:
    """The points that a policy asks for next, or the shapes that pay most where the instrument can scan such.

    Points that a policy must not ask for are left out: packages may bring policies of their own.
    """
    if request.means is not None and asks_for_shapes(request.means):
        looks = not fills_evenly(POLICIES[policy])
        return shape_proposals(scene, request.means, request.count, request.budget_s, looks_at_posterior=looks)
    rng = np.random.default_rng((seed, int(scene.measured.sum())))
    return with_evidence(scene, allowed(scene, POLICIES[policy](scene, request.count, rng), request.count))


def allowed(scene: Scene, found: Proposals, count: int) -> Proposals:
    """The first `count` of the proposals that lie on free pixels of the grid, each pixel once."""
    position, shape = found.position_px, scene.measured.shape
    keep = np.flatnonzero(((position >= 0) & (position < shape)).all(axis=1))
    keep = keep[scene.free[tuple(position[keep].T)]]
    first = np.sort(np.unique(position[keep], axis=0, return_index=True)[1])
    keep = keep[first][:count]
    if len(keep) == len(position):
        return found
    return found.model_copy(
        update={"position_px": position[keep], "gain": found.gain[keep], "reason": found.reason[keep]}
    )


def _mask(shape: tuple[int, ...], position: NDArray[np.int32]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[tuple(position.T)] = True
    return mask
