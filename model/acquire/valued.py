"""Policies that put a greedy batch on another map of values: the entropy of the candidates, and grain boundaries.

`entropy` is the score of Active Diffusion Subsampling (Nolan et al. 2024: measure where the predicted measurements of
the posterior samples disagree most), with the exact probabilities of the gate in place of samples. `boundary` refines
the boundaries of the map, as adaptive EBSD by hand does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.acquire.batch import even, make_batch
from grainloop.model.acquire.scene import Scene
from grainloop.model.acquire.spread import Spread
from grainloop.protocols.messages import Proposals


@dataclass(frozen=True)
class Entropy:
    """Where it is least certain which grain a measurement would show."""

    name: str = "entropy"

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`; the gain is in nat."""
        return _batch(self.name, scene, count, rng, entropy_of(scene))


@dataclass(frozen=True)
class Boundary:
    """Where a grain boundary is likeliest, a pixel that is sure of its grain counting for nothing."""

    name: str = "boundary"

    def __call__(self, scene: Scene, count: int, rng: np.random.Generator) -> Proposals:
        """See `Policy`; the gain is in boundary pixels."""
        return _batch(self.name, scene, count, rng, both_sides(scene.posterior.boundary))


def entropy_of(scene: Scene) -> NDArray[np.float32]:
    """(h, w) entropy of the grain that a measurement would show, nat; of right or wrong where only that is known."""
    rivals = scene.rivals
    if rivals is None:
        share = np.stack([scene.posterior.p_wrong, 1 - scene.posterior.p_wrong], axis=-1)
    else:
        share = rivals.all_weights
    positive = np.maximum(share, np.float32(1e-12))
    return np.asarray(-(share * np.log(positive)).sum(axis=-1), np.float32)


def both_sides(boundary: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) probability of a boundary to any of the four neighbours, from that to the right or lower neighbour."""
    out = boundary.copy()
    out[1:] = np.maximum(out[1:], boundary[:-1])
    out[:, 1:] = np.maximum(out[:, 1:], boundary[:, :-1])
    return out


def _batch(policy: str, scene: Scene, count: int, rng: np.random.Generator, value: NDArray[np.float32]) -> Proposals:
    """A greedy batch on values, those of pixels that are measured or hardly indexable counting less."""
    known = scene.doubt <= 0
    worth = np.where(known, 0, value * scene.indexable).astype(np.float32)
    return make_batch(policy, scene, count, rng, worth, even(Spread().window(scene), scene.measured.shape))
