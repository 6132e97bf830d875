"""A projection method: what the denoiser says is moved towards the measurement, then noised down to the next level.

Source: Zhu et al. 2023, CVPRW (DiffPIR), algorithm 1. x̂0 ← argmin ‖y − x̂‖² + ρ ‖x̂ − x̂0‖² with ρ = λ σ_y²/σ_t²,
which for single pixels is (y + ρ x̂0)/(1 + ρ); then x(s) = x̂0 + σ_s (√(1 − ζ) n̂ + √ζ n) with n̂ = (x − x̂0)/σ_t.
Dividing the paper's state by √ᾱ leaves both unchanged: its σ̄_t = √((1 − ᾱ_t)/ᾱ_t) is the level used here.

The method is biased: λ/σ_t² stands in for the precision of the prior, and pixels not measured learn of the measurement
only by the next evaluation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from grainloop.model.diffusion.inference.reference.common import (
    Denoise,
    Measured,
    inverse_noise,
    normal,
    pure_noise,
    steps_down,
    unwatched,
)
from grainloop.model.diffusion.inference.sampler import BeforeStep


def sample_diffpir(
    denoise: Denoise,
    section: Measured,
    levels: Tensor,
    generator: torch.Generator,
    samples: int,
    scale: float = 1.0,
    churn: float = 0.3,
    callback: BeforeStep = unwatched,
) -> Tensor:
    """Samples (samples, C, h, w) by one evaluation a step.

    Args:
        denoise: the prior.
        section: what was measured.
        levels: decreasing noise levels.
        generator: of all random numbers.
        samples: how many.
        scale: λ, how much the denoiser counts against the measurement.
        churn: ζ of the paper, the share of fresh noise.
        callback: told before each evaluation.
    """
    precision = inverse_noise(section).square()
    x = pure_noise(section, samples, float(levels[0]), generator)
    for here, there in steps_down(levels, callback):
        with torch.no_grad():
            denoised = projected(section, precision, denoise(x, here), here, scale)
        fresh = normal(x.shape, x, generator)
        x = denoised + there * ((1 - churn) ** 0.5 * (x - denoised) / here + churn**0.5 * fresh)
    return x


def projected(section: Measured, precision: Tensor, denoised: Tensor, sigma: float, scale: float) -> Tensor:
    """(y + ρ x̂0)/(1 + ρ), multiplied out by the `precision` 1/σ_y² so that it holds where that is 0."""
    prior = scale / sigma**2
    return (precision * section.measured + prior * denoised) / (precision + prior)
