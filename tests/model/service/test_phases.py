"""One posterior out of those of the phases: the bound stays honest where the phase is in doubt."""

from dataclasses import replace

import numpy as np
import pytest

from grainloop.model.reconstruct.problem import nothing_known
from grainloop.model.service.phases import PhaseMap, compose, find_phases
from tests.model.service.runs import block

SHAPE = (1, 4)


def part(p_wrong, bound):
    return replace(
        nothing_known(SHAPE),
        p_wrong=np.array([p_wrong], np.float32),
        bound90_deg=None if bound is None else np.full(SHAPE, bound, np.float32),
    )


def composed(sure, p_wrong, bound):
    phases = PhaseMap(np.array([[1, 1, 1, 2]], np.uint8), np.array([sure], np.float32))
    return compose(phases, {1: part(p_wrong, bound), 2: part(p_wrong, bound)}).bound90_deg[0].tolist()


@pytest.mark.parametrize(
    ("sure", "wrong", "bound", "expected"),
    [
        (1.0, 0.5, 60.0, 60.0),  # the phase is certain: its bound stands
        (0.995, 0.5, 60.0, 60.0),
        (0.95, 0.02, 2.0, 5.0),  # right, phase and all, with 0.93
        (0.95, 0.02, 7.0, 7.0),
        (0.95, 0.2, 60.0, 180.0),  # right with 0.76 only: the phase, and with it the error, may be any
        (0.8, 0.0, 2.0, 180.0),
        (1.0, 0.0, None, 180.0),
    ],
)
def test_the_bound_is_that_of_the_phase_only_where_the_phase_is_certain(sure, wrong, bound, expected):
    assert composed([sure] * 4, [wrong] * 4, bound) == [expected] * 4


def test_the_bound_holds_whatever_the_error_within_another_phase():
    """The rule against a simulation in which a wrong phase is wrong by any angle."""
    rng = np.random.default_rng(5)
    for sure, wrong in ((1.0, 0.3), (0.97, 0.05), (0.93, 0.02), (0.7, 0.0)):
        within = np.where(rng.random(100_000) < wrong, rng.uniform(5, 90, 100_000), rng.uniform(0, 5, 100_000))
        error = np.where(rng.random(100_000) < sure, within, 180.0)
        bound = composed([sure] * 4, [wrong] * 4, float(np.quantile(within, 0.9)))[0]
        assert np.mean(error <= bound) >= 0.895


def test_a_prior_counts_as_used_where_one_phase_used_it():
    phases = PhaseMap(np.array([[1, 1, 1, 2]], np.uint8), np.ones(SHAPE, np.float32))
    parts = {number: part([0.1] * 4, 2.0) for number in (1, 2)}
    assert not compose(phases, parts).prior_used
    assert compose(phases, parts | {2: replace(parts[2], prior_used=True)}).prior_used


def test_phases_do_not_depend_on_the_order_of_measuring():
    """A regular grid has pixels equally far from points of both phases."""
    position = np.stack(np.meshgrid([1, 5, 9], [1, 5, 9], indexing="ij"), axis=-1).reshape(-1, 2)
    phase, q = np.array([1, 2, 1, 2, 1, 2, 1, 2, 1]), np.tile([1.0, 0, 0, 0], (9, 1))
    first = find_phases((11, 11), block(position, q, phase))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(9)
        again = find_phases((11, 11), block(position[order], q[order], phase[order]))
        assert np.array_equal(first.phase_id, again.phase_id)
        assert np.array_equal(first.probability, again.probability)
