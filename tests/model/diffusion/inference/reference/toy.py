"""A Gaussian prior along a line of pixels, whose denoiser and whose posterior are known in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from grainloop.model.diffusion.network.state import SIGMA_MAX

PIXELS = 24
CHANNELS = 2
REACH_PX = 4.0
SHAPE = (1, CHANNELS, 1, PIXELS)
DTYPE = torch.float64


@dataclass(frozen=True)
class Section:
    """What was measured; see `model.diffusion.inference.reference.common.Measured`."""

    measured: Tensor
    level: Tensor


def covariance() -> Tensor:
    """(PIXELS, PIXELS) of each channel: exp(−distance / reach)."""
    at = torch.arange(PIXELS, dtype=DTYPE)
    return torch.exp(-(at[:, None] - at).abs() / REACH_PX)


@cache
def eigen() -> tuple[Tensor, Tensor]:
    """Eigenvalues (PIXELS,) and vectors in columns of the covariance."""
    power, waves = torch.linalg.eigh(covariance())
    return power, waves


def denoise(x: Tensor, sigma: float) -> Tensor:
    """E[x0 | x, σ] = S (S + σ²)⁻¹ x."""
    power, waves = eigen()
    return x @ ((waves * (power / (power + sigma**2))) @ waves.T)


def section(noise: float, step: int = 4, seed: int = 1) -> Section:
    """A draw of the prior, every `step`-th pixel measured with noise of level `noise`."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.linalg.cholesky(covariance())
    truth = torch.randn(SHAPE, generator=generator, dtype=DTYPE) @ root.T
    level = torch.full(SHAPE, SIGMA_MAX, dtype=DTYPE)
    level[..., ::step] = noise
    seen = truth + noise * torch.randn(SHAPE, generator=generator, dtype=DTYPE)
    return Section(torch.where(level < SIGMA_MAX, seen, 0), level)


def unmeasured() -> Section:
    """A section of which nothing is known."""
    return Section(torch.zeros(SHAPE, dtype=DTYPE), torch.full(SHAPE, SIGMA_MAX, dtype=DTYPE))


def posterior(given: Section) -> tuple[Tensor, Tensor]:
    """(CHANNELS, PIXELS) exact posterior mean and standard deviation; the same pixels are measured in all channels."""
    prior, y, level = covariance(), given.measured[0, :, 0], given.level[0, 0, 0]
    known = level < SIGMA_MAX
    gain = torch.linalg.solve(prior[known][:, known] + torch.diag(level[known] ** 2), prior[known]).T
    spread = (prior - gain @ prior[known]).diagonal().sqrt()
    return y[:, known] @ gain.T, spread.expand(CHANNELS, PIXELS)
