"""Validation: fixed specimens, figures with known answers, nothing random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grainloop.model.crystal import random_quaternions
from grainloop.model.diffusion.network.state import StateSpace, state_space
from grainloop.model.diffusion.training.trainer import build_denoiser
from grainloop.model.diffusion.training.validation import (
    Case,
    ValidationConfig,
    regular_grid,
    synthetic_cases,
    validate,
)
from grainloop.model.reconstruct import Problem, SparsePoints

FEW = ValidationConfig(specimens=2, shape_px=(48, 40), shares=(0.0625, 0.25))


def exact_case(space: StateSpace, rng: np.random.Generator, off: bool) -> Case:
    """Every pixel of a map of 32×32 measured; the truth agrees or is another one everywhere."""
    position = np.argwhere(np.ones((32, 32), bool)).astype(np.int32)
    orientation = np.repeat(random_quaternions(1, rng), 1024, axis=0).astype(np.float32)
    truth = np.repeat(random_quaternions(1, rng), 1024, axis=0).astype(np.float32) if off else orientation
    problem = Problem((32, 32), space.group.name, SparsePoints(position, orientation, np.ones(1024, bool)))
    return Case("exact", 1.0, problem, truth.reshape(32, 32, 4), np.ones((32, 32), bool))


def test_synthetic_cases_are_always_the_same_and_measured_as_they_say() -> None:
    first, second = (synthetic_cases(state_space("6/mmm"), FEW) for _ in range(2))
    assert [case.share for case in first] == [0.0625, 0.25, 0.0625, 0.25]
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.truth, b.truth)
        assert a.problem.light is not None
        assert len(a.problem.points) / (48 * 40) == pytest.approx(a.share, rel=0.1)
    assert not np.array_equal(first[0].truth, first[2].truth)


def test_cubic_cases_have_no_light() -> None:
    cases = synthetic_cases(state_space("m-3m"), replace(FEW, specimens=1))
    assert all(case.problem.light is None for case in cases)


def test_right_and_wrong_pixels_are_counted(space: StateSpace, rng: np.random.Generator) -> None:
    right, wrong = exact_case(space, rng, off=False), exact_case(space, rng, off=True)
    denoiser = build_denoiser(space)
    found = validate(denoiser, space, [right])
    assert found["val_exact_wrong"] == found["val_exact_wrong_100"] == 0
    assert found["val_exact_error_deg"] == pytest.approx(0, abs=0.05)
    assert np.isnan(found["val_exact_auroc"])
    both = validate(denoiser, space, [right, replace(wrong, share=0.5)])
    assert both["val_exact_wrong"] == 0.5
    assert (both["val_exact_wrong_100"], both["val_exact_wrong_50"]) == (0, 1)


def test_pixels_outside_do_not_count(space: StateSpace, rng: np.random.Generator) -> None:
    case = exact_case(space, rng, off=True)
    truth, inside = case.truth.copy(), np.zeros((32, 32), bool)
    truth[:16], inside[:16] = case.problem.points.orientation[0], True
    assert validate(build_denoiser(space), space, [replace(case, truth=truth, inside=inside)])["val_exact_wrong"] == 0


def test_figures_of_a_new_network_are_those_it_starts_from(space: StateSpace) -> None:
    found = validate(build_denoiser(space), space, synthetic_cases(space, FEW))
    assert {name.removeprefix("val_synth_") for name in found} == {
        figure + suffix for figure in ("wrong", "predicted", "auroc", "error_deg") for suffix in ("", "_6", "_25")
    }
    assert found["val_synth_wrong"] == pytest.approx((found["val_synth_wrong_6"] + found["val_synth_wrong_25"]) / 2)
    assert found["val_synth_wrong_25"] < found["val_synth_wrong_6"] < 0.5
    assert found == validate(build_denoiser(space), space, synthetic_cases(space, FEW))


def test_regular_grids() -> None:
    assert regular_grid((10, 20), 0.25).shape == (50, 2)
    assert regular_grid((4, 4), 0.001).tolist() == [[2, 2]]
