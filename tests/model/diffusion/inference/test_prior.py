"""A prior section among the candidates of the joint denoiser: the same evidence as in the classical method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.method import reconstruct
from grainloop.model.diffusion.network.candidates import candidates_in, section_candidates
from grainloop.model.diffusion.network.conditions import DEFAULT_NOISE_DEG, estimated_noise_deg, gather_evidence
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.training.trainer import build_denoiser
from grainloop.model.reconstruct import METHODS, Options, PriorSection, Problem, never, no_report
from grainloop.model.reconstruct.prior import NOT_USED, usable_prior
from grainloop.model.reconstruct.seeds import find_seeds
from tests.model.reconstruct.problems import grid_pixels, measured, voronoi

SHAPE = (40, 48)


@pytest.fixture
def problem() -> Problem:
    """A section whose neighbour shows the same grains, one pixel further down."""
    truth, _ = voronoi(SHAPE, 20, 3)
    prior = PriorSection(np.roll(truth, 1, axis=0), np.ones(SHAPE, np.bool_), 1.0)
    return Problem(SHAPE, "6/mmm", measured(truth, grid_pixels(SHAPE, 0.06)), prior=prior)


def test_an_untrained_network_starts_from_the_classical_posterior_with_the_prior(
    problem: Problem, space: StateSpace
) -> None:
    untrained = Weights(build_denoiser(space).eval(), space, "0" * 64)
    found = reconstruct(untrained, problem, Options(), no_report, never)
    classical = METHODS["pl_candidates"](problem, Options(), no_report, never)
    assert found.prior_used
    assert classical.prior_used
    elsewhere = np.ones(SHAPE, np.bool_)
    elsewhere[tuple(problem.points.position_px.T)] = False  # a measured pixel knows more
    assert found.p_wrong[elsewhere] == pytest.approx(classical.p_wrong[elsewhere], abs=0.015)


def test_a_prior_that_is_not_borne_out_leaves_the_evidence_as_it_is(problem: Problem, space: StateSpace) -> None:
    assert problem.prior is not None
    other, _ = voronoi(SHAPE, 20, 8)
    unrelated = replace(problem, prior=replace(problem.prior, orientation=other))
    found, without = gather_evidence(unrelated, space), gather_evidence(replace(problem, prior=None), space)
    assert not found.prior_used
    assert any(note.startswith(NOT_USED) for note in found.notes)
    assert np.array_equal(found.found.prior, without.found.prior)
    assert np.array_equal(found.found.features, without.found.features)


def test_a_window_is_the_crop_of_the_section(problem: Problem, space: StateSpace) -> None:
    seeds, _ = find_seeds(problem)
    belief, _ = usable_prior(problem, seeds)
    assert belief is not None
    evidence, window = gather_evidence(problem, space), (slice(7, 31), slice(11, 40))
    section = section_candidates(SHAPE, seeds, evidence.embedding, evidence.predicted_light, belief=belief)
    part, whole = candidates_in(section, window), candidates_in(section, (slice(None), slice(None)))
    for name in ("index", "known", "prior", "features", "context"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[..., *window])
    np.testing.assert_array_equal(whole.prior, evidence.found.prior)


def test_one_point_has_the_usual_noise(problem: Problem) -> None:
    alone = replace(problem, points=problem.points.select(np.arange(1)))
    assert estimated_noise_deg(find_seeds(alone)[0], "6/mmm") == DEFAULT_NOISE_DEG
