"""Scores of uncertainty against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from grainloop.model.estimate.scores import auroc, ause, coverage, energy_score, pair_brier, patches


def test_auroc() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.4])
    assert auroc(score, np.array([False, False, True, True])) == 1
    assert auroc(score, np.array([True, False, False, True])) == 0.5
    assert auroc(np.ones(4), np.array([True, False, False, True])) == 0.5
    assert np.isnan(auroc(score, np.zeros(4, bool)))


def test_coverage_counts_errors_at_or_below_their_bound() -> None:
    assert coverage(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 5.0, 5.0])) == 0.75


def test_sparsification_error_vanishes_for_the_best_ranking_and_grows_with_disorder() -> None:
    error = np.random.default_rng(0).exponential(size=4000)
    assert ause(error, error) == 0
    assert ause(np.ones(4000), error) > 0.3
    assert ause(-error, error) > ause(np.ones(4000), error)


def test_the_energy_score_of_one_normal_number() -> None:
    """For X, X' ~ N(0, 1) and y = 0: E|X| − ½ E|X − X'| = √(2/π) − 1/√π (Gneiting & Raftery 2007)."""
    samples = np.random.default_rng(1).normal(size=(60, 20_000, 1))
    expected = np.sqrt(2 / np.pi) - 1 / np.sqrt(np.pi)
    assert energy_score(samples, np.zeros((20_000, 1))) == pytest.approx(expected, abs=0.005)


def test_the_energy_score_prefers_the_true_spread() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(4000, 3))
    of = {sd: energy_score(sd * rng.normal(size=(20, 4000, 3)), truth) for sd in (0.3, 1.0, 3.0)}
    assert of[1.0] < min(of[0.3], of[3.0])


def test_patches_hold_each_pixel_once() -> None:
    maps = np.arange(2 * 5 * 8 * 3).reshape(2, 5, 8, 3)
    cut = patches(maps, edge=4)
    assert cut.shape == (2, 2, 48)
    assert np.array_equal(cut[1, 1].reshape(4, 4, 3), maps[1, :4, 4:8])


def test_the_brier_score_does_not_depend_on_the_number_of_samples() -> None:
    rng = np.random.default_rng(3)
    probability, truth = rng.random(50_000), rng.random(50_000)
    truly = truth < probability
    for count in (2, 8):
        differ = rng.random((count, 50_000)) < probability
        assert pair_brier(differ, truly) == pytest.approx(1 / 6, abs=0.01)  # ∫ p(1 − p) dp
