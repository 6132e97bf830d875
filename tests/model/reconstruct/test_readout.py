"""What is read from the weights of candidates: map, doubt, bound, boundaries, grains."""

import numpy as np
import pytest

from grainloop.model.crystal import disorientation_deg, multiply, quaternion_from_axis_angle, random_quaternions
from grainloop.model.reconstruct import Problem, SparsePoints
from grainloop.model.reconstruct import readout as module
from grainloop.model.reconstruct.problem import WRONG_DEG
from grainloop.model.reconstruct.readout import (
    KEPT,
    NEGLIGIBLE,
    SHARED,
    bound_within_deg,
    error_bound_deg,
    heaviest,
    read_out,
    unlike_angles_deg,
)
from grainloop.model.reconstruct.seeds import Seeds, find_seeds
from tests.model.reconstruct.problems import some_pixels


def tilted(*degrees):
    return np.stack([quaternion_from_axis_angle(np.array([1.0, 0.0, 0.0]), np.radians(d)) for d in degrees]).astype(
        np.float32
    )


def case(degrees, shape=(1, 6)):
    """Seeds in the first columns of a row, of the given tilts."""
    position = np.array([(0, c) for c in range(len(degrees))], np.int32)
    points = SparsePoints(position, tilted(*degrees), np.ones(len(degrees), bool))
    given = Problem(shape, "6/mmm", points)
    return given, find_seeds(given)[0]


def constant(shape, values, dtype):
    return np.broadcast_to(np.array(values, dtype), (*shape, len(values))).copy()


def test_candidates_that_agree_outvote_the_heaviest():
    given, seeds = case([0, 40, 42, 44])
    found = read_out(
        given, seeds, constant((1, 6), [0, 1, 2, 3], np.int32), constant((1, 6), [0.4, 0.2, 0.2, 0.1], np.float32)
    )
    far = found.orientation[0, 5]
    assert disorientation_deg(far, tilted(42)[0], "6/mmm") < 2.1
    assert found.p_wrong[0, 5] == pytest.approx(0.5, abs=1e-6)


def test_expected_error_weighs_every_candidate_and_the_unknown():
    given, seeds = case([0, 30])
    found = read_out(given, seeds, constant((1, 6), [0, 1], np.int32), constant((1, 6), [0.6, 0.3], np.float32))
    unknown = unlike_angles_deg(seeds, "6/mmm").mean()
    assert found.expected_error_deg[0, 5] == pytest.approx(0.3 * 30 + 0.1 * unknown, rel=1e-4)
    assert found.p_wrong[0, 5] == pytest.approx(0.4, abs=1e-6)
    assert found.candidates.free[0, 5] == pytest.approx(0.1, abs=1e-6)


def test_measured_pixels_keep_their_orientation_and_say_how_doubtful_it_is():
    given, seeds = case([0, 30])
    found = read_out(given, seeds, constant((1, 6), [0, 1], np.int32), constant((1, 6), [0.9, 0.1], np.float32))
    assert np.array_equal(found.orientation[0, 1], seeds.orientation[1])
    assert found.p_wrong[0, 1] == pytest.approx(0.9, abs=1e-6)
    assert found.p_wrong[0, 0] == pytest.approx(0.1, abs=1e-6)


def test_a_boundary_is_where_neighbours_belong_to_different_grains():
    given, seeds = case([0, 1, 30], shape=(2, 6))
    seed = np.zeros((2, 6, 1), np.int32)
    seed[:, 3:] = 2
    seed[:, 2] = 1
    found = read_out(given, seeds, seed, np.ones((2, 6, 1), np.float32))
    assert found.boundary[:, 2] == pytest.approx(1)
    assert np.delete(found.boundary, 2, axis=1) == pytest.approx(0)


def test_grains_are_counted_from_one():
    given, seeds = case([0, 0, 30, 30])
    seed = np.array([[0, 0, 2, 2, 2, 0]], np.int32)[..., None]
    found = read_out(given, seeds, seed, np.ones((1, 6, 1), np.float32))
    assert found.grain.tolist() == [[1, 1, 2, 2, 2, 3]]


def test_indices_of_candidates_are_those_of_the_points_given():
    points = SparsePoints(
        np.array([(0, 0), (0, 1), (0, 2)], np.int32), tilted(0, 10, 40), np.array([False, True, True])
    )
    given = Problem((1, 4), "6/mmm", points)
    seeds, _ = find_seeds(given)
    found = read_out(given, seeds, constant((1, 4), [0, 1], np.int32), constant((1, 4), [0.7, 0.3], np.float32))
    assert found.candidates.point[0, 3].tolist() == [1, 2]


def test_the_typical_error_of_one_orientation_is_that_of_random_ones():
    one = Seeds(np.zeros((1, 2), np.int32), tilted(0), np.arange(1), np.zeros(1, np.int32), 10.0)
    assert 50 < unlike_angles_deg(one, "6/mmm").mean() < 70
    assert 35 < unlike_angles_deg(one, "m-3m").mean() < 47


