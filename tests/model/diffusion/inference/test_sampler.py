"""The sampler with denoisers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grainloop.model.crystal import random_quaternions
from grainloop.model.diffusion.inference.sampler import initial_state, karras_levels, renoise, sample
from grainloop.model.diffusion.network.conditions import SectionInput, gather_evidence, section_input
from grainloop.model.diffusion.network.denoiser import Conditions, Denoised
from grainloop.model.diffusion.network.state import SIGMA_MAX, SIGMA_MIN, StateSpace
from grainloop.model.reconstruct.problem import Problem, SparsePoints

SHAPE = (16, 16)


@pytest.fixture
def section(rng: np.random.Generator, space: StateSpace) -> SectionInput:
    px = np.argwhere(rng.random(SHAPE) < 0.1).astype(np.int32)
    q = random_quaternions(len(px), rng).astype(np.float32)
    problem = Problem(SHAPE, "6/mmm", SparsePoints(px, q, np.ones(len(px), np.bool_)))
    return section_input(SHAPE, gather_evidence(problem, space), space)


def _says(ebsd: torch.Tensor, light: torch.Tensor) -> Denoised:
    nothing = torch.zeros(len(ebsd), 0, *ebsd.shape[-2:])
    return Denoised(ebsd, ebsd, light, nothing, nothing, nothing, nothing)


def test_levels_fall_from_the_largest_to_zero() -> None:
    levels = karras_levels(5)
    assert float(levels[0]) == pytest.approx(SIGMA_MAX)
    assert float(levels[-2]) == pytest.approx(SIGMA_MIN, rel=1e-4)
    assert float(levels[-1]) == 0
    assert bool((levels.diff() < 0).all())


def test_measured_pixels_start_as_measured(section: SectionInput) -> None:
    x = initial_state(section, 3, torch.Generator().manual_seed(1))
    known = (section.level < SIGMA_MAX).expand_as(x)
    assert torch.equal(x[known], section.measured.expand_as(x)[known])
    assert float(x[~known].std()) == pytest.approx(SIGMA_MAX, rel=0.05)


def test_a_denoiser_that_knows_the_truth_leads_there(section: SectionInput) -> None:
    truth = torch.randn(1, *section.measured.shape[1:], generator=torch.Generator().manual_seed(2))

    def denoise(given: Conditions) -> Denoised:
        known = truth.expand(len(given.x), -1, -1, -1)
        return _says(known[:, : section.space.ebsd_channels], known[:, section.space.ebsd_channels :])

    x = initial_state(section, 2, torch.Generator().manual_seed(3))
    samples, _ = sample(denoise, section, x, karras_levels(4))
    assert torch.allclose(samples, truth.expand_as(samples), atol=1e-5)


def test_gaussian_prior_gives_gaussian_samples(section: SectionInput) -> None:
    """For x0 ~ N(0, 1) the exact denoiser is x/(1 + σ²); many steps of the flow must return unit variance."""

    def denoise(given: Conditions) -> Denoised:
        estimate = given.x / (1 + given.sigma.square())
        return _says(estimate[:, : section.space.ebsd_channels], estimate[:, section.space.ebsd_channels :])

    x = initial_state(section, 16, torch.Generator().manual_seed(4))
    samples, _ = sample(denoise, section, x, karras_levels(60))
    unknown = (section.level == SIGMA_MAX).expand_as(samples)
    assert float(samples[unknown].std()) == pytest.approx(1, rel=0.05)


def test_a_warm_start_keeps_measured_pixels(section: SectionInput) -> None:
    previous = torch.zeros(2, *section.measured.shape[1:])
    x = renoise(section, previous, 1.5, torch.Generator().manual_seed(5))
    known = (section.level < 1.5).expand_as(x)
    assert torch.equal(x[known], section.measured.expand_as(x)[known])


def test_the_caller_can_cancel_between_evaluations(section: SectionInput) -> None:
    class Stop(Exception):
        pass

    calls: list[int] = []

    def denoise(given: Conditions) -> Denoised:
        calls.append(1)
        split = section.space.ebsd_channels
        return _says(given.x[:, :split], given.x[:, split:])

    def cancel(step: int, steps: int) -> None:
        if step == 1:
            raise Stop

    x = initial_state(section, 1, torch.Generator().manual_seed(6))
    with pytest.raises(Stop):
        sample(denoise, section, x, karras_levels(5), cancel)
    assert len(calls) == 1
