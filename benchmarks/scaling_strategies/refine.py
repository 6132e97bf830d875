"""Markov chains over maps: a sample is noised half way, denoised anew, and kept or not by the likelihood of PL.

Chains begin at samples of the gate. To noise and denoise would leave the model's own posterior as it is if samples of
the gate were exact, so Metropolis needs the likelihoods alone (Neal 1998). Each tile of the map decides for itself: one
evaluation makes many proposals. PL is counted twice, by the network and by the verifier, and trusted too much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.scaling_strategies.draws import generator, state_from
from benchmarks.scaling_strategies.setting import Account, Setting, from_gate
from benchmarks.scaling_strategies.verifier import Verifier, verifier
from grainloop.model.diffusion.inference.method import candidate_weights, gate_samples
from grainloop.model.diffusion.inference.sampler import renoise
from grainloop.model.reconstruct.problem import Options, Posterior

CHAINS = 4
SIGMA = 1.0
"""Noise level of a proposal: below it neighbouring grains are told apart, far above it nothing is kept."""
TILE_PX = 16


@dataclass(frozen=True, eq=False)
class Link:
    """Where a chain is.

    Attributes:
        orientation: (h, w, 4) map.
        weights: (1, K, h, w) the gate from which it was drawn.
        score: (h, w) its log-likelihood.
    """

    orientation: NDArray[np.float32]
    weights: Tensor
    score: NDArray[np.float64]


def chains(setting: Setting, account: Account, seed: int) -> Posterior:
    """`CHAINS` chains as long as the budget allows; the map by the mean gate over all their links."""
    first, verify = setting.first(account), verifier(setting)
    steps = account.left // CHAINS
    if not steps:
        return from_gate(setting, first.weights, seed)
    ends: list[NDArray[np.float32]] = []
    total, count = first.weights.clone(), 1
    for chain in range(CHAINS):
        link = _link(setting, verify, first.weights, _seed(seed, chain, 0))
        for step in range(1, steps + 1):
            link = advanced(setting, account, verify, link, _seed(seed, chain, step))
            total, count = total + link.weights, count + 1
        ends.append(link.orientation)
    return replace(from_gate(setting, total / count, seed), samples=np.stack(ends))


def advanced(setting: Setting, account: Account, verify: Verifier, link: Link, seed: int) -> Link:
    """The next link."""
    account.spend()
    return setting.once(("link", seed), lambda: _advanced(setting, verify, link, seed))


def _advanced(setting: Setting, verify: Verifier, link: Link, seed: int) -> Link:
    noisy = renoise(setting.section, state_from(setting, link.orientation), SIGMA, generator(seed))
    proposed = _link(setting, verify, setting.denoise_at(noisy, SIGMA).weights, seed)
    rng = np.random.default_rng(seed)
    taken = accepted(proposed.score - link.score, tiles(link.score.shape, TILE_PX, rng), rng)
    return Link(
        np.where(taken[..., None], proposed.orientation, link.orientation),
        torch.where(torch.from_numpy(taken), proposed.weights, link.weights),
        np.where(taken, proposed.score, link.score),
    )


def _link(setting: Setting, verify: Verifier, weights: Tensor, seed: int) -> Link:
    at, weight = candidate_weights(setting.section, weights)
    orientation = gate_samples(setting.evidence, at, weight, Options(members=1, seed=seed))[0]
    return Link(orientation, weights, verify(orientation))


def tiles(shape: tuple[int, ...], edge: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(h, w) numbers of square tiles that begin anywhere."""
    rows, columns = (((np.arange(n) + rng.integers(edge)) // edge) for n in shape)
    return rows[:, None] * (columns[-1] + 1) + columns


def accepted(gain: NDArray[np.float64], tile: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """(h, w) whether the tile of each pixel takes what was proposed: with probability min(1, exp Σ gain) (Metropolis).

    `gain` (h, w) is the log-likelihood of the proposal less that of the present; the proposal must leave the prior as
    it is.
    """
    total = np.bincount(tile.ravel(), weights=gain.ravel())
    return (np.log(rng.random(len(total))) < total)[tile]


def _seed(seed: int, chain: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, chain, step)).generate_state(1)[0])
