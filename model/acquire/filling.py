"""Policies that look at no posterior: space filling from coarse to fine (also the fallback), blue noise, random.

`fill` is used by other policies for their exploration share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainloop.model.acquire.scene import Scene, code_of, proposals
from grainloop.protocols.messages import ProposalReason, Proposals


@dataclass(frozen=True)
class GridFill:
    """Always next where the largest gap between measured points is."""

    fills_evenly: ClassVar[bool] = True
    name: str = "grid"

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`; the gain is the area of the gap."""
        position, gap = fill(scene.measured, new_pixels(scene), count, rng)
        reason = np.full(len(position), code_of(ProposalReason.SPACE_FILLING))
        return proposals(self.name, position, np.pi * gap**2 / 4, reason)


@dataclass(frozen=True)
class BlueNoise:
    """Points without order that keep their distance (Mitchell 1991: the best of some random candidates).

    Attributes:
        candidates: how many random pixels each point is the best of.
    """

    fills_evenly: ClassVar[bool] = True
    name: str = "bluenoise"
    candidates: int = 12

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`; the gain is the area of the gap."""
        position, gap = _best_candidates(scene.measured, new_pixels(scene), count, self.candidates, rng)
        reason = np.full(len(position), code_of(ProposalReason.SPACE_FILLING))
        return proposals(self.name, position, np.pi * gap**2 / 4, reason)


@dataclass(frozen=True)
class RandomPoints:
    """Any pixel with equal probability."""

    fills_evenly: ClassVar[bool] = True
    name: str = "random"

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`; the gain is the probability that the pixel itself is wrong."""
        open_px = np.argwhere(new_pixels(scene))
        position = rng.permutation(open_px)[:count]
        reason = np.full(len(position), code_of(ProposalReason.EXPLORATION))
        return proposals(self.name, position, scene.posterior.p_wrong[tuple(position.T)], reason)


def new_pixels(scene: Scene) -> NDArray[np.bool_]:
    """(h, w) free pixels that were never measured."""
    return scene.free & ~scene.measured


def _best_candidates(
    taken: NDArray[np.bool_], free: NDArray[np.bool_], count: int, candidates: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(n, 2) pixels of `free`, each the farthest of some random ones from all before it, and (n,) that distance."""
    away, open_px = _distance(taken), np.argwhere(free)
    rows, columns = np.indices(taken.shape)
    found, gaps = np.empty((min(count, len(open_px)), 2), np.intp), np.empty(min(count, len(open_px)))
    for i in range(len(found)):
        drawn = rng.choice(len(open_px), size=min(candidates, len(open_px)), replace=False)
        best = int(drawn[np.argmax(away[tuple(open_px[drawn].T)])])
        r, c = found[i] = open_px[best]
        gaps[i] = away[r, c]
        np.minimum(away, np.hypot(rows - r, columns - c), out=away)
        open_px[best] = open_px[-1]
        open_px = open_px[:-1]
    return found, gaps


def fill(
    taken: NDArray[np.bool_], free: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(n, 2) pixels of `free`, each far from `taken` and those before it, and (n,) their distances from `taken` in px.

    Farthest-point sampling (Eldar et al. 1997) in rounds: all gaps of about the largest size are filled before
    distances are computed anew. With nothing taken it starts at a random free pixel.
    """
    taken, free = taken.copy(), free.copy()
    found: list[NDArray[np.intp]] = []
    gaps: list[float] = []
    while len(found) < count and free.any():
        distance = _distance(taken)
        level = np.where(free, distance, 0)
        largest = float(level.max())
        candidates = np.argwhere(level >= max(0.85 * largest, 1.0))
        order = np.lexsort((rng.random(len(candidates)), -level[tuple(candidates.T)].round(3)))
        for pixel in _apart(candidates[order], largest, count - len(found)):
            found.append(pixel)
            gaps.append(float(level[tuple(pixel)]))
            taken[tuple(pixel)], free[tuple(pixel)] = True, False
    return np.array(found, dtype=np.intp).reshape(-1, 2), np.array(gaps)


def _distance(taken: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not taken.any():
        return np.full(taken.shape, float(np.hypot(*taken.shape)))
    return np.asarray(ndimage.distance_transform_edt(~taken), dtype=np.float64)


def _apart(ordered: NDArray[np.intp], radius: float, most: int) -> NDArray[np.intp]:
    """The first of `ordered` pixels and those after it that are at least `radius` from every one kept before."""
    kept: list[NDArray[np.intp]] = []
    left = ordered
    while len(left) and len(kept) < most:
        kept.append(left[0].copy())  # a view would keep all that were left
        left = left[((left - left[0]) ** 2).sum(axis=1) >= radius**2]
    return np.array(kept, dtype=np.intp)