def random_case(shape=(14, 17), points=60, candidates=7, seed=0):
    """Scattered seeds of some hundred orientations, half of them near others, and random weights below 1."""
    rng = np.random.default_rng(seed)
    base = random_quaternions(points // 3, rng)
    turn = np.stack([quaternion_from_axis_angle(np.array([0.0, 1.0, 0.0]), np.radians(d)) for d in (0, 3, 6)])
    orientation = multiply(base[:, None], turn[None]).reshape(-1, 4)[:points].astype(np.float32)
    position = some_pixels(shape, len(orientation), seed).astype(np.int32)
    given = Problem(shape, "6/mmm", SparsePoints(position, orientation, np.ones(len(orientation), bool)))
    seeds, _ = find_seeds(given)
    chosen = np.stack([rng.permutation(len(seeds))[:candidates] for _ in range(shape[0] * shape[1])])
    weight = rng.dirichlet(np.full(candidates + 1, 0.4), size=len(chosen))[:, :-1].astype(np.float32)
    index = np.where(rng.random(chosen.shape) < 0.1, -1, chosen).astype(np.int32)
    return given, seeds, index.reshape(*shape, -1), np.where(index < 0, 0, weight).reshape(*shape, -1)


def slowly(given, seeds, seed, weight):
    """The formulas of the module, pixel by pixel."""
    angle = np.asarray(disorientation_deg(seeds.orientation[:, None], seeds.orientation[None], "6/mmm"))
    unlike, (h, w) = unlike_angles_deg(seeds, "6/mmm").mean(), given.shape
    order = np.argsort(-weight, axis=-1, kind="stable")[..., :KEPT]
    seed, weight = (np.take_along_axis(a, order, axis=-1) for a in (seed, weight))
    apart = np.where(
        (seed[..., None] >= 0) & (seed[..., None, :] >= 0), angle[seed[..., None], seed[..., None, :]], 180
    )
    same = (apart <= 5) | np.eye(KEPT, dtype=bool)
    support = (same * weight[..., None, :]).sum(-1)
    chosen = np.take_along_axis(seed, support.argmax(-1)[..., None], axis=-1)[..., 0]
    chosen[tuple(seeds.position.T)] = np.arange(len(seeds))
    away = np.where(seed >= 0, angle[chosen[..., None], seed], 180)
    wrong = 1 - np.where(away <= 5, weight, 0).sum(-1)
    free = 1 - weight.sum(-1)
    error = np.where(seed >= 0, weight * away, 0).sum(-1) + free * unlike
    boundary = np.zeros(given.shape)
    for r, c in np.ndindex(h, w):
        for y, x in ((r + 1, c), (r, c + 1)):
            if y < h and x < w:
                joint = weight[r, c][:, None] * weight[y, x]
                a, b = seed[r, c][:, None], seed[y, x]
                near = (a >= 0) & (b >= 0) & (angle[a, b] <= 5) & (joint > NEGLIGIBLE)
                one = free[r, c] * free[y, x] + (joint * ((a == b) | near)).sum()
                boundary[r, c] = max(boundary[r, c], (1 - one) / (1 - one + SHARED * one))
    return chosen, wrong, error, boundary


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_map_is_that_of_the_plain_formulas(seed, monkeypatch):
    monkeypatch.setattr(module, "SMALL_TABLE", 128)  # so that the table of pairs must grow
    case_ = random_case(seed=seed)
    found, (chosen, wrong, error, boundary) = read_out(*case_), slowly(*case_)
    assert np.array_equal(found.orientation, case_[1].orientation[chosen])
    np.testing.assert_allclose(found.p_wrong, wrong, atol=2e-6)
    np.testing.assert_allclose(found.expected_error_deg, error, atol=1e-3)
    np.testing.assert_allclose(found.boundary, boundary, atol=2e-6)


def test_reading_out_what_tiles_kept_is_reading_out_the_section():
    given, seeds, seed, weight = random_case()
    whole = read_out(given, seeds, seed, weight)
    tiles = [heaviest(seed[rows], weight[rows]) for rows in (slice(0, 5), slice(5, 14))]
    kept = (np.concatenate(columns) for columns in zip(*tiles, strict=True))
    again = read_out(given, seeds, *kept)
    assert np.array_equal(whole.boundary, again.boundary)
    assert np.array_equal(whole.p_wrong, again.p_wrong)
    assert np.array_equal(whole.candidates.free, again.candidates.free)


def test_the_bound_is_the_quantile_of_the_error():
    rng = np.random.default_rng(4)
    angle = rng.uniform(0, 90, size=(30, 1, 4)).astype(np.float32)
    weight = rng.dirichlet(np.full(5, 0.5), size=(30, 1))[..., :4].astype(np.float32)
    unlike = rng.uniform(20, 90, size=4000)
    bound = error_bound_deg(angle, weight, unlike)
    for a, w, got in zip(angle[:, 0], weight[:, 0], bound[:, 0], strict=True):
        grid = np.linspace(0, 92, 9201)
        below = ((a <= grid[:, None]) * w).sum(-1) + (1 - w.sum()) * (unlike <= grid[:, None]).mean(-1)
        assert got == pytest.approx(grid[np.argmax(below >= 0.9)], abs=0.8)


def test_inside_a_grain_the_bound_is_the_quantile_of_maxwells_law():
    rng = np.random.default_rng(5)
    scatter = np.array([[0.3, 1.0, 2.0]], np.float32)
    right = np.array([[1.0, 0.97, 0.92]], np.float32)
    error = np.linalg.norm(rng.normal(size=(200_000, 3)), axis=-1) / np.sqrt(3)
    for s, r, got in zip(scatter[0], right[0], bound_within_deg(right, scatter)[0], strict=True):
        assert r * np.mean(error * s <= got) == pytest.approx(0.9, abs=0.004)
    assert bound_within_deg(np.array([[1.0]], np.float32), np.array([[30.0]], np.float32)) == WRONG_DEG
