"""The gate of an untrained network says what the classical posterior says; without weights that one takes over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.diffusion.checkpoint import CheckpointError
from model.diffusion.method import JointGate
from model.diffusion.shipped import Weights
from model.diffusion.state import StateSpace
from model.diffusion.training import build_denoiser
from model.reconstruct import METHODS, Options, PLCandidates, Problem, never, no_report
from tests.model.reconstruct.problems import grid_pixels, measured, voronoi

SHAPE = (37, 50)
"""No multiple of what the backbone wants."""


@pytest.fixture
def problem() -> Problem:
    truth, _ = voronoi(SHAPE, 25, 3)
    return Problem(SHAPE, "6/mmm", measured(truth, grid_pixels(SHAPE, 0.05)))


def _untrained(space: StateSpace) -> JointGate:
    weights = Weights(build_denoiser(space).eval(), space, "0" * 64)

    def find(group: str) -> Weights:
        if group != space.group.name:
            raise CheckpointError(f"No trained model for Laue group {group} is installed.")
        return weights

    return JointGate(find, PLCandidates())


def test_an_untrained_network_starts_from_the_classical_posterior(problem: Problem, space: StateSpace) -> None:
    found = _untrained(space)(problem, Options(), no_report, never)
    classical = METHODS["pl_candidates"](problem, Options(), no_report, never)
    assert np.mean(np.any(found.orientation != classical.orientation, axis=-1)) < 0.01  # ties may fall otherwise
    assert found.p_wrong == pytest.approx(classical.p_wrong, abs=0.015)  # a measured pixel knows more


def test_another_laue_group_is_left_to_the_classical_method(problem: Problem, space: StateSpace) -> None:
    cubic = replace(problem, laue_group="m-3m")
    found = _untrained(space)(cubic, Options(), no_report, never)
    classical = METHODS["pl_candidates"](cubic, Options(), no_report, never)
    assert np.array_equal(found.orientation, classical.orientation)
    assert any("No trained model for Laue group m-3m" in note for note in found.degraded)


def test_nothing_measured_is_nothing_known(problem: Problem, space: StateSpace) -> None:
    empty = replace(problem, points=problem.points.select(np.zeros(len(problem.points), np.bool_)))
    found = _untrained(space)(empty, Options(), no_report, never)
    assert (found.p_wrong == 1).all()
    assert (found.grain == 0).all()
