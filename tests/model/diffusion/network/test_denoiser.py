"""What the denoiser and the losses do in fewer passes over memory equals the plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grainloop.model.diffusion.network import denoiser
from grainloop.model.diffusion.network.state import StateSpace, state_space
from grainloop.model.diffusion.training.examples import ExampleConfig, make_batch, unpack
from grainloop.model.diffusion.training.losses import BOUND, denoising_loss, edm_weight, masked_mean
from grainloop.model.diffusion.training.trainer import build_denoiser


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(inputs, outputs, 1).double()


def test_a_table_is_the_concatenation_of_its_maps(generator: torch.Generator) -> None:
    """Slots of features follow one another as they did when the features were one array (B, K, F, h, w)."""
    first, last = (torch.randn(2, n, 4, 6, generator=generator, dtype=torch.float64) for n in (3, 2))
    features = torch.randn(2, 5, 7, 4, 6, generator=generator, dtype=torch.float64)
    plain = torch.cat([first, features.flatten(1, 2), last], 1)
    maps = denoiser._below_one_another([first], list(features.unbind(2)), [last])
    table = denoiser._table(40, maps, first)
    assert torch.equal(table.transpose(0, 1), plain)
    layer = convolution(40, 3)
    assert torch.allclose(denoiser._from_table(layer, table), layer(plain))


def test_the_head_is_a_convolution(generator: torch.Generator) -> None:
    layer, x = convolution(6, 4), torch.randn(2, 6, 4, 5, generator=generator, dtype=torch.float64)
    x = x.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(denoiser._to_table(layer, x).transpose(0, 1), layer(x))


def test_a_weighed_sum_ignores_weights_without_a_feature(generator: torch.Generator) -> None:
    start, features = (torch.randn(*s, generator=generator) for s in ((2, 5, 4, 4), (2, 5, 7, 4, 4)))
    weights = torch.randn(2, 8, 4, 4, generator=generator)
    expected = start + torch.einsum("bfhw,bkfhw->bkhw", weights[:, :7], features)
    assert torch.allclose(denoiser._weighed_sum(start, weights, list(features.unbind(2))), expected, atol=1e-5)


@pytest.mark.parametrize("weighed", [True, False])
def test_the_bounded_error_and_its_slope_are_the_plain_ones(weighed: bool, generator: torch.Generator) -> None:
    estimate = (2 * torch.randn(3, 4, 5, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    target, weight = (torch.rand(3, 4, 5, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    valid = torch.rand(3, 1, 5, 6, generator=generator) > 0.3
    plain = masked_mean(((weight if weighed else 1) * (estimate - target).square()).clamp_max(BOUND), valid)
    found = denoising_loss(estimate, target, weight if weighed else None, valid)
    assert found.item() == pytest.approx(plain.item())
    (expected,), (slope,) = (torch.autograd.grad(2 * loss, estimate) for loss in (plain, found))
    assert torch.allclose(slope, expected)
    assert denoising_loss(estimate, target, None, torch.zeros_like(valid)).item() == 0


def test_the_weight_of_a_level_is_that_of_edm() -> None:
    sigma, data = torch.tensor([0.01, 0.3, 80.0]), torch.tensor([0.5, 1.0, 2.0])
    bounded = sigma.clamp_min(0.05)
    expected = (bounded.square() + data.square()) / (bounded * data).square()
    assert torch.allclose(edm_weight(sigma, data), expected)


@pytest.mark.parametrize("backbone", ["unet", "dit"])
@pytest.mark.parametrize("group", ["6/mmm", "m-3m"])
def test_the_state_has_a_gradient(group: str, backbone: str, small: ExampleConfig) -> None:
    """Samplers that correct a state by its likelihood differentiate through the whole denoiser."""
    space = state_space(group)
    given, _ = unpack(_batch(space, small))
    network = build_denoiser(space, backbone)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.02 * torch.randn_like(value))
    given.x.requires_grad_()
    said = network(given)
    (slope,) = torch.autograd.grad(said.boundary.sum(), given.x)
    assert bool(slope.isfinite().all())
    assert float(slope.abs().max()) > 0


def _batch(space: StateSpace, config: ExampleConfig) -> dict[str, Tensor]:
    batch = make_batch(np.random.default_rng(8), space, config)
    return {name: torch.from_numpy(value) for name, value in batch.items()}
