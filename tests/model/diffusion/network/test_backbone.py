"""Backbones: any map size, cost that grows with the area, small enough, and nothing in them that does not learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from grainloop.model.diffusion.inference.method import gate_evaluation
from grainloop.model.diffusion.network.backbone import BACKBONES, UnknownBackbone, make_backbone, parameter_count
from grainloop.model.diffusion.network.backbones.dit import DiT, beyond_the_edge, with_halo
from grainloop.model.diffusion.network.conditions import gather_evidence, section_input
from grainloop.model.diffusion.network.denoiser import Denoised
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.training.trainer import build_denoiser
from grainloop.model.reconstruct import Problem
from tests.model.reconstruct.problems import grid_pixels, measured, voronoi

MAX_PARAMETERS = 6_000_000
CHANNELS = 32


def made(name: str) -> nn.Module:
    """A backbone with every parameter off its start, so that nothing is multiplied by zero."""
    torch.manual_seed(0)
    backbone = make_backbone(name, CHANNELS, CHANNELS)
    assert isinstance(backbone, nn.Module)
    with torch.no_grad():
        for value in backbone.parameters():
            value.add_(0.02 * torch.randn_like(value))
    return backbone


def million_multiplications(backbone: nn.Module, shape: tuple[int, int]) -> float:
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        backbone(torch.zeros(1, CHANNELS, *shape))
    return counted.get_total_flops() / 2e6


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("factors", [(1, 1), (1, 3), (4, 2), (5, 7)])
def test_any_multiple_is_a_map_size(name: str, factors: tuple[int, int]) -> None:
    backbone = make_backbone(name, CHANNELS, 7)
    assert 16 % backbone.multiple == 0
    shape = (factors[0] * backbone.multiple, factors[1] * backbone.multiple)
    assert backbone(torch.randn(2, CHANNELS, *shape)).shape == (2, 7, *shape)


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_are_small_and_cost_alike_in_proportion_to_the_area(name: str) -> None:
    backbone = made(name)
    assert parameter_count(backbone) <= MAX_PARAMETERS
    one, nine = (million_multiplications(backbone, shape) for shape in ((64, 64), (192, 192)))
    assert nine == pytest.approx(9 * one, rel=0.01)
    assert one == pytest.approx(million_multiplications(made("unet"), (64, 64)), rel=0.1)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    backbone = made(name)
    backbone(torch.randn(2, CHANNELS, 48, 48)).square().mean().backward()
    for where, value in backbone.named_parameters():
        assert value.grad is not None, where
        assert float(value.grad.abs().max()) > 0, where


@pytest.mark.parametrize("name", BACKBONES)
def test_a_map_moved_by_a_multiple_gives_the_same_features_moved(name: str) -> None:
    """Where the map begins and ends must not be felt, so it is long; position within it must not be either."""
    backbone = made(name).double().eval()
    x = torch.zeros(1, CHANNELS, 1024, 32, dtype=torch.float64)
    x[:, :, 512:528] = torch.randn(1, CHANNELS, 16, 32, dtype=torch.float64)
    with torch.no_grad():
        here, there = backbone(x), backbone(x.roll(16, 2))
    assert torch.allclose(here[:, :, 504:536], there[:, :, 520:552], atol=1e-9)


def test_an_untrained_denoiser_is_the_classical_posterior(space: StateSpace) -> None:
    """All candidates are equally far away where everything is unknown and zero: what remains is the prior."""
    truth, _ = voronoi((48, 64), 20, 3)
    problem = Problem((48, 64), "6/mmm", measured(truth, grid_pixels((48, 64), 0.05)))
    section = section_input((48, 64), gather_evidence(problem, space), space)
    unit = torch.nn.functional.normalize(section.points, dim=-1)
    far = replace(section, measured=torch.zeros_like(section.measured), level=torch.full_like(section.level, 80.0))
    for name in BACKBONES:
        said = gate_evaluation(build_denoiser(space, name).eval(), replace(far, points=unit))
        shares = section.prior[:, :-1].exp() * section.known
        expected = (1 - said.free_weight) * shares / shares.sum(1, keepdim=True)
        assert torch.allclose(said.weights, expected, atol=1e-6), name
        assert not _heads(said).any(), name


def _heads(said: Denoised) -> Tensor:
    """The outputs of the head that reach what is said as they are."""
    return torch.cat([said.boundary, said.wrong], 1)


def test_windows_see_their_halo_and_nothing_beyond_the_edge() -> None:
    x = torch.arange(8 * 12, dtype=torch.float64).reshape(1, 8, 12, 1) + 1
    cut = with_halo(x)[0, 1, 1].reshape(8, 8)
    assert torch.equal(cut[:6], x[0, 2:8, 2:10, 0])
    assert bool((cut[6:] == 0).all())
    beyond = beyond_the_edge(x)[0, 1, 1, 0, 0].reshape(8, 8)
    assert torch.equal(beyond != 0, cut == 0)
    assert torch.autograd.gradcheck(with_halo, (x.clone().requires_grad_(),))


def test_a_window_attends_to_its_halo_alone() -> None:
    torch.manual_seed(2)
    dit = DiT(4, 4, width=32, depth=1, heads=2)
    with torch.no_grad():
        for value in dit.parameters():
            value.add_(0.1 * torch.randn_like(value))
    x = torch.randn(1, 4, 64, 64, requires_grad=True)
    dit(x)[0, :, 16:32, 16:32].sum().backward()
    assert x.grad is not None
    seen = np.argwhere(x.grad.abs().sum((0, 1)).numpy() > 0)
    assert (seen.min(), seen.max()) == (8, 39)


def test_a_backbone_that_there_is_not_is_told() -> None:
    with pytest.raises(UnknownBackbone, match=r"no backbone 'cnn' \(known: unet, dit\)"):
        make_backbone("cnn", 1, 1)
