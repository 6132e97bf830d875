"""What the reference samplers share: the unconditional denoiser, what is measured, one ancestral step.

The papers write in the variance-preserving form x_vp = √ᾱ x0 + √(1 − ᾱ) n. Here x = x_vp / √ᾱ = x0 + σ n with
σ² = (1 − ᾱ)/ᾱ (Karras et al. 2022, EDM), so that √ᾱ = 1/√(1 + σ²). Each sampler says how its update translates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from grainloop.model.diffusion.inference.sampler import BeforeStep
from grainloop.model.diffusion.network.conditions import SectionInput, gather_evidence, section_input
from grainloop.model.diffusion.network.denoiser import Denoiser
from grainloop.model.diffusion.network.state import SIGMA_MAX, StateSpace
from grainloop.model.diffusion.network.tiles import evaluate
from grainloop.model.reconstruct.problem import Problem, SparsePoints

Denoise = Callable[[Tensor, float], Tensor]
"""E[x0 | x, σ] (B, C, h, w) of states x (B, C, h, w) whose pixels and channels are all at the one noise level σ."""


class Measured(Protocol):
    """What was measured, as a `SectionInput` holds it: y = x0 + σ_y n where σ_y is below `SIGMA_MAX`."""

    @property
    def measured(self) -> Tensor:
        """(1, C, h, w) y; any value where nothing was measured."""
        ...

    @property
    def level(self) -> Tensor:
        """(1, C, h, w) σ_y; `SIGMA_MAX` where nothing was measured."""
        ...


def unconditional(denoiser: Denoiser, space: StateSpace, shape: tuple[int, int]) -> Denoise:
    """The joint denoiser as the plain prior of a (h, w) state: nothing measured, no candidates, one noise level."""
    empty = empty_section(space, shape)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        said = evaluate(denoiser, empty.at(x, torch.full_like(x[:1], sigma)))
        return said.state

    return denoise


def empty_section(space: StateSpace, shape: tuple[int, int]) -> SectionInput:
    """A section of which nothing is known."""
    nothing = np.zeros((0, 4), np.float32)
    points = SparsePoints(np.zeros((0, 2), np.int32), nothing, np.zeros(0, np.bool_))
    return section_input(shape, gather_evidence(Problem(shape, space.group.name, points), space), space)


def pure_noise(section: Measured, samples: int, sigma: float, generator: torch.Generator) -> Tensor:
    """(samples, C, h, w) states at noise level `sigma` that know nothing: x0 is left out beside σ n."""
    return sigma * normal((samples, *section.measured.shape[1:]), section.measured, generator)


def normal(shape: tuple[int, ...] | torch.Size, like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers of the precision of `like`."""
    return torch.randn(shape, generator=generator, dtype=like.dtype)


def steps_down(levels: Tensor, callback: BeforeStep) -> Iterator[tuple[float, float]]:
    """The noise levels from and to which each step leads; `callback` is told before each."""
    steps = len(levels) - 1
    for number, step in enumerate(pairwise(levels.tolist())):
        callback(number, steps)
        yield step


def ancestral_step(x: Tensor, denoised: Tensor, here: float, there: float, generator: torch.Generator) -> Tensor:
    """A draw of x at level `there` from x at level `here` if x0 = `denoised` (Ho et al. 2020, DDPM, equation 7).

    In EDM form p(x_s | x_t, x0) = N(x0 + r² (x_t − x0), σ_s² (1 − r²)) with r = σ_s/σ_t.
    """
    ratio = (there / here) ** 2
    mean = denoised + ratio * (x - denoised)
    return mean + there * (1 - ratio) ** 0.5 * normal(x.shape, x, generator)


def inverse_noise(section: Measured) -> Tensor:
    """(1, C, h, w) 1/σ_y; 0 where nothing was measured."""
    return torch.where(section.level < SIGMA_MAX, 1 / section.level, torch.zeros_like(section.level))


def unwatched(number: int, count: int) -> None:
    """A `BeforeStep` for callers that need none."""
    del number, count
