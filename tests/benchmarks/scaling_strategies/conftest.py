"""A small section with PL, and a denoiser whose answers depend on everything it sees."""

from __future__ import annotations

import pytest
import torch

from benchmarks.scaling_strategies.setting import Setting, prepare
from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.training.trainer import build_denoiser
from grainloop.model.reconstruct import Problem
from tests.model.diffusion.conftest import rng, space
from tests.model.reconstruct.problems import grid_pixels, measured, perfect_light, voronoi

__all__ = ["problem", "rng", "setting", "space", "trained"]

SHAPE = (32, 48)


@pytest.fixture(scope="session")
def trained(space: StateSpace) -> Weights:
    """Random heads, so that the network neither is blind to the map nor respects its symmetries."""
    denoiser = build_denoiser(space)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        denoiser.head.weight.normal_(0, 0.3, generator=generator)
    return Weights(denoiser.eval().requires_grad_(False), space, "0" * 64)


@pytest.fixture(scope="session")
def problem() -> Problem:
    truth, _ = voronoi(SHAPE, 20, 3)
    return Problem(SHAPE, "6/mmm", measured(truth, grid_pixels(SHAPE, 0.05)), perfect_light(truth, 0.1))


@pytest.fixture
def setting(trained: Weights, problem: Problem) -> Setting:
    return prepare(trained, problem)
