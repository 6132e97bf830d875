"""Candidates of every pixel against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from grainloop.model.crystal import embed, random_quaternions
from grainloop.model.diffusion.network.candidates import (
    COUNT,
    LOWEST,
    Candidates,
    candidates_in,
    local_spacing,
    section_candidates,
)
from grainloop.model.diffusion.network.conditions import gather_evidence, predicted_light
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.training.patterns import draw_pattern, regular_grid
from grainloop.model.reconstruct.gate import distance_log_odds
from grainloop.model.reconstruct.problem import Problem, RegisteredLight, SparsePoints
from grainloop.model.reconstruct.seeds import Seeds, find_seeds


def _seeds(rng: np.random.Generator, shape: tuple[int, int], share: float) -> Seeds:
    px = np.argwhere(rng.random(shape) < share).astype(np.int32)
    points = SparsePoints(px, random_quaternions(len(px), rng).astype(np.float32), np.ones(len(px), np.bool_))
    return find_seeds(Problem(shape, "6/mmm", points))[0]


def _gather(shape: tuple[int, int], seeds: Seeds, space: StateSpace) -> Candidates:
    embedding = embed(seeds.orientation, space.group).astype(np.float32)
    return candidates_in(section_candidates(shape, seeds, embedding, predicted_light(seeds.orientation, space)))


def test_first_slot_is_the_nearest_point(rng: np.random.Generator, space: StateSpace) -> None:
    shape = (20, 30)
    seeds = _seeds(rng, shape, 0.05)
    found, px = _gather(shape, seeds, space), seeds.position
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(rows[None] - px[:, 0, None, None], columns[None] - px[:, 1, None, None])
    chosen = np.take_along_axis(distance, found.index[:1].astype(np.int64), 0)[0]
    assert chosen == pytest.approx(distance.min(0))


def test_slots_hold_distinct_groups(rng: np.random.Generator, space: StateSpace) -> None:
    seeds = _seeds(rng, (24, 24), 0.1)
    found = _gather((24, 24), seeds, space)
    for r in range(24):
        for c in range(24):
            groups = seeds.group[found.index[found.known[:, r, c], r, c]]
            assert len(set(groups)) == len(groups) > 0


def test_separation_is_the_chord_to_the_nearest_candidate(rng: np.random.Generator, space: StateSpace) -> None:
    seeds = _seeds(rng, (16, 16), 0.1)
    found, table = _gather((16, 16), seeds, space), embed(seeds.orientation, space.group)
    expected = np.sqrt(np.mean((table[found.index] - table[found.index[:1]]) ** 2, axis=-1))
    assert found.features[:, 2][found.known] == pytest.approx(expected[found.known], abs=1e-4)


def test_prior_is_a_distribution(rng: np.random.Generator, space: StateSpace) -> None:
    found = _gather((16, 16), _seeds(rng, (16, 16), 0.1), space)
    assert np.exp(found.prior).sum(axis=0) == pytest.approx(1, abs=2e-4)


def test_nothing_measured_leaves_no_candidate(space: StateSpace) -> None:
    nowhere = SparsePoints(np.zeros((0, 2), np.int32), np.zeros((0, 4), np.float32), np.zeros(0, np.bool_))
    found = gather_evidence(Problem((8, 8), "6/mmm", nowhere), space).found
    assert found.index.shape == (COUNT, 8, 8)
    assert not found.known.any()
    assert (found.prior[-1] == 0).all()


def _light(rng: np.random.Generator, shape: tuple[int, int]) -> RegisteredLight:
    features = rng.normal(scale=0.5, size=(5, *shape)).astype(np.float32)
    return RegisteredLight(features, np.full(features.shape, 0.3, np.float32))


@pytest.mark.parametrize("share", [0.0, 0.002, 0.1])
@pytest.mark.parametrize(
    "window", [(slice(0, 16), slice(0, 16)), (slice(13, 31), slice(20, 45)), (slice(None), slice(7, 8))]
)
def test_a_window_is_the_crop_of_the_section(
    rng: np.random.Generator, space: StateSpace, share: float, window: tuple[slice, slice]
) -> None:
    shape = (31, 45)
    seeds, light = _seeds(rng, shape, share), _light(rng, shape)
    embedding = embed(seeds.orientation, space.group).astype(np.float32).reshape(-1, space.ebsd_channels)
    given = (shape, seeds, embedding, predicted_light(seeds.orientation, space), light, 0.1)
    section = section_candidates(*given)
    whole, part = candidates_in(section), candidates_in(section, window)
    for name in ("index", "known", "prior", "features", "context"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[..., *window])


def test_features_are_what_they_are_called(rng: np.random.Generator, space: StateSpace) -> None:
    shape = (24, 20)
    seeds = _seeds(rng, shape, 0.08)
    embedding = embed(seeds.orientation, space.group).astype(np.float32)
    light = predicted_light(seeds.orientation, space)
    bending = rng.uniform(0, 2, len(seeds)).astype(np.float32)
    section = section_candidates(shape, seeds, embedding, light, bending_deg_px=bending)
    found = candidates_in(section, (slice(None), slice(None)))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(*(seeds.position[found.index].transpose(3, 0, 1, 2) - np.array([rows, columns])[:, None]))
    members = np.bincount(seeds.group)[seeds.group][found.index]
    expected = [
        away / section.spacing,
        (away - away[0]) / section.spacing,
        np.sqrt(np.mean((embedding[found.index] - embedding[found.index[0]]) ** 2, axis=-1)),
        np.sqrt(np.mean((light[found.index] - light[found.index[0]]) ** 2, axis=-1)),
        np.log(members) / 3,
        np.moveaxis(section.unary, -1, 0)[:-1] / 4,
        found.prior[:-1] / 4,
        np.minimum(3, bending[found.index] * away / 5),
    ]
    np.testing.assert_allclose(found.features, np.stack(expected, axis=1) * found.known[:, None], atol=1e-5)


def test_log_probabilities_before_smoothing_are_those_of_the_distance(
    rng: np.random.Generator, space: StateSpace
) -> None:
    seeds = _seeds(rng, (18, 18), 0.1)
    embedding = embed(seeds.orientation, space.group).astype(np.float32)
    section = section_candidates((18, 18), seeds, embedding, predicted_light(seeds.orientation, space))
    log_odds = distance_log_odds(section.distance, seeds.length_px)
    expected = np.maximum(log_softmax(log_odds.astype(np.float64), axis=-1), LOWEST)
    np.testing.assert_allclose(section.unary, expected, atol=1e-5)


@pytest.mark.parametrize("spacing", [3, 5])
def test_local_spacing_of_a_regular_grid_is_its_spacing(spacing: int) -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[spacing // 2 :: spacing, spacing // 2 :: spacing] = True
    assert local_spacing(mask)[15:-15, 15:-15] == pytest.approx(spacing, rel=0.1)


def test_patterns_span_nothing_to_everything(rng: np.random.Generator) -> None:
    boundary = rng.random((32, 32)) < 0.2
    shares = np.array([draw_pattern(rng, (32, 32), boundary).mean() for _ in range(300)])
    assert shares.min() == 0
    assert shares.max() == 1
    assert 0.02 < np.median(shares) < 0.3
    assert regular_grid(rng, (32, 32)).any()
