"""The few-step sampler: every pixel walks from its own noise level down, measured pixels wait at theirs.

Euler steps on the probability-flow ODE over the ρ = 7 schedule (Karras et al. 2022, EDM, algorithm 1), with
level(pixel, t) = min(σ_t, σ_measured(pixel)). No guidance weights and no back-propagation: conditioning is exact.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from model.diffusion.conditions import SectionInput
from model.diffusion.denoiser import Conditions, Denoised
from model.diffusion.state import SIGMA_MAX, SIGMA_MIN

Denoise = Callable[[Conditions], Denoised]
Callback = Callable[[int, int, Denoised], None]
"""Called after each evaluation with the number of the step, the number of steps and what the denoiser said."""


def karras_levels(steps: int, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN, rho: float = 7.0) -> Tensor:
    """(steps + 1,) noise levels from σ_max down, the last one 0 (EDM, equation 5)."""
    if steps == 1:
        return torch.tensor([sigma_max, 0.0])
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1)])


def initial_state(section: SectionInput, samples: int, generator: torch.Generator, sigma: float = SIGMA_MAX) -> Tensor:
    """(samples, C, h, w): measured values where there are any, else noise of level `sigma`."""
    shape = (samples, *section.measured.shape[1:])
    noise = torch.randn(shape, generator=generator, dtype=section.measured.dtype)
    return torch.where(section.level < sigma, section.measured, sigma * noise)


def renoise(section: SectionInput, previous: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """A warm start: earlier samples (B, C, h, w) at level `sigma`, measured values where there are any."""
    noise = torch.randn(previous.shape, generator=generator, dtype=previous.dtype)
    return torch.where(section.level < sigma, section.measured, previous + sigma * noise)


@torch.inference_mode()
def sample(
    denoise: Denoise, section: SectionInput, x: Tensor, levels: Tensor, callback: Callback | None = None
) -> tuple[Tensor, Denoised]:
    """Samples of the joint posterior.

    Args:
        denoise: the denoiser.
        section: the section.
        x: (B, C, h, w) state at the first level (`initial_state` or `renoise`).
        levels: decreasing noise levels ending in 0.
        callback: told of each evaluation; may raise to cancel.

    Returns:
        The samples (B, C, h, w) and what the denoiser said last.
    """
    said: Denoised | None = None
    for step in range(len(levels) - 1):
        here = section.level.clamp_max(float(levels[step]))
        there = section.level.clamp_max(float(levels[step + 1]))
        said = denoise(section.at(x, here))
        x = euler_step(x, torch.cat([said.ebsd, said.light], 1), here, there)
        if callback:
            callback(step, len(levels) - 1, said)
    if said is None:
        raise ValueError("sampling needs at least one step")
    return x, said


def euler_step(x: Tensor, denoised: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """X at level `there` from x at level `here`: denoised + (there/here)(x − denoised)."""
    return denoised + (there / here) * (x - denoised)
