"""Turning a section is the same as turning the specimen: candidates, PL and embeddings, without any network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.scaling_strategies.symmetry import (
    IDENTITY,
    SYMMETRIES,
    Symmetry,
    exchanges,
    row_by_row,
    shifted,
    turned,
    turned_problem,
)
from benchmarks.scaling_strategies.views import look
from grainloop.model.crystal import disorientation_deg, embed, multiply, random_quaternions
from grainloop.model.diffusion.network import conditions
from grainloop.model.diffusion.network.candidates import FEATURES
from grainloop.model.diffusion.network.conditions import gather_evidence, section_input
from grainloop.model.diffusion.network.state import StateSpace, state_space
from grainloop.model.reconstruct import Problem, RegisteredLight
from grainloop.model.reconstruct.problem import PriorSection
from tests.model.reconstruct.problems import measured, perfect_light, some_pixels, voronoi

SHAPE = (29, 40)
SMOOTHED = 6
"""The feature made of weights after mean-field smoothing, whose sweeps have an order and so a direction."""
SIGNS = {(0, False): (1, 1, 1, 1, 1), (1, False): (1, 1, 1, -1, -1), (0, True): (1, 1, -1, 1, -1)}
"""Of m, C4, S4, C2, S2: φ → φ − 90° and φ → −φ."""


def turned_by_hand(problem: Problem, by: Symmetry) -> Problem:
    """The problem that the same specimen poses when it lies turned or mirrored, written down independently."""
    number = torch.full(problem.shape, -1)
    number[tuple(torch.from_numpy(problem.points.position_px.T.astype(np.int64)))] = torch.arange(len(problem.points))
    number = by.turn_map(number).numpy()
    position = np.argwhere(number >= 0)[np.argsort(number[number >= 0])].astype(np.int32)
    orientation = multiply(by.rotation, problem.points.orientation.astype(np.float64)).astype(np.float32)
    points = replace(problem.points, position_px=position, orientation=orientation)
    light = problem.light
    assert light is not None
    signs = np.array(SIGNS[0, by.mirror])
    for _ in range(by.turns):
        signs = signs * SIGNS[1, False]
    features = by.turn_map(torch.from_numpy(light.features)).numpy() * signs[:, None, None].astype(np.float32)
    sigma = by.turn_map(torch.from_numpy(light.sigma)).numpy()
    turned_light = RegisteredLight(features.copy(), sigma.copy(), light.residual_px)
    return Problem((number.shape[0], number.shape[1]), problem.laue_group, points, turned_light)


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Points at random, so that few are equally far away; noise of PL differs from pixel to pixel."""
    truth, _ = voronoi(SHAPE, 15, 3)
    light = perfect_light(truth, 0.1)
    sigma = light.sigma * np.random.default_rng(4).uniform(0.5, 2, light.sigma.shape).astype(np.float32)
    points = measured(truth, some_pixels(SHAPE, 70, 1))
    return Problem(SHAPE, "6/mmm", points, RegisteredLight(light.features, sigma, 0.2))


