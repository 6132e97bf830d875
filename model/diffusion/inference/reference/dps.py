"""Diffusion posterior sampling: ancestral steps, each pulled along the gradient of the residual's norm.

Source: Chung et al. 2023, ICLR, algorithm 1: x_vp(s) ← x'_vp(s) − ζ ∇_{x_vp(t)} ‖y − x̂0(x_vp(t))‖. With x = x_vp/√ᾱ
the gradient gains 1/√ᾱ_t and the state 1/√ᾱ_s, so that the step is ζ √((1 + σ_t²)(1 + σ_s²)): `chung_step`.
One departure: noise levels differ between pixels, so the residual is taken in units of σ_y. For a single σ_y that is
ζ_here = ζ_paper · σ_y.

The method is biased: it puts p(y | x̂0(x_t)) for p(y | x_t), and the norm in place of its square makes the pull
independent of how large the residual is, so that its strength depends on the number of measured values.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from grainloop.model.diffusion.inference.reference.common import (
    Denoise,
    Measured,
    ancestral_step,
    inverse_noise,
    pure_noise,
    steps_down,
    unwatched,
)
from grainloop.model.diffusion.inference.sampler import BeforeStep

Step = Callable[[float, float], float]
"""The length of the pull, before `scale`, on the way from one noise level to the next."""


def chung_step(here: float, there: float) -> float:
    """√((1 + σ_t²)(1 + σ_s²)): the constant step of the paper in EDM form."""
    return ((1 + here**2) * (1 + there**2)) ** 0.5


def score_step(here: float, there: float) -> float:
    """σ_t² − σ_s²: the pull as a part of the score, as deepinv has it (`AncestralSolver` with η = 1)."""
    return here**2 - there**2


def sample_dps(
    denoise: Denoise,
    section: Measured,
    levels: Tensor,
    generator: torch.Generator,
    samples: int,
    scale: float = 1.0,
    step: Step = chung_step,
    callback: BeforeStep = unwatched,
) -> Tensor:
    """Samples (samples, C, h, w) by one evaluation and one back-propagation a step.

    Args:
        denoise: the prior; differentiable in x.
        section: what was measured.
        levels: decreasing noise levels.
        generator: of all random numbers.
        samples: how many.
        scale: ζ, in units of σ_y.
        step: what ζ multiplies.
        callback: told before each evaluation.
    """
    weight = inverse_noise(section)
    x = pure_noise(section, samples, float(levels[0]), generator)
    for here, there in steps_down(levels, callback):
        denoised, gradient = guidance(denoise, section, weight, x, here)
        pull = scale * step(here, there) * gradient
        x = ancestral_step(x, denoised, here, there, generator) - pull
    return x


def guidance(denoise: Denoise, section: Measured, weight: Tensor, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """x̂0 and ∇_x ‖(y − x̂0)/σ_y‖, both (B, C, h, w), the norm taken sample by sample; `weight` is 1/σ_y."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        denoised = denoise(x, sigma)
        residual = weight * (section.measured - denoised)
        norm = torch.linalg.vector_norm(residual.flatten(1), dim=1).sum()
        (gradient,) = torch.autograd.grad(norm, x)
    return denoised.detach(), gradient
