import numpy as np
import pytest

from model.crystal import disorientation_deg, quaternion_from_axis_angle
from model.reconstruct import Problem, SparsePoints
from model.reconstruct.readout import read_out, typical_error_deg
from model.reconstruct.seeds import Seeds, find_seeds


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
    unknown = typical_error_deg(seeds, "6/mmm")
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
    assert 50 < typical_error_deg(one, "6/mmm") < 70
    assert 35 < typical_error_deg(one, "m-3m") < 47
