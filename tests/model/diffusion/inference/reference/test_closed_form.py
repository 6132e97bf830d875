"""Reference samplers under a Gaussian prior with its exact denoiser, where the posterior is known.

All three are biased, which is why the levels asserted are what was measured (1000 samples, given here for noise 0.1 as
the rms deviation of the mean from the exact one, whose rms is 1.07, over pixels not measured, and the ratio of their
standard deviation to the exact one; the error of the mean by chance is 0.02):

    DPS, ζ = 0.1, 100 steps            0.18   0.89   400 steps: 0.36   0.91   (a constant ζ acts once a step)
    RePaint, without resampling, 100   0.53   1.14
    RePaint, 5 resamplings, 250        0.21   0.94   (measured pixels 0.11 and 2.8: jumps below σ_y undo them)
    DiffPIR, ζ = 0.3, 100 steps        0.46   1.12   400 steps: 0.22   1.03
    DiffPIR, ζ = 1, 100 steps          0.17   0.73

More steps at one ζ take DPS further from the posterior. DiffPIR comes closer with more steps, RePaint with more
resamplings; no limit was established for either.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from grainloop.model.diffusion.inference.reference import sample_diffpir, sample_dps, sample_repaint
from grainloop.model.diffusion.inference.reference.repaint import walk
from grainloop.model.diffusion.inference.sampler import karras_levels
from grainloop.model.diffusion.network.state import SIGMA_MAX
from tests.model.diffusion.inference.reference import toy

NOISE = 0.1
SAMPLES = 300
Sampler = Callable[..., Tensor]


def _drawn(sampler: Sampler, given: toy.Section, steps: int, samples: int = SAMPLES) -> Tensor:
    """(samples, CHANNELS, PIXELS)"""
    levels = karras_levels(steps).to(toy.DTYPE)
    return sampler(toy.denoise, given, levels, torch.Generator().manual_seed(0), samples)[:, :, 0]


def _bias(sampler: Sampler, steps: int) -> tuple[float, float, float]:
    """Of the mean at pixels not measured and at measured ones, and the ratio of the spreads at the former."""
    given = toy.section(NOISE)
    mean, spread = toy.posterior(given)
    free = given.level[0, :, 0] == SIGMA_MAX
    x = _drawn(sampler, given, steps)
    off = x.mean(0) - mean
    ratio = (x.std(0) / spread)[free].mean()
    return float(off[free].square().mean().sqrt()), float(off[~free].square().mean().sqrt()), float(ratio)


@pytest.mark.parametrize(
    ("sampler", "steps", "bias", "at_points", "spread"),
    [
        pytest.param(partial(sample_dps, scale=0.1), 100, 0.18, 0.02, 0.89, id="dps"),
        pytest.param(partial(sample_repaint, resamplings=1, jump=1), 100, 0.53, 0.02, 1.14, id="repaint-once"),
        pytest.param(partial(sample_repaint, resamplings=5, jump=1), 50, 0.21, 0.11, 0.94, id="repaint"),
        pytest.param(partial(sample_diffpir, churn=0.3), 100, 0.46, 0.01, 1.12, id="diffpir"),
        pytest.param(partial(sample_diffpir, churn=0.3), 400, 0.22, 0.01, 1.03, id="diffpir-slow"),
        pytest.param(partial(sample_diffpir, churn=1.0), 100, 0.17, 0.01, 0.73, id="diffpir-fresh"),
    ],
)
def test_the_bias_is_what_was_measured(
    sampler: Sampler, steps: int, bias: float, at_points: float, spread: float
) -> None:
    assert _bias(sampler, steps) == pytest.approx((bias, at_points, spread), abs=0.06)


def test_more_steps_do_not_cure_dps() -> None:
    sampler = partial(sample_dps, scale=0.1)
    assert _bias(sampler, 400)[0] > _bias(sampler, 100)[0] + 0.1


@pytest.mark.parametrize("sampler", [sample_dps, sample_repaint, sample_diffpir])
def test_nothing_measured_gives_the_prior(sampler: Sampler) -> None:
    """Zero mean and unit variance; DiffPIR keeps part of the noise it predicted, which few steps make too small."""
    x = _drawn(sampler, toy.unmeasured(), 60)
    assert float(x.mean()) == pytest.approx(0, abs=0.1)
    assert float(x.std()) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("sampler", [sample_dps, sample_repaint, sample_diffpir])
def test_a_seed_decides_everything(sampler: Sampler) -> None:
    first, second = (_drawn(sampler, toy.section(NOISE), 6, 3) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("sampler", [sample_dps, sample_repaint, sample_diffpir])
def test_the_caller_can_cancel_between_evaluations(sampler: Sampler) -> None:
    class Stop(Exception):
        pass

    asked: list[int] = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        asked.append(1)
        return toy.denoise(x, sigma)

    def cancel(number: int, count: int) -> None:
        if number == 2:
            raise Stop

    levels = karras_levels(6).to(toy.DTYPE)
    with pytest.raises(Stop):
        sampler(denoise, toy.section(NOISE), levels, torch.Generator().manual_seed(0), 2, callback=cancel)
    assert len(asked) == 2


def test_every_stretch_is_walked_as_often_as_asked() -> None:
    way = list(walk(4, 2, 2))
    assert way == [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2), (2, 3), (3, 4), (4, 2), (2, 3), (3, 4)]
    assert sum(b > a for a, b in walk(5, 3, 2)) == 15
