"""Smoothing of labels solves the equations it claims to solve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from grainloop.model.reconstruct.smooth import mean_field, probabilities

NEIGHBOURS = [(dr, dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1) if (dr, dc) != (0, 0)]


def random_model(seed, shape=(5, 6), k=3):
    rng = np.random.default_rng(seed)
    label = np.stack([rng.permutation(5)[:k] for _ in range(shape[0] * shape[1])]).reshape(*shape, k).astype(np.int32)
    prior = rng.normal(size=(*shape, k + 1)).astype(np.float32)
    absent = rng.random(shape) < 0.3
    label[absent, -1], prior[absent, k - 1] = -1, -np.inf
    return prior, label


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_without_coupling_the_prior_stays(seed):
    prior, label = random_model(seed)
    np.testing.assert_allclose(mean_field(prior, label, 0.0, 3), softmax(prior, axis=-1), atol=1e-6)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_result_solves_the_mean_field_equations(seed):
    prior, label = random_model(seed)
    coupling = 0.25
    belief = mean_field(prior, label, coupling, 60).astype(np.float64)
    assert np.all(belief[prior == -np.inf] == 0)
    expected = prior.astype(np.float64)
    h, w, k = label.shape
    for r in range(h):
        for c in range(w):
            for dr, dc in NEIGHBOURS:
                if 0 <= r + dr < h and 0 <= c + dc < w:
                    strength = coupling / np.hypot(dr, dc)
                    there = dict(zip(label[r + dr, c + dc].tolist(), belief[r + dr, c + dc], strict=False))
                    expected[r, c, k] += strength * belief[r + dr, c + dc, k]
                    for i in range(k):
                        if label[r, c, i] >= 0:
                            expected[r, c, i] += strength * there.get(int(label[r, c, i]), 0.0)
    np.testing.assert_allclose(belief, softmax(expected, axis=-1), atol=2e-5)


def test_smoothing_removes_a_speck_and_keeps_an_edge():
    truth = np.repeat([[0] * 6 + [1] * 6], 12, axis=0)
    label = np.broadcast_to(np.array([0, 1], np.int32), (12, 12, 2)).copy()
    prior = np.full((12, 12, 3), -6.0, np.float32)
    for k in (0, 1):
        prior[..., k] = np.where(truth == k, 0.5, -0.5)
    prior[6, 2, :2] = -0.5, 0.5
    found = mean_field(prior, label, 0.4, 8)[..., :2].argmax(-1)
    assert np.array_equal(found, truth)


@pytest.mark.parametrize("coupling", [0.2, 0.6])
def test_stronger_coupling_makes_a_uniform_section_surer(coupling):
    prior, label = np.zeros((8, 8, 2), np.float32), np.zeros((8, 8, 1), np.int32)
    prior[..., 0] = 0.3
    belief = mean_field(prior, label, coupling, 8)[..., 0]
    assert belief[4, 4] > softmax([0.3, 0.0])[0]
    assert belief[4, 4] >= belief[0, 0]


def swept(prior, label, coupling, sweeps):
    """Slow reference: pixels of one colour of the checkerboard in raster order, then those of the other."""
    belief = softmax(prior.astype(np.float64), axis=-1)
    h, w, k = label.shape
    for parity in [0, 1] * sweeps:
        for r, c in [(r, c) for r in range(h) for c in range(w) if (r + c) % 2 == parity]:
            energy = prior[r, c].astype(np.float64)
            for dr, dc in NEIGHBOURS:
                if 0 <= r + dr < h and 0 <= c + dc < w:
                    there = belief[r + dr, c + dc]
                    same = (label[r, c][:, None] == label[r + dr, c + dc]) & (label[r, c][:, None] >= 0)
                    energy += coupling / np.hypot(dr, dc) * np.append(same @ there[:k], there[k])
            belief[r, c] = softmax(energy)
    return belief


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_sweeps_go_over_the_checkerboard_in_raster_order(seed):
    prior, label = random_model(seed)
    np.testing.assert_allclose(mean_field(prior, label, 0.8, 2), swept(prior, label, 0.8, 2), atol=2e-6)


def test_probabilities_are_the_softmax_and_nothing_impossible_gets_any():
    log = np.random.default_rng(3).normal(scale=30, size=(7, 9, 11)).astype(np.float32)
    log[..., 4] = -np.inf
    found = probabilities(log)
    np.testing.assert_allclose(found, softmax(log.astype(np.float64), axis=-1), atol=1e-6)
    assert np.all(found[..., 4] == 0)
