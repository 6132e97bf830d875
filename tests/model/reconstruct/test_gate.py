"""The classical gate: which measured grains may lie at a pixel, and how likely each is."""

import numpy as np
import pytest
from scipy.special import expit

from grainloop.model.crystal import random_quaternions
from grainloop.model.light import predict_light
from grainloop.model.reconstruct import RegisteredLight
from grainloop.model.reconstruct import gate as module
from grainloop.model.reconstruct.gate import (
    distance_log_odds,
    light_log_likelihood,
    light_trust,
    nearest_of_each_group,
    open_gate,
)
from grainloop.model.reconstruct.seeds import Seeds, find_seeds
from tests.model.reconstruct.problems import grid_pixels, perfect_light, problem, voronoi


def seeds_at(position, group, seed=0, length=10.0):
    position = np.array(position, np.int32)
    q = random_quaternions(len(position), np.random.default_rng(seed)).astype(np.float32)
    return Seeds(position, q, np.arange(len(position)), np.array(group, np.int32), length)


def test_candidates_are_the_nearest_seed_of_each_group_in_order_of_distance():
    rng = np.random.default_rng(5)
    position = np.argwhere(np.ones((9, 11)))[rng.permutation(99)[:12]]
    seeds = seeds_at(position, rng.integers(4, size=12))
    found, distance = nearest_of_each_group((9, 11), seeds)
    for r in range(9):
        for c in range(11):
            away = np.hypot(*(position - (r, c)).T)
            best = sorted(min(away[seeds.group == g]) for g in np.unique(seeds.group))
            kept = found[r, c][found[r, c] >= 0]
            assert distance[r, c, : len(best)] == pytest.approx(best)
            assert len(kept) == len(best) == len(set(seeds.group[kept]))
            assert np.all(np.isinf(distance[r, c, len(best) :]))


def test_a_map_larger_than_a_chunk_is_the_same_as_in_one_piece(monkeypatch):
    seeds = seeds_at([(1, 2), (8, 8), (4, 11), (7, 0)], [0, 1, 2, 3])
    whole = nearest_of_each_group((9, 13), seeds)
    monkeypatch.setattr(module, "CHUNK_PIXELS", 30)
    pieces = nearest_of_each_group((9, 13), seeds)
    assert all(np.array_equal(a, b) for a, b in zip(whole, pieces, strict=True))


def test_one_seed_alone_is_believed_by_the_exponential_law():
    distance = np.array([[[0.5], [3.0], [20.0]]], np.float32)
    log_odds = distance_log_odds(distance, 7.0)
    assert log_odds[..., 1] == pytest.approx(0)
    assert expit(log_odds[0, :, 0]) == pytest.approx(np.exp(-distance[0, :, 0] / 7.0), rel=1e-5)


def test_a_missing_candidate_is_impossible_and_a_far_one_is_not_nan():
    log_odds = distance_log_odds(np.array([[[np.inf, 1e6]]], np.float32), 1.0)
    assert log_odds[0, 0, 0] == -np.inf
    assert np.isfinite(log_odds[0, 0, 1])


def test_light_likelihood_is_the_tempered_capped_gaussian():
    seeds = seeds_at([(0, 0), (0, 3), (2, 1)], [0, 1, 2])
    rng = np.random.default_rng(1)
    features = rng.normal(scale=0.5, size=(5, 3, 4)).astype(np.float32)
    sigma = rng.uniform(0.1, 0.6, size=(5, 3, 4)).astype(np.float32)
    found, _ = nearest_of_each_group((3, 4), seeds)
    got = light_log_likelihood(RegisteredLight(features, sigma), seeds, found, 0.3)
    expected = predict_light(seeds.orientation)
    misfit = ((features[None] - expected[:, :, None, None]) ** 2 / sigma**2).sum(axis=1) * 0.3 / 2
    misfit = np.minimum(misfit, module.MISFIT_CAP)
    for k in range(3):
        assert got[..., k] == pytest.approx(-np.take_along_axis(misfit, found[None, ..., k], axis=0)[0], rel=1e-4)
    assert got[..., -1] == pytest.approx(np.log(np.exp(-misfit).mean(axis=0)), rel=1e-4)


