"""Samples of the few-step sampler, one at a time and remembered, and how a state is read as a map.

The schedule is that of `model.diffusion.inference.sampler`: all samples share the first evaluation at σ_max.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.scaling_strategies.setting import Account, Setting
from grainloop.model.crystal import embed
from grainloop.model.diffusion.inference.sampler import START, karras_levels, renoise, sample
from grainloop.model.diffusion.network.conditions import predicted_light
from grainloop.model.diffusion.network.denoiser import Denoised
from grainloop.model.diffusion.network.gate import Slots, squared_distance
from grainloop.model.diffusion.network.state import orientations_of

STEPS = 3
"""Evaluations of a sample, beyond the shared one."""


@dataclass(frozen=True, eq=False)
class Draw:
    """One sample.

    Attributes:
        x: (1, C, h, w) state.
        weights: (1, K, h, w) the gate at its last step.
    """

    x: Tensor
    weights: Tensor


def draw(setting: Setting, account: Account, first: Denoised, seed: int, steps: int = STEPS) -> Draw:
    """A sample by `steps` evaluations; `first` is what the gate says at σ_max."""
    account.spend(steps)
    return setting.once(("draw", seed, steps), lambda: _draw(setting, account, first, seed, steps))


def _draw(setting: Setting, account: Account, first: Denoised, seed: int, steps: int) -> Draw:
    x, said = walk(setting, account, first, karras_levels(steps, START), generator(seed))
    return Draw(x, said.weights)


def walk(
    setting: Setting, account: Account, first: Denoised, levels: Tensor, noise: torch.Generator
) -> tuple[Tensor, Denoised]:
    """A state (1, C, h, w) at the last of the `levels` and what was said last, from `first` noised to `START`."""
    x = renoise(setting.section, first.state, START, noise)
    return sample(setting.denoise, setting.section, x, levels, account.check)


def generator(*seed: int) -> torch.Generator:
    """A generator for any number of seeds."""
    mixed = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1)
    return torch.Generator().manual_seed(int(mixed))


def orientation_of(setting: Setting, x: Tensor) -> NDArray[np.float32]:
    """(h, w, 4) a state (1, C, h, w) decoded; measured pixels keep their orientation."""
    seeds = setting.evidence.seeds
    orientation = orientations_of(x.numpy(), setting.trained.space)[0]
    orientation[tuple(seeds.position.T)] = seeds.orientation
    return orientation


def state_from(setting: Setting, orientation: NDArray[np.float32]) -> Tensor:
    """(1, C, h, w) the state of a map (h, w, 4), with the PL that it predicts."""
    space, shape = setting.trained.space, orientation.shape[:2]
    embedding = embed(orientation, space.group).astype(np.float32)
    light = predicted_light(orientation.reshape(-1, 4), space).reshape(*shape, -1)
    return torch.from_numpy(np.concatenate([embedding, light], -1)).permute(2, 0, 1)[None].contiguous()


def votes(setting: Setting, x: Tensor) -> Tensor:
    """(1, K, h, w) one for the candidate nearest to a state (1, C, h, w), none where a pixel has no candidate."""
    section = setting.section
    slots = Slots.of(section.index, section.known, section.points.shape[1])
    distance = squared_distance(x[:, : section.space.ebsd_channels], section.points, slots)
    nearest = distance.masked_fill(~section.known, float("inf")).argmin(1, keepdim=True)
    return torch.zeros_like(distance).scatter_(1, nearest, 1.0) * section.known
