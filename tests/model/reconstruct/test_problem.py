"""What no reconstruction can begin with is refused by name, and every stage can be cancelled."""

import numpy as np
import pytest

from grainloop.model.reconstruct import METHODS, Options, Problem, RegisteredLight, SparsePoints, never, no_report
from grainloop.protocols.errors import BadInput, Cancelled
from tests.model.reconstruct.problems import problem, some_pixels, voronoi


def solve(name, given, **options):
    return METHODS[name](given, Options(**options), no_report, never)


def points(position, quaternion=(1, 0, 0, 0)):
    return SparsePoints(np.array([position], np.int32), np.array([quaternion], np.float32), np.array([True]))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("position", [(-1, 0), (0, 8), (8, 0)])
def test_a_point_off_the_grid_is_named(name, position):
    with pytest.raises(BadInput, match=rf"\({position[0]}, {position[1]}\) is off the 8×8 grid"):
        solve(name, Problem((8, 8), "6/mmm", points(position)))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("quaternion", [(2, 0, 0, 0), (0, 0, 0, 0), (np.nan, 0, 0, 0)])
def test_an_indexed_point_needs_a_unit_quaternion(name, quaternion):
    with pytest.raises(BadInput, match="quaternion of norm"):
        solve(name, Problem((8, 8), "6/mmm", points((1, 1), quaternion)))


def test_columns_of_different_length_are_refused():
    ragged = SparsePoints(np.zeros((2, 2), np.int32), np.zeros((1, 4), np.float32), np.zeros(2, bool))
    with pytest.raises(BadInput, match="differ in length"):
        solve("nn", Problem((8, 8), "6/mmm", ragged))


def test_light_of_another_shape_is_refused():
    light = RegisteredLight(np.zeros((5, 4, 4), np.float32), np.ones((5, 4, 4), np.float32))
    with pytest.raises(BadInput, match="registered PL"):
        solve("pl_candidates", Problem((8, 8), "6/mmm", points((1, 1)), light))


@pytest.mark.parametrize("name", METHODS)
def test_cancelling_takes_effect_at_every_stage(name):
    given = problem(*_small())
    stages = []
    METHODS[name](given, Options(members=2), lambda _, stage: stages.append(stage), never)
    assert len(stages) >= 3
    for patience in range(len(stages)):
        assert _stages_until_cancelled(name, given, patience) == stages[:patience]


def _stages_until_cancelled(name, given, patience):
    seen = []
    with pytest.raises(Cancelled):
        METHODS[name](given, Options(members=2), lambda _, s: seen.append(s), lambda: len(seen) >= patience)
    return seen


@pytest.mark.parametrize("name", METHODS)
def test_progress_never_goes_back(name):
    fractions = []
    METHODS[name](problem(*_small()), Options(members=3), lambda f, _: fractions.append(f), never)
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] < 1


def _small():
    truth, _ = voronoi((12, 10), 4, seed=1)
    return truth, some_pixels((12, 10), 9, seed=2)
