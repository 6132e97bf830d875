"""The gate of an untrained network says what the classical posterior says; without weights that one takes over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grainloop.model.crystal import disorientation_deg, multiply, quaternion_from_axis_angle, random_quaternions
from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError
from grainloop.model.diffusion.checkpoints.shipped import Weights, load_shipped
from grainloop.model.diffusion.inference.method import JointGate
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.training.trainer import build_denoiser
from grainloop.model.light import predict_light
from grainloop.model.reconstruct import METHODS, Options, PLCandidates, Problem, SparsePoints, never, no_report
from grainloop.protocols.errors import Cancelled
from tests.model.reconstruct.problems import grid_pixels, measured, perfect_light, voronoi

SHAPE = (37, 50)
"""No multiple of what the backbone wants."""


@pytest.fixture
def problem() -> Problem:
    truth, _ = voronoi(SHAPE, 25, 3)
    return Problem(SHAPE, "6/mmm", measured(truth, grid_pixels(SHAPE, 0.05)))


def _untrained(space: StateSpace) -> JointGate:
    weights = Weights(build_denoiser(space).eval(), space, "0" * 64)

    def find(group: str) -> Weights:
        if group != space.group.name:
            raise CheckpointError(f"No trained model for Laue group {group} is installed.")
        return weights

    return JointGate(find, PLCandidates())


def test_an_untrained_network_starts_from_the_classical_posterior(problem: Problem, space: StateSpace) -> None:
    found = _untrained(space)(problem, Options(), no_report, never)
    classical = METHODS["pl_candidates"](problem, Options(), no_report, never)
    assert np.mean(np.any(found.orientation != classical.orientation, axis=-1)) < 0.01  # ties may fall otherwise
    assert found.p_wrong == pytest.approx(classical.p_wrong, abs=0.015)  # a measured pixel knows more


def test_another_laue_group_is_left_to_the_classical_method(problem: Problem, space: StateSpace) -> None:
    cubic = replace(problem, laue_group="m-3m")
    found = _untrained(space)(cubic, Options(), no_report, never)
    classical = METHODS["pl_candidates"](cubic, Options(), no_report, never)
    assert np.array_equal(found.orientation, classical.orientation)
    assert any("No trained model for Laue group m-3m" in note for note in found.degraded)


def test_nothing_measured_is_nothing_known(problem: Problem, space: StateSpace) -> None:
    empty = replace(problem, points=problem.points.select(np.zeros(len(problem.points), np.bool_)))
    found = _untrained(space)(empty, Options(), no_report, never)
    assert (found.p_wrong == 1).all()
    assert (found.grain == 0).all()


def test_samples_agree_with_the_probabilities_of_the_map(problem: Problem, space: StateSpace) -> None:
    found = _untrained(space)(problem, Options(members=64, seed=3), no_report, never)
    assert found.samples is not None
    assert found.samples.shape == (64, *SHAPE, 4)
    off = disorientation_deg(found.samples, found.orientation[None], "6/mmm") > 5
    assert off.mean() == pytest.approx(found.p_wrong.mean(), abs=0.02)
    at = tuple(problem.points.position_px.T)
    assert np.array_equal(found.samples[(slice(None), *at)][0], problem.points.orientation)


def test_samples_are_the_same_for_a_seed(problem: Problem, space: StateSpace) -> None:
    method = _untrained(space)
    for steps in (None, 2):
        first, again, other = (
            method(problem, Options(members=2, steps=steps, seed=seed), no_report, never).samples for seed in (1, 1, 2)
        )
        assert first is not None
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_diffusion_samples_are_cancelled_between_two_evaluations(problem: Problem, space: StateSpace) -> None:
    stages: list[tuple[float, str]] = []

    def cancelled() -> bool:
        return sum(stage == "samples" for _, stage in stages) > 3

    with pytest.raises(Cancelled):
        _untrained(space)(problem, Options(members=8, steps=3), lambda *of: stages.append(of), cancelled)
    fractions = [fraction for fraction, _ in stages]
    assert fractions == sorted(fractions)
    assert sum(stage == "samples" for _, stage in stages) == 4


@pytest.mark.parametrize("steps", [None, 1])
def test_a_deadline_leaves_the_map_and_the_samples_drawn_so_far(
    problem: Problem, space: StateSpace, steps: int | None
) -> None:
    answers = iter([False, False, False, True])
    hurried = Options(members=8, steps=steps, out_of_time=lambda: next(answers))
    found = _untrained(space)(problem, hurried, no_report, never)
    assert found.samples is not None
    assert len(found.samples) == 3
    none = _untrained(space)(problem, Options(members=8, steps=steps, out_of_time=lambda: True), no_report, never)
    assert none.samples is None
    assert np.array_equal(none.orientation, found.orientation)


def test_denoised_maps_come_with_the_posterior(problem: Problem, space: StateSpace) -> None:
    found = _untrained(space)(problem, Options(), no_report, never)
    assert found.denoised is not None
    assert found.light is not None
    assert np.linalg.norm(found.denoised, axis=-1) == pytest.approx(1, abs=1e-5)
    assert found.light.shape == (5, *SHAPE)
    plain = _untrained(space)(problem, Options(denoised=False), no_report, never)
    assert (plain.denoised, plain.light) == (None, None)
    assert np.array_equal(plain.orientation, found.orientation)
    assert np.array_equal(plain.p_wrong, found.p_wrong)


def test_denoised_pl_is_what_the_likely_grains_show(space: StateSpace) -> None:
    truth, _ = voronoi(SHAPE, 25, 3)
    noisy = perfect_light(truth, noise=0.3)
    lit = Problem(SHAPE, "6/mmm", measured(truth, grid_pixels(SHAPE, 0.1)), noisy)
    found = _untrained(space)(lit, Options(), no_report, never)
    assert found.light is not None
    shown = np.moveaxis(predict_light(truth), -1, 0)
    before, after = (np.sqrt(np.mean((features - shown) ** 2)) for features in (noisy.features, found.light))
    assert after < 0.6 * before


def test_the_order_of_measuring_changes_nothing(problem: Problem) -> None:
    """With the network that ships, which has learnt what the order of equally near candidates means."""
    method = JointGate(load_shipped, PLCandidates())
    shuffled = np.random.default_rng(11).permutation(len(problem.points))
    again = replace(problem, points=problem.points.select(shuffled))
    first, second = (method(one, Options(), no_report, never) for one in (problem, again))
    assert np.array_equal(first.orientation, second.orientation)
    assert np.array_equal(first.p_wrong, second.p_wrong)


def test_the_denoised_map_takes_noise_out_and_doubts_what_all_neighbours_contradict() -> None:
    """With the network that ships: two halves with noise of 1°, one point of them mis-indexed."""
    rng = np.random.default_rng(12)
    halves = random_quaternions(3, rng)
    truth = np.where((np.arange(SHAPE[1]) < SHAPE[1] // 2)[None, :, None], halves[0], halves[1]) * np.ones((*SHAPE, 1))
    vector = np.radians(1.0) / np.sqrt(3) * rng.normal(size=(*SHAPE, 3))
    noisy = multiply(quaternion_from_axis_angle(vector, np.linalg.norm(vector, axis=-1)), truth)
    noisy[8, 5] = halves[2]
    position = np.argwhere(np.ones(SHAPE)).astype(np.int32)
    points = SparsePoints(position, noisy.reshape(-1, 4).astype(np.float32), np.ones(len(position), np.bool_))
    found = JointGate(load_shipped, PLCandidates())(Problem(SHAPE, "6/mmm", points), Options(), no_report, never)
    assert found.denoised is not None
    error = disorientation_deg(found.denoised, truth.astype(np.float32), "6/mmm")
    assert error[8, 5] < 1
    assert error.mean() < 0.5 * np.delete(disorientation_deg(noisy, truth, "6/mmm").ravel(), 8 * SHAPE[1] + 5).mean()
    assert disorientation_deg(found.orientation[8, 5], noisy[8, 5], "6/mmm") < 0.1


def test_a_lamella_of_one_pixel_is_no_mistake() -> None:
    """With the network that ships: of two points side by side neither is doubted, whatever surrounds them."""
    halves = random_quaternions(2, np.random.default_rng(13))
    truth = np.broadcast_to(halves[0], (*SHAPE, 4)).astype(np.float32).copy()
    truth[10, 8:14] = halves[1]
    points = measured(truth, np.argwhere(np.ones(SHAPE)))
    found = JointGate(load_shipped, PLCandidates())(Problem(SHAPE, "6/mmm", points), Options(), no_report, never)
    assert found.denoised is not None
    assert disorientation_deg(found.denoised, truth, "6/mmm").max() < 0.1
