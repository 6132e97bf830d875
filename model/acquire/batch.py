"""Batches that are diverse by construction: greedy picks, each discounting what it explains, and an exploration share.

Policies differ in what they value and in how far a point explains what is around it; both come in as maps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.acquire.filling import fill
from grainloop.model.acquire.scene import Scene, code_of, proposals
from grainloop.model.reconstruct import Posterior
from grainloop.protocols.messages import ProposalReason, Proposals

Windows = NDArray[np.float32]
"""(h, w, 2 r + 1, 2 r + 1) share of the value around each pixel that measuring it explains."""
MOSTLY = 0.5
KEEP_OFF_PX = 1
"""No pick comes as near as this to another one of its batch while others are left."""


def even(window: NDArray[np.float32], shape: tuple[int, ...]) -> Windows:
    """One window for all pixels of a map."""
    return np.broadcast_to(window, (*shape[:2], *window.shape))


def make_batch(
    policy: str, scene: Scene, count: int, rng: np.random.Generator, value: NDArray[np.float32], windows: Windows
) -> Proposals:
    """At most `count` points, best first: greedy picks on a map of values, and a share that fills the largest gaps."""
    from grainloop.model.acquire import _greedy_kernels as kernels

    explored = _explored(scene, count, rng)
    explored_gain = kernels.in_order(value.copy(), windows[tuple(explored.T)], scene.chance, explored)
    picked, picked_gain = greedy_picks(value, scene.free, windows, scene.chance, count - len(explored), explored)
    position, gain = np.concatenate([explored, picked]), np.concatenate([explored_gain, picked_gain])
    exploring = np.full(len(explored), code_of(ProposalReason.EXPLORATION))
    reason = np.concatenate([exploring, reasons(scene.posterior, picked)])
    order = np.argsort(-gain, kind="stable")
    return proposals(policy, position[order], gain[order], reason[order])


def _explored(scene: Scene, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(n, 2) new pixels in the middle of the largest gaps; how many is drawn, so that small batches explore too."""
    share = scene.exploration_share
    exploring = int(rng.binomial(count, share)) if 0 < share < 1 else count * int(share >= 1)
    return fill(scene.measured, scene.free & ~scene.measured, exploring, rng)[0]


def greedy_picks(
    value: NDArray[np.float32],
    free: NDArray[np.bool_],
    windows: Windows,
    chance: NDArray[np.float32],
    count: int,
    before: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """(n, 2) pixels of `free` of highest gain, each after the value around those before it was explained; their gains.

    `before` (m, 2) are pixels already chosen. Neighbours of chosen pixels come only when nothing else is left.
    """
    from grainloop.model.acquire import _greedy_kernels as kernels

    left, open_px = value.astype(np.float32), free.copy()
    apart = open_px.copy()
    for r, c in before:
        kernels.discount(left, windows[r, c], int(r), int(c))
        open_px[r, c] = False
        apart[max(r - KEEP_OFF_PX, 0) : r + KEEP_OFF_PX + 1, max(c - KEEP_OFF_PX, 0) : c + KEEP_OFF_PX + 1] = False
    first, gain = kernels.pick(left, windows, chance, apart, count, KEEP_OFF_PX)
    open_px[tuple(first.T)] = False
    second, more = kernels.pick(left, windows, chance, open_px, count - len(first), 0)
    return np.concatenate([first, second]).astype(np.intp), np.concatenate([gain, more])


def reasons(posterior: Posterior, position: NDArray[np.intp]) -> NDArray[np.int64]:
    """(n,) reason codes: what makes the pixel itself uncertain."""
    where = tuple(position.T)
    code = np.full(len(position), code_of(ProposalReason.UNCERTAIN))
    if posterior.candidates is None:
        return code
    wrong, never_hit = posterior.p_wrong[where], posterior.candidates.free[where]
    code[posterior.boundary[where] > MOSTLY] = code_of(ProposalReason.BOUNDARY)
    code[never_hit > MOSTLY * wrong] = code_of(ProposalReason.NEVER_HIT_GRAIN)
    return code