@pytest.mark.parametrize("by", SYMMETRIES)
def test_a_turned_section_is_the_section_of_the_turned_specimen(
    problem: Problem, space: StateSpace, by: Symmetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its seeds in the same order, because of seeds equally far away the first counts as nearer."""
    evidence = gather_evidence(problem, space)
    ours, other, at = (
        turned(section_input(SHAPE, evidence, space), by),
        turned_by_hand(problem, by),
        evidence.seeds.index,
    )
    position, orientation = other.points.position_px[at], other.points.orientation[at]
    seeds = replace(evidence.seeds, position=position, orientation=orientation)
    monkeypatch.setattr(conditions, "find_seeds", lambda _: (seeds, ()))
    theirs = section_input(other.shape, gather_evidence(other, space), space)
    assert torch.equal(ours.index, theirs.index)
    assert torch.equal(ours.known, theirs.known)
    for name in ("measured", "level", "points", "points_light"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), atol=3e-5, rtol=1e-5)
    torch.testing.assert_close(ours.context, theirs.context, atol=1e-4, rtol=1e-4)
    exact = [number for number in range(FEATURES) if number != SMOOTHED]
    torch.testing.assert_close(ours.features[:, :, exact], theirs.features[:, :, exact], atol=2e-4, rtol=1e-3)
    assert float((ours.prior.exp() - theirs.prior.exp()).abs().mean()) < 2e-3


@pytest.mark.parametrize("by", SYMMETRIES)
def test_turning_back_undoes_turning(by: Symmetry) -> None:
    value = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(by.turn_back(by.turn_map(value)), value)


@pytest.mark.parametrize("by", SYMMETRIES)
@pytest.mark.parametrize("group", ["6/mmm", "m-3m"])
def test_embeddings_exchange_channels_exactly(group: str, by: Symmetry) -> None:
    q = random_quaternions(500, np.random.default_rng(7))
    exchange = exchanges(group, by)[0].double().numpy()
    assert np.array_equal(np.abs(exchange).sum(axis=0), np.ones(len(exchange)))
    assert np.array_equal(exchange @ exchange.T, np.eye(len(exchange)))
    assert embed(q, group) @ exchange == pytest.approx(embed(multiply(by.rotation, q), group), abs=1e-10)


def test_light_changes_signs_as_the_azimuth_says() -> None:
    for (turns, mirror), signs in SIGNS.items():
        exchange = exchanges("6/mmm", Symmetry(turns, mirror))[1]
        assert torch.equal(exchange, torch.diag(torch.tensor(signs, dtype=torch.float32)))
    assert exchanges("m-3m", SYMMETRIES[3])[1].shape == (0, 0)


@pytest.mark.parametrize("by", SYMMETRIES)
def test_disorientations_stay(by: Symmetry) -> None:
    q = random_quaternions(100, np.random.default_rng(8))
    moved = multiply(by.rotation, q)
    for group in ("6/mmm", "m-3m", "4/m", "-3"):
        before, after = (disorientation_deg(each[:50], each[50:], group) for each in (q, moved))
        assert after == pytest.approx(before, abs=1e-4)


def test_the_first_two_four_and_eight_are_groups() -> None:
    value = torch.arange(6.0).reshape(2, 3)
    seen = [by.turn_map(value) for by in SYMMETRIES]
    assert len({(tuple(each.shape), tuple(each.flatten().tolist())) for each in seen}) == 8
    for count in (2, 4, 8):
        for first in SYMMETRIES[:count]:
            for second in SYMMETRIES[:count]:
                both = second.turn_map(first.turn_map(value))
                assert any(torch.equal(both, each) for each in seen[:count])


def test_a_shifted_section_holds_the_section(problem: Problem, space: StateSpace) -> None:
    section = section_input(SHAPE, gather_evidence(problem, space), space)
    moved = shifted(section, 3, 8)
    for name in ("measured", "level", "index", "known", "prior", "features", "context"):
        value = getattr(moved, name)
        assert torch.equal(value[..., 3:, 8:], getattr(section, name))
        assert torch.equal(value[..., :3, :], value[..., 3:4, :].expand_as(value[..., :3, :]))
    assert torch.equal(moved.points, section.points)


def test_the_identity_changes_nothing(problem: Problem) -> None:
    space = state_space("6/mmm")
    section = section_input(SHAPE, gather_evidence(problem, space), space)
    same = turned(shifted(section, 0, 0), IDENTITY)
    for name in ("measured", "level", "points", "points_light", "index", "prior", "features", "context"):
        assert torch.equal(getattr(same, name), getattr(section, name))


@pytest.mark.parametrize("by", SYMMETRIES)
def test_the_problem_of_the_turned_specimen(problem: Problem, by: Symmetry) -> None:
    ours, theirs = turned_problem(problem, by), turned_by_hand(problem, by)
    assert ours.shape == theirs.shape
    assert np.array_equal(ours.points.position_px, theirs.points.position_px)
    assert np.array_equal(ours.points.orientation, theirs.points.orientation)
    assert ours.light is not None
    assert theirs.light is not None
    assert np.array_equal(ours.light.features, theirs.light.features)
    assert np.array_equal(ours.light.sigma, theirs.light.sigma)


@pytest.mark.parametrize("by", SYMMETRIES)
def test_a_prior_section_turns_with_the_points(problem: Problem, by: Symmetry) -> None:
    truth, _ = voronoi(SHAPE, 15, 3)
    known = np.arange(truth[..., 0].size).reshape(SHAPE) % 3 > 0
    found = turned_problem(replace(problem, prior=PriorSection(truth, known, 2.0)), by)
    assert found.prior is not None
    at = tuple(found.points.position_px.T)
    assert np.array_equal(found.prior.orientation[at], found.points.orientation)
    assert np.array_equal(found.prior.known[at], known[tuple(problem.points.position_px.T)])


def test_row_by_row_is_the_order_of_pixels(problem: Problem) -> None:
    ordered, order = row_by_row(problem)
    number = ordered.points.position_px @ (SHAPE[1], 1)
    assert (np.diff(number) > 0).all()
    assert np.array_equal(problem.points.position_px[order], ordered.points.position_px)


@pytest.mark.parametrize("by", SYMMETRIES)
def test_a_view_brings_probabilities_back_to_their_grains(problem: Problem, space: StateSpace, by: Symmetry) -> None:
    """A network that believes in the nearest grain does so in every view, where distances are not tied."""
    evidence = gather_evidence(problem, space)
    section = section_input(SHAPE, evidence, space)
    view = look(problem, evidence, section, by)
    weights = torch.zeros(1, *view.section.known.shape[1:])
    weights[:, 0], weights[:, 1] = 0.6, 0.3
    back = view.brought_back(weights)
    assert torch.allclose(back.sum(1), torch.ones_like(back[:, 0]))
    away = section.features[:, 1:3, 0] - section.features[:, :2, 0]
    clear = (away > 1e-4).all(1) & section.known[:, :3].all(1)
    assert float(clear.float().mean()) > 0.5
    assert torch.allclose(back[:, 0][clear], torch.tensor(0.6))
    assert torch.allclose(back[:, 1][clear], torch.tensor(0.3))


def test_views_do_not_depend_on_the_order_of_measuring(problem: Problem, space: StateSpace) -> None:
    shuffled = replace(problem, points=problem.points.select(np.random.default_rng(3).permutation(70)))
    first, second = (
        look(given, evidence, section_input(SHAPE, evidence, space), SYMMETRIES[1])
        for given in (problem, shuffled)
        for evidence in (gather_evidence(given, space),)
    )
    for name in ("measured", "index", "known", "features", "prior"):
        assert torch.equal(getattr(first.section, name), getattr(second.section, name))