@pytest.mark.parametrize("sigma", [np.inf, np.nan, 0.0])
def test_light_that_is_not_trusted_changes_nothing(sigma):
    seeds = seeds_at([(1, 1), (6, 6), (1, 6)], [0, 1, 2])
    features = np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32)
    light = RegisteredLight(features, np.full((5, 8, 8), sigma, np.float32))
    with_light, without = open_gate((8, 8), seeds, light, 0.2), open_gate((8, 8), seeds, None)
    np.testing.assert_allclose(with_light.weight, without.weight, atol=1e-6)


def test_weights_and_the_free_share_sum_to_one():
    gate = open_gate((8, 8), seeds_at([(1, 1), (6, 6)], [0, 1]), None)
    assert gate.weight.sum(-1) + gate.free == pytest.approx(1, abs=1e-5)


def test_trust_follows_what_light_says_of_the_points():
    truth, _ = voronoi((48, 48), 30, seed=2)
    seeds, _ = find_seeds(problem(truth, grid_pixels((48, 48), 0.05)))
    light = perfect_light(truth, 0.1)
    unrelated = RegisteredLight(light.features[:, ::-1, ::-1].copy(), light.sigma)
    noise = RegisteredLight(np.random.default_rng(3).normal(size=light.features.shape).astype(np.float32), light.sigma)
    assert light_trust((48, 48), seeds, light) == module.TRUST[-1]
    assert light_trust((48, 48), seeds, unrelated) <= 0.02
    assert light_trust((48, 48), seeds, noise) <= 0.02


def test_light_can_overrule_distance():
    seeds = seeds_at([(0, 0), (0, 9)], [0, 1], seed=3)
    features = np.broadcast_to(predict_light(seeds.orientation[1])[:, None, None], (5, 1, 10)).astype(np.float32)
    gate = open_gate((1, 10), seeds, RegisteredLight(features, np.full((5, 1, 10), 0.05, np.float32)), 0.2)
    second = np.where(gate.seed == 1, gate.weight, 0).sum(-1)
    assert np.all(second[0, 2:] > 0.5)


def test_trust_maximises_the_likelihood_of_the_measured_groups():
    truth, _ = voronoi((32, 32), 25, seed=6)
    seeds, _ = find_seeds(problem(truth, grid_pixels((32, 32), 0.1)))
    light = perfect_light(truth, 0.9, seed=2)
    found, _ = nearest_of_each_group((32, 32), seeds)
    candidates = found[tuple(seeds.position.T)]
    seen = light.features[:, *seeds.position.T].T[:, None]
    misfit = ((seen - predict_light(seeds.orientation)[candidates]) ** 2).sum(-1) / (2 * 0.9**2)
    misfit = np.where(candidates >= 0, np.minimum(misfit, module.MISFIT_CAP / module.TRUST[-1]), np.inf)
    with np.errstate(invalid="ignore"):
        odds = [np.where(candidates >= 0, np.exp(-t * misfit), 0) for t in module.TRUST]
    likelihood = [np.mean(np.log(o[:, 0] / o.sum(-1))) for o in odds]
    assert light_trust((32, 32), seeds, light) == module.TRUST[np.argmax(likelihood)]


def test_threads_change_nothing(monkeypatch):
    truth, _ = voronoi((40, 50), 30, seed=8)
    seeds, _ = find_seeds(problem(truth, grid_pixels((40, 50), 0.1)))
    light = perfect_light(truth, 0.2)
    alone = open_gate((40, 50), seeds, light, 0.1)
    monkeypatch.setattr(module, "CHUNK_PIXELS", 300)
    shared = open_gate((40, 50), seeds, light, 0.1)
    assert np.array_equal(alone.seed, shared.seed)
    assert np.array_equal(alone.weight, shared.weight)
