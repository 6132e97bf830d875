"""The verifier, weights of samples and Markov chains against answers known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from benchmarks.scaling_strategies.draws import orientation_of, state_from, votes
from benchmarks.scaling_strategies.ensemble import SHIFTS
from benchmarks.scaling_strategies.particles import planned
from benchmarks.scaling_strategies.pooling import geometric_mean
from benchmarks.scaling_strategies.refine import accepted, tiles
from benchmarks.scaling_strategies.setting import Setting
from benchmarks.scaling_strategies.verifier import WITHHELD, verifier, withhold
from benchmarks.scaling_strategies.weighing import effective, resampled, tempered
from grainloop.model.reconstruct import Problem
from tests.model.reconstruct.problems import voronoi

from .conftest import SHAPE


def test_chains_reach_the_posterior(rng: np.random.Generator) -> None:
    """1,600 independent chains over three states: proposals from the prior, posterior ∝ prior × likelihood."""
    prior, likelihood = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.4, 1.0])
    shape = (40, 40)
    every_pixel = np.arange(1600).reshape(shape)
    state, seen = np.zeros(shape, np.int64), np.zeros(3)
    for step in range(150):
        proposed = rng.choice(3, size=shape, p=prior)
        gain = np.log(likelihood)[proposed] - np.log(likelihood)[state]
        state = np.where(accepted(gain, every_pixel, rng), proposed, state)
        seen += np.bincount(state.ravel(), minlength=3) * (step >= 30)
    posterior = prior * likelihood / (prior * likelihood).sum()
    assert seen / seen.sum() == pytest.approx(posterior, abs=0.005)


def test_a_tile_decides_as_one(rng: np.random.Generator) -> None:
    tile = tiles((20, 30), 8, rng)
    assert max(np.bincount(tile.ravel())) == 64
    taken = accepted(rng.normal(0, 0.1, tile.shape), tile, rng)
    assert all(len(set(taken[tile == number])) == 1 for number in np.unique(tile))
    assert accepted(np.full(tile.shape, 1.0), tile, rng).all()
    assert not accepted(np.full(tile.shape, -50.0), tile, rng).any()


def test_the_truth_does_best(setting: Setting, problem: Problem) -> None:
    truth, label = voronoi(SHAPE, 20, 3)
    other = truth.copy()
    other[label == 4] = truth[label == 5][0]
    verify = verifier(setting, problem.points)
    right, off = verify(truth), verify(other)
    assert right.sum() > off.sum()
    assert np.array_equal(right[label != 4], off[label != 4])


def test_points_that_are_withheld_are_gone_and_all_others_are_left(setting: Setting, problem: Problem) -> None:
    reduced, verify = withhold(setting, 1)
    hidden, left = ({tuple(at) for at in of.position_px} for of in (verify.points, reduced.problem.points))
    assert not hidden & left
    assert len(hidden | left) == len(problem.points)
    assert len(hidden) == round(WITHHELD * len(problem.points))
    assert withhold(setting, 1)[0] is reduced


def test_tempering_keeps_half_and_leaves_close_scores_alone() -> None:
    apart, close = np.array([0.0, -400.0, -900.0, -90.0]), np.array([0.0, -0.1, -0.2, 0.1])
    assert effective(tempered(apart)) == pytest.approx(2, abs=1e-3)
    assert list(np.argsort(tempered(apart))) == list(np.argsort(apart))
    assert tempered(close) == pytest.approx(softmax(close))


def test_resampling_takes_each_as_often_as_it_weighs(rng: np.random.Generator) -> None:
    weight = np.array([0.5, 0.0, 0.3, 0.2])
    count = np.mean([np.bincount(resampled(weight, rng), minlength=4) for _ in range(4000)], axis=0)
    assert count == pytest.approx(4 * weight, abs=0.03)


@pytest.mark.parametrize("left", range(70))
def test_particles_fit_into_what_is_left(left: int) -> None:
    count, steps = planned(left)
    assert 1 + count * (steps + 1) <= max(left, 1)


def test_geometric_mean_of_experts() -> None:
    a, b = (torch.tensor(p).reshape(1, 3, 1, 1) for p in ([0.8, 0.2, 0.0], [0.2, 0.8, 0.0]))
    assert torch.allclose(geometric_mean([a, b]).flatten(), torch.tensor([0.5, 0.5, 0.0]))
    assert torch.allclose(geometric_mean([a, a]), a)


def test_shifts_differ_and_begin_with_none() -> None:
    assert SHIFTS[0] == (0, 0)
    assert len(set(SHIFTS)) == len(SHIFTS) == 64


def test_a_map_votes_for_its_own_candidates(setting: Setting) -> None:
    section = setting.section
    nearest = setting.evidence.seeds.orientation[section.index[0, 0].numpy()]
    state = state_from(setting, nearest)
    cast = votes(setting, state)
    assert torch.equal(cast.sum(1), torch.ones_like(cast[:, 0]))
    assert bool((cast[:, 0] == 1).all())
    assert np.abs(np.sum(orientation_of(setting, state) * nearest, axis=-1)).shape == SHAPE
