"""The reference samplers as reconstructors, on an untrained network: contracts, not quality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from grainloop.model.crystal import disorientation_deg, random_quaternions
from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError
from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.reference import REFERENCE_METHODS, ReferenceMethod
from grainloop.model.diffusion.inference.reference.common import unconditional
from grainloop.model.diffusion.inference.reference.readout import boundary_share, medoid
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.training.trainer import build_denoiser
from grainloop.model.reconstruct import Options, Problem, never, no_report
from grainloop.protocols.errors import Cancelled
from tests.model.reconstruct.problems import grid_pixels, measured, voronoi

SHAPE = (19, 26)
"""No multiple of what the backbone wants."""
OPTIONS = Options(members=3, steps=5, seed=4)


@pytest.fixture
def problem() -> Problem:
    truth, _ = voronoi(SHAPE, 9, 3)
    return Problem(SHAPE, "6/mmm", measured(truth, grid_pixels(SHAPE, 0.1)))


@pytest.fixture(params=list(REFERENCE_METHODS))
def method(request: pytest.FixtureRequest, space: StateSpace) -> ReferenceMethod:
    weights = Weights(build_denoiser(space).eval().requires_grad_(False), space, "0" * 64)
    return replace(REFERENCE_METHODS[request.param], weights=lambda group: weights)


def test_measured_pixels_keep_their_orientation(method: ReferenceMethod, problem: Problem) -> None:
    found = method(problem, OPTIONS, no_report, never)
    at = tuple(problem.points.position_px.T)
    assert np.array_equal(found.orientation[at], problem.points.orientation)
    assert found.orientation.shape == (*SHAPE, 4)
    assert set(np.unique(np.round(found.p_wrong * 3, 4))) <= {0, 1, 2, 3}
    assert ((found.boundary >= 0) & (found.boundary <= 1)).all()
    assert (found.grain > 0).all()


def test_the_seed_decides_the_map(method: ReferenceMethod, problem: Problem) -> None:
    first, again, other = (
        method(problem, replace(OPTIONS, seed=seed), no_report, never).orientation for seed in (4, 4, 5)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_evaluations_are_as_many_as_asked(method: ReferenceMethod, problem: Problem) -> None:
    stages: list[str] = []
    method(problem, OPTIONS, lambda fraction, stage: stages.append(stage), never)
    assert stages.count("sampling") == OPTIONS.steps


def test_cancelling_stops_before_the_next_evaluation(method: ReferenceMethod, problem: Problem) -> None:
    stages: list[str] = []
    with pytest.raises(Cancelled, match="sampling"):
        method(problem, OPTIONS, lambda fraction, stage: stages.append(stage), lambda: stages.count("sampling") == 3)
    assert stages.count("sampling") == 3


def test_nothing_measured_is_nothing_known(method: ReferenceMethod, problem: Problem) -> None:
    empty = replace(problem, points=problem.points.select(np.zeros(len(problem.points), np.bool_)))
    found = method(empty, OPTIONS, no_report, never)
    assert (found.p_wrong == 1).all()


def test_without_weights_nothing_takes_over(problem: Problem) -> None:
    other = replace(problem, laue_group="mmm")
    with pytest.raises(CheckpointError, match="No trained model for Laue group mmm"):
        REFERENCE_METHODS["dps"](other, OPTIONS, no_report, never)


def test_the_prior_sees_one_level_and_no_candidate(space: StateSpace) -> None:
    """At σ_max an untrained network knows nothing, whatever the state."""
    denoise = unconditional(build_denoiser(space).eval(), space, (16, 16))
    x = 80 * torch.randn(2, space.channels, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert float(denoise(x, 80.0).abs().max()) < 0.3
        assert denoise(x, 0.01).numpy() == pytest.approx(x.numpy(), rel=1e-2, abs=1e-2)


def test_the_medoid_is_the_sample_nearest_to_the_others() -> None:
    rng = np.random.default_rng(2)
    q = random_quaternions(5, rng).astype(np.float32)[:, None, None]
    angles = disorientation_deg(q, q[None, :, 0, 0][:, :, None], "6/mmm").squeeze()
    samples = np.concatenate([q, q[2:3]])
    assert np.array_equal(medoid(samples, "6/mmm")[0, 0], samples[np.r_[0:5, 2][_least(angles)], 0, 0])


def _least(angles: np.ndarray) -> int:
    """Which of five orientations has the least summed angle when the third occurs twice."""
    return int((angles.sum(1) + angles[:, 2]).argmin())


def test_the_share_of_samples_with_a_boundary() -> None:
    flat = np.zeros((2, 3, 4), np.float32)
    flat[..., 0] = 1
    turned = flat.copy()
    turned[:, 2] = np.array([np.cos(0.1), np.sin(0.1), 0, 0])
    share = boundary_share(np.stack([flat, turned]), "6/mmm")
    assert share == pytest.approx(np.array([[0, 0.5, 0], [0, 0.5, 0]]))
