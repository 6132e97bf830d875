"""The few-step sampler: every pixel walks from its own noise level down, measured pixels wait at theirs.

Euler steps on the probability-flow ODE over the ρ = 7 schedule (Karras et al. 2022, EDM, algorithm 1), with
level(pixel, t) = min(σ_t, σ_measured(pixel)). No guidance weights and no back-propagation: conditioning is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from grainloop.model.diffusion.network.conditions import SectionInput
from grainloop.model.diffusion.network.denoiser import Conditions, Denoised
from grainloop.model.diffusion.network.state import SIGMA_MAX, SIGMA_MIN

Denoise = Callable[[Conditions], Denoised]
START = 4.0
"""Noise level at which samples part from their common mean: above it no grain is told from another, see decision 10."""
BeforeStep = Callable[[int, int], None]
"""Called before each evaluation with its number and the number of evaluations; may raise to cancel."""


def karras_levels(steps: int, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN, rho: float = 7.0) -> Tensor:
    """(steps + 1,) noise levels from σ_max down, the last one 0 (EDM, equation 5)."""
    if steps == 1:
        return torch.tensor([sigma_max, 0.0])
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1)])


def initial_state(section: SectionInput, samples: int, generator: torch.Generator, sigma: float = SIGMA_MAX) -> Tensor:
    """(samples, C, h, w): measured values where there are any, else noise of level `sigma`."""
    nothing = section.measured.new_zeros(1, 1, 1, 1)
    return renoise(section, nothing.expand(samples, *section.measured.shape[1:]), sigma, generator)


def renoise(section: SectionInput, previous: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Estimates or earlier samples (B, C, h, w) at level `sigma`, measured values where there are any."""
    noise = torch.randn(previous.shape, generator=generator, dtype=previous.dtype)
    return torch.where(section.level < sigma, section.measured, previous + sigma * noise)


def sample_section(
    denoise: Denoise,
    section: SectionInput,
    first: Denoised,
    samples: int,
    steps: int,
    seed: int,
    before: BeforeStep | None = None,
) -> Iterator[Tensor]:
    """Samples (1, C, h, w), one after the other; they share their first evaluation, since nothing random enters it.

    From there an Euler step leads to `START`, where noise begins to tell neighbouring grains apart; `steps` evaluations
    follow for each sample.

    Args:
        denoise: the denoiser.
        section: the section.
        first: what the denoiser says at σ_max.
        samples: how many.
        steps: evaluations of each.
        seed: of the noise.
        before: called before each evaluation with its number and the number of all; may raise to cancel.
    """
    levels, mean = karras_levels(steps, START), first.state
    for number in range(samples):
        x = renoise(section, mean, START, torch.Generator().manual_seed(seed * 1_000_003 + number))
        yield sample(denoise, section, x, levels, before and partial(_tell, before, number, samples))[0]


def _tell(before: BeforeStep, number: int, samples: int, step: int, steps: int) -> None:
    before(number * steps + step, samples * steps)


@torch.inference_mode()
def sample(
    denoise: Denoise, section: SectionInput, x: Tensor, levels: Tensor, before: BeforeStep | None = None
) -> tuple[Tensor, Denoised]:
    """Samples of the joint posterior.

    Args:
        denoise: the denoiser.
        section: the section.
        x: (B, C, h, w) state at the first level (`initial_state` or `renoise`).
        levels: decreasing noise levels ending in 0.
        before: told of each evaluation; may raise to cancel.

    Returns:
        The samples (B, C, h, w) and what the denoiser said last.
    """
    said: Denoised | None = None
    for step in range(len(levels) - 1):
        if before:
            before(step, len(levels) - 1)
        here = section.level.clamp_max(float(levels[step]))
        there = section.level.clamp_max(float(levels[step + 1]))
        said = denoise(section.at(x, here))
        x = euler_step(x, said.state, here, there)
    if said is None:
        raise ValueError("sampling needs at least one step")
    return x, said


def euler_step(x: Tensor, denoised: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """X at level `there` from x at level `here`: denoised + (there/here)(x − denoised)."""
    return denoised + (there / here) * (x - denoised)
