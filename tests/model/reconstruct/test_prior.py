"""A neighbouring section is used as far as the measured points bear it out, and else left alone, with a reason."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from grainloop.model.crystal import disorientation_deg
from grainloop.model.microstructure import make_stack, recipe_named
from grainloop.model.reconstruct import METHODS, Options, PriorSection, SparsePoints, never, no_report
from grainloop.model.reconstruct import prior as module
from grainloop.model.reconstruct.gate import nearest_of_each_group
from grainloop.model.reconstruct.prior import (
    NOTHING_MEASURED,
    PriorBelief,
    boundary_distance_px,
    unmoved,
    usable_prior,
)
from grainloop.model.reconstruct.seeds import Seeds, find_seeds
from tests.model.reconstruct.problems import grid_pixels, problem, voronoi

SHAPE = (64, 64)
GROUP = "6/mmm"


def shown(orientation, known=None, spacing_px=1.0):
    known = np.ones(orientation.shape[:2], np.bool_) if known is None else known
    return PriorSection(orientation.astype(np.float32), known, spacing_px)


def close_sections(seed=3, spacing=0.05):
    """Orientations of two neighbouring sections and their distance in px."""
    first, second = make_stack(np.random.default_rng(seed), 2, SHAPE, spacing, recipe_named("equiaxed"))
    return first.orientation, second.orientation, spacing * first.diameter_px


def given(truth, prior, share=0.03):
    return replace(problem(truth, grid_pixels(SHAPE, share)), prior=prior)


def solved(given, method="pl_candidates"):
    return METHODS[method](given, Options(), no_report, never)


def wrong(found, truth):
    return np.mean(disorientation_deg(found.orientation, truth, GROUP) > 5)


@pytest.mark.parametrize("away", [0.0, 0.4, 1.0, 3.0])
def test_boundaries_move_like_isotropic_planes(away):
    """The closed form against the integral over the angle between boundary and section."""
    move = 1.3
    density, _ = quad(lambda t: np.sin(t) ** 2, 0, np.pi)
    passed, _ = quad(lambda t: np.sin(t) ** 2, 0, np.arctan2(move, away))
    assert unmoved(np.array(away), move) == pytest.approx(1 - passed / density)


def test_boundary_distance_counts_the_end_of_what_is_known_as_a_boundary():
    truth = np.tile(np.float32([1, 0, 0, 0]), (5, 9, 1))
    truth[:, 4:] = np.float32([np.cos(0.2), np.sin(0.2), 0, 0])
    known = np.ones((5, 9), np.bool_)
    assert boundary_distance_px(shown(truth), GROUP)[2].tolist() == [3.5, 2.5, 1.5, 0.5, 0.5, 1.5, 2.5, 3.5, 4.5]
    known[:, 8] = False
    assert boundary_distance_px(shown(truth, known), GROUP)[2, 5:].tolist() == [1.5, 1.5, 0.5, 0.5]
    assert np.isinf(boundary_distance_px(shown(truth[:, :4]), GROUP)).all()


def test_likelihood_is_that_of_the_module():
    truth, _ = voronoi((6, 8), 5, seed=1)
    seeds = Seeds(
        np.array([(0, 0), (5, 7), (0, 7)], np.int32), truth[[0, 5, 0], [0, 7, 7]], np.arange(3), np.arange(3), 9.0
    )
    seed, _ = nearest_of_each_group((6, 8), seeds)
    rng = np.random.default_rng(2)
    belief = PriorBelief(truth, rng.uniform(0, 0.9, (6, 8)).astype(np.float32), 0.2, 0.5, GROUP)
    got = belief.log_likelihood(seeds, seed)
    for r in range(6):
        for c in range(8):
            p, f = float(belief.same[r, c]), belief.background
            hit = [k >= 0 and disorientation_deg(truth[r, c], seeds.orientation[k], GROUP) <= 5 for k in seed[r, c]]
            expected = [p + (1 - p) * f if h else (1 - p) * f for h in hit] + [(1 - p) * f]
            if not any(hit):
                expected = [1 - p] * len(hit) + [1.0]
            relative = 0.5 * (np.log(expected) - np.log((1 - p) * (f if any(hit) else 1)))
            assert got[r, c] == pytest.approx(relative, abs=1e-5)


def test_what_the_prior_does_not_show_counts_for_nothing():
    first, second, spacing_px = close_sections()
    known = np.ones(SHAPE, np.bool_)
    known[:, 40:] = False
    first = first.copy()
    first[:, 40:] = np.nan
    case = given(second, shown(first, known, spacing_px))
    seeds, _ = find_seeds(case)
    belief, why = usable_prior(case, seeds)
    assert belief is not None
    assert why == ()
    seed, _ = nearest_of_each_group(SHAPE, seeds)
    assert not belief.log_likelihood(seeds, seed)[:, 40:].any()


def test_a_close_section_makes_a_better_map_that_knows_it():
    first, second, spacing_px = close_sections()
    without, found = (solved(given(second, p)) for p in (None, shown(first, spacing_px=spacing_px)))
    assert not without.prior_used
    assert found.prior_used
    assert wrong(found, second) < 0.8 * wrong(without, second)
    assert found.p_wrong.mean() < without.p_wrong.mean()
    assert 0.5 * wrong(found, second) < found.p_wrong.mean() < 2 * wrong(found, second) + 0.02


@pytest.mark.parametrize("kind", ["of another specimen", "turned round", "far away"])
def test_a_section_that_does_not_belong_here_changes_nothing_and_is_told(kind):
    first, second, spacing_px = close_sections()
    other = {
        "of another specimen": close_sections(seed=9)[0],
        "turned round": first[::-1, ::-1],
        "far away": close_sections(spacing=1.5)[0],
    }[kind]
    without, found = (solved(given(second, p)) for p in (None, shown(other, spacing_px=spacing_px)))
    assert not found.prior_used
    assert np.array_equal(found.orientation, without.orientation)
    assert np.array_equal(found.p_wrong, without.p_wrong)
    assert [note for note in found.degraded if note.startswith(module.NOT_USED)]


def test_a_section_that_is_shifted_gets_less_trust():
    first, second, spacing_px = close_sections()
    trust = []
    for shift in (0, 1, 2):
        case = given(second, shown(np.roll(first, shift, axis=0), spacing_px=spacing_px))
        belief, _ = usable_prior(case, find_seeds(case)[0])
        trust.append(0.0 if belief is None else belief.trust)
    assert trust[0] > trust[1] > trust[2]


def test_measured_pixels_keep_what_was_measured():
    first, second, spacing_px = close_sections()
    case = given(second, shown(first, spacing_px=spacing_px))
    found = solved(case)
    assert np.array_equal(found.orientation[tuple(case.points.position_px.T)], case.points.orientation)


def test_without_a_measured_orientation_nothing_is_inferred_from_a_prior():
    first, _, _ = close_sections()
    nowhere = SparsePoints(np.zeros((0, 2), np.int32), np.zeros((0, 4), np.float32), np.zeros(0, np.bool_))
    found = solved(replace(given(first, shown(first)), points=nowhere))
    assert (found.p_wrong == 1).all()
    assert (found.grain == 0).all()
    assert NOTHING_MEASURED in found.degraded
    assert not found.prior_used


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_points_do_not_bear_a_prior_out(count):
    first, second, spacing_px = close_sections()
    few = problem(second, grid_pixels(SHAPE, 0.03)[:count])
    found = solved(replace(few, prior=shown(first, spacing_px=spacing_px)))
    assert not found.prior_used
    assert np.isfinite(found.p_wrong).all()


def test_a_single_point_has_nothing_to_be_told_from():
    first, _, _ = close_sections()
    seeds, _ = find_seeds(problem(first, [(30, 30)]))
    withheld = module._withheld(shown(first), seeds, np.arange(1), GROUP)
    assert withheld.right.tolist() == [[True]]
    assert module._fit_background(withheld, np.array([0.9]))[1] == pytest.approx(0)


def test_a_prior_that_shows_nothing_where_points_are_is_not_used():
    first, second, spacing_px = close_sections()
    found = solved(given(second, shown(first, np.zeros(SHAPE, np.bool_), spacing_px)))
    assert module.SHOWS_NOTHING in found.degraded


def test_threads_change_nothing(monkeypatch):
    first, second, spacing_px = close_sections()
    case = given(second, shown(first, spacing_px=spacing_px))
    seeds, _ = find_seeds(case)
    belief, _ = usable_prior(case, seeds)
    seed, _ = nearest_of_each_group(SHAPE, seeds)
    alone = belief.log_likelihood(seeds, seed)
    monkeypatch.setattr(module, "CHUNK_PIXELS", 500)
    assert np.array_equal(belief.log_likelihood(seeds, seed), alone)


def test_the_first_of_each_group_against_brute_force():
    value = np.random.default_rng(4).integers(5, size=(20, 9)).astype(np.int32)
    expected = [[v not in row[:k] for k, v in enumerate(row)] for row in value.tolist()]
    assert module._first_of_each(value).tolist() == expected
