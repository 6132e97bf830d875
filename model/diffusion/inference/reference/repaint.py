"""Replacement with resampling jumps: after each step measured pixels take their measured value at that noise level.

Source: Lugmayr et al. 2022, CVPR (RePaint), algorithm 1. The paper's known region is free of noise and takes
√ᾱ_s y + √(1 − ᾱ_s) n; in EDM form that is y + σ_s n. A measurement already holds noise σ_y, so it takes
y + √(σ_s² − σ_y²) n, and below σ_y it is no longer replaced but denoised like the rest. Jumping back from σ_s to σ_t
adds √(σ_t² − σ_s²) n, the forward step.

The method is biased: what is measured reaches the rest only by the next evaluation; resampling lessens that. Where σ_y
lies above σ_t, jumps gradually undo the measurement itself, which nothing holds any longer.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from grainloop.model.diffusion.inference.reference.common import (
    Denoise,
    Measured,
    ancestral_step,
    normal,
    pure_noise,
    unwatched,
)
from grainloop.model.diffusion.inference.sampler import BeforeStep

RESAMPLINGS = 5
JUMP = 2


def sample_repaint(
    denoise: Denoise,
    section: Measured,
    levels: Tensor,
    generator: torch.Generator,
    samples: int,
    resamplings: int = RESAMPLINGS,
    jump: int = JUMP,
    callback: BeforeStep = unwatched,
) -> Tensor:
    """Samples (samples, C, h, w) by `resamplings` evaluations for each step between levels.

    Args:
        denoise: the prior.
        section: what was measured.
        levels: decreasing noise levels.
        generator: of all random numbers.
        samples: how many.
        resamplings: how often each stretch of the walk is gone (r of the paper).
        jump: steps of a stretch (j of the paper).
        callback: told before each evaluation.
    """
    count = (len(levels) - 1) * resamplings
    sigma = levels.tolist()
    x = replaced(section, pure_noise(section, samples, sigma[0], generator), sigma[0], generator)
    number = 0
    for here, there in walk(len(levels) - 1, resamplings, jump):
        if there < here:
            x = x + (sigma[there] ** 2 - sigma[here] ** 2) ** 0.5 * normal(x.shape, x, generator)
            continue
        callback(number, count)
        with torch.no_grad():
            x = ancestral_step(x, denoise(x, sigma[here]), sigma[here], sigma[there], generator)
        x = replaced(section, x, sigma[there], generator)
        number += 1
    return x


def walk(steps: int, resamplings: int, jump: int) -> Iterator[tuple[int, int]]:
    """(from, to) indices of levels: stretches of `jump` steps down, each gone `resamplings` times; jumps go up."""
    for start in range(0, steps, jump):
        stop = min(start + jump, steps)
        for turn in range(resamplings):
            yield from ((i, i + 1) for i in range(start, stop))
            if turn < resamplings - 1:
                yield stop, start


def replaced(section: Measured, x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """States `x` at level `sigma` with what was measured more exactly than that in its place."""
    missing = (sigma**2 - section.level.square()).clamp_min(0).sqrt()
    known = section.measured + missing * normal(x.shape, x, generator)
    return torch.where(section.level < sigma, known, x)
