"""Sequential Monte Carlo: particles that walk down the noise levels and are resampled by what was withheld.

After each step a particle is judged by its denoised estimate (Wu et al. 2023, twisted diffusion, without their
gradient); weights are ratios of successive likelihoods, tempered. A step ends with fresh noise, so that copies part.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from benchmarks.scaling_strategies.best_of import finish
from benchmarks.scaling_strategies.draws import generator, orientation_of
from benchmarks.scaling_strategies.repeated import of_mean_gate
from benchmarks.scaling_strategies.setting import Account, Setting, from_gate
from benchmarks.scaling_strategies.verifier import withhold
from benchmarks.scaling_strategies.weighing import resampled, tempered
from grainloop.model.diffusion.inference.sampler import START, euler_step, karras_levels, renoise
from grainloop.model.reconstruct.problem import Posterior

LEAST_STEPS, MOST_PARTICLES = 3, 8
FRESH = 0.5
"""Share of the variance of the next level that is fresh noise."""


def particles(setting: Setting, account: Account, seed: int) -> Posterior:
    """As many particles as `planned`, finished with all points; the map by their mean gate."""
    count, steps = planned(account.left)
    if not count:
        return from_gate(setting, setting.first(account).weights, seed)
    states = walked(setting, account, seed, count, steps)
    draws = [finish(setting, account, x, seed + number) for number, x in enumerate(states)]
    return of_mean_gate(setting, draws, seed)


def planned(left: int) -> tuple[int, int]:
    """Particles and steps: one evaluation is shared, each particle takes one per step and one to finish."""
    count = min((left - 1) // (LEAST_STEPS + 1), MOST_PARTICLES)
    return (count, (left - 1) // count - 1) if count > 0 else (0, 0)


def walked(setting: Setting, account: Account, seed: int, count: int, steps: int) -> list[Tensor]:
    """`count` states (1, C, h, w) after `steps` levels."""
    reduced, verify = withhold(setting, seed)
    mean, noise, rng = reduced.first(account).state, generator(seed, 0x736D63), np.random.default_rng(seed)
    states = [renoise(reduced.section, mean, START, noise) for _ in range(count)]
    before, levels = np.zeros(count), karras_levels(steps, START).tolist()
    for here, there in pairwise(levels):
        denoised = [_denoised(reduced, account, x, here) for x in states]
        score = np.array([verify(orientation_of(reduced, x)).sum() for x in denoised])
        kept = resampled(tempered(score - before), rng)
        before = score[kept]
        states = [_step(reduced, states[i], denoised[i], (here, there), noise) for i in kept]
    return states


def _denoised(setting: Setting, account: Account, x: Tensor, level: float) -> Tensor:
    account.spend()
    return setting.denoise_at(x, level).state


def _step(setting: Setting, x: Tensor, denoised: Tensor, levels: tuple[float, float], noise: torch.Generator) -> Tensor:
    """To the next level by way of a lower one; what is measured to that level or better gets no fresh noise."""
    here, there = (setting.section.level.clamp_max(level) for level in levels)
    fresh = (setting.section.level > levels[1]) * FRESH
    lower = there * (1 - fresh).sqrt()
    moved = euler_step(x, denoised, here, lower)
    return moved + there * fresh.sqrt() * torch.randn(x.shape, generator=noise)
