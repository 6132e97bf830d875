"""The Bayes gate against its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grainloop.model.crystal import random_quaternions
from grainloop.model.diffusion.network.gate import (
    Slots,
    gate_weights,
    light_mismatch,
    log_likelihood,
    mixture,
    squared_distance,
)
from grainloop.model.diffusion.network.state import LIGHT_MEAN, LIGHT_STD, StateSpace, state_space
from grainloop.model.light import predict_light


def test_weights_and_free_branch_sum_to_one_and_repeated_slots_get_nothing() -> None:
    torch.manual_seed(0)
    logits, free = torch.randn(2, 5, 4, 4), torch.randn(2, 1, 4, 4)
    unique = torch.rand(2, 5, 4, 4) > 0.4
    weights, free_weight = gate_weights(logits, free, unique)
    assert torch.allclose(weights.sum(1, keepdim=True) + free_weight, torch.ones(2, 1, 4, 4), atol=1e-6)
    assert float(weights[~unique].abs().max()) == 0


def test_without_candidates_the_free_branch_decides_alone() -> None:
    weights, free_weight = gate_weights(
        torch.zeros(1, 3, 2, 2), torch.zeros(1, 1, 2, 2), torch.zeros(1, 3, 2, 2, dtype=torch.bool)
    )
    assert float(weights.max()) == 0
    assert float(free_weight.min()) == 1


def test_gate_is_bayes_rule_for_equal_priors() -> None:
    """Two candidates, one channel: the weight is the logistic of the difference of the squared distances."""
    x = torch.tensor(0.3).reshape(1, 1, 1, 1)
    y = torch.tensor([0.0, 1.0]).reshape(1, 2, 1)
    slots = Slots(torch.tensor([0, 1]).reshape(1, 2, 1, 1), torch.ones(1, 2, 1, 1, dtype=torch.bool))
    sigma, tolerance = torch.tensor(0.5), torch.tensor(0.0)
    logits = log_likelihood(squared_distance(x, y, slots), sigma, tolerance)
    weights, _ = gate_weights(logits, torch.full((1, 1, 1, 1), -1e9), slots.known)
    expected = 1 / (1 + np.exp(-(0.7**2 - 0.3**2) / (2 * 0.5**2)))
    assert float(weights[0, 0]) == pytest.approx(expected, abs=1e-6)
    assert float(mixture(weights, y, slots, torch.zeros(1, 1, 1, 1), x)) == pytest.approx(1 - expected, abs=1e-6)


def test_slots_look_up_each_map_among_its_own_points() -> None:
    """Distances and mixtures against the same sums written out per pixel."""
    generator = torch.Generator().manual_seed(3)
    points, x = torch.randn(2, 7, 4, generator=generator), torch.randn(2, 4, 3, 5, generator=generator)
    index = torch.randint(7, (2, 6, 3, 5), generator=generator)
    weights = torch.rand(2, 6, 3, 5, generator=generator)
    slots = Slots.of(index, torch.ones_like(index, dtype=torch.bool), 7)
    y = torch.stack([points[b][index[b]] for b in range(2)])
    expected = (x.permute(0, 2, 3, 1)[:, None] - y).square().sum(-1)
    assert torch.allclose(squared_distance(x, points, slots), expected, atol=1e-5)
    mixed = mixture(weights, points, slots, torch.ones(2, 1, 3, 5), x)
    assert torch.allclose(mixed, (weights[..., None] * y).sum(1).permute(0, 3, 1, 2) + x, atol=1e-5)


@pytest.mark.parametrize("weighs", [False, True])
def test_the_compiled_sums_are_those_of_any_device(weighs: bool) -> None:
    generator = torch.Generator().manual_seed(4)
    points, x, weight = (
        torch.randn(shape, generator=generator) for shape in ((2, 9, 5), (2, 5, 23, 29), (2, 5, 23, 29))
    )
    index = torch.randint(9, (2, 4, 23, 29), generator=generator)
    slots = Slots.of(index, torch.ones_like(index, dtype=torch.bool), 9)
    given = (x.requires_grad_(), points.requires_grad_(), weight.square() if weighs else None)
    compiled = slots.per_slot(*given)
    assert not compiled.requires_grad
    assert torch.allclose(compiled, slots.sums_by_tensors(*given), rtol=1e-5, atol=1e-5)


def test_light_mismatch_ranks_the_true_orientation_first_and_ignores_absent_light() -> None:
    q = random_quaternions(6, np.random.default_rng(1)).astype(np.float32)
    predicted = torch.from_numpy(((predict_light(q) - LIGHT_MEAN) / LIGHT_STD).astype(np.float32))
    light = predicted[2].reshape(1, 5, 1, 1)
    table = predicted.reshape(1, 6, 5)
    slots = Slots(torch.arange(6).reshape(1, 6, 1, 1), torch.ones(1, 6, 1, 1, dtype=torch.bool))
    seen = light_mismatch(light, torch.full((1, 5, 1, 1), 0.1), table, slots)
    absent = light_mismatch(light, torch.full((1, 5, 1, 1), 80.0), table, slots)
    assert int(seen.argmin()) == 2
    assert float(absent.abs().max()) == 0


@pytest.mark.parametrize("name", ["6/mmm", "m-3m"])
def test_spread_of_the_channels_is_that_of_random_orientations(name: str) -> None:
    from grainloop.model.crystal import embed

    space: StateSpace = state_space(name)
    e = embed(random_quaternions(200_000, np.random.default_rng(2)), space.group)
    assert np.sqrt((e**2).mean(0)) == pytest.approx(space.ebsd_std, rel=0.02)


def test_light_is_standardised_over_random_orientations() -> None:
    light = predict_light(random_quaternions(200_000, np.random.default_rng(3)))
    assert light.mean(0) == pytest.approx(LIGHT_MEAN, abs=0.01)
    assert light.std(0) == pytest.approx(LIGHT_STD, rel=0.02)


def test_a_degree_has_the_stated_chord() -> None:
    from grainloop.model.crystal import embed, multiply, quaternion_from_axis_angle

    for name in ("6/mmm", "m-3m"):
        space = state_space(name)
        rng = np.random.default_rng(4)
        q = random_quaternions(50, rng)
        axis = rng.standard_normal((50, 3))
        turned = multiply(quaternion_from_axis_angle(axis / np.linalg.norm(axis, axis=1, keepdims=True), 0.01), q)
        chord = np.linalg.norm(embed(turned, space.group) - embed(q, space.group), axis=-1)
        assert chord == pytest.approx(np.degrees(0.01) * space.chord_per_deg, rel=1e-3)
