"""Small examples shared by the tests of the joint denoiser."""

from __future__ import annotations

import numpy as np
import pytest

from grainloop.model.diffusion.network.state import StateSpace, state_space
from grainloop.model.diffusion.training.examples import ExampleConfig

SEED = 5
"""Fixed: these tests draw few examples, and every draw has to pass."""


@pytest.fixture(scope="session")
def space() -> StateSpace:
    return state_space("6/mmm")


@pytest.fixture(scope="session")
def small() -> ExampleConfig:
    """Batches of two maps of 32×32."""
    return ExampleConfig(shapes_px=((32, 32),), pixels=2 * 32 * 32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)
