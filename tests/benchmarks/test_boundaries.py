"""The task of the boundaries on chessboards whose boundaries are known by counting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.tasks import boundaries
from benchmarks.tasks.boundaries import (
    CASES,
    SOBEL,
    best_threshold,
    boundaries_found,
    boundary_figures,
    disorientation,
    edges_of,
    gradient,
    true_boundaries,
)
from benchmarks.tasks.materials import Material
from benchmarks.tasks.task import Level, Trial
from grainloop.evaluate.cases import Case
from grainloop.evaluate.sections.scenes import Setting
from grainloop.model.crystal import multiply, quaternion_from_axis_angle
from grainloop.model.maps import OrientationMap
from tests.grainloop.small_maps import chessboard, with_hole

LEVEL = Level("some", 0.1, Setting(share=0.1))
ROWS, COLUMNS, EDGE = 3, 3, 11
SHAPE = (ROWS * EDGE, COLUMNS * EDGE)


def board(seed: int = 0) -> OrientationMap:
    return chessboard(ROWS, COLUMNS, EDGE, seed)


BOARD = Material("board", "Chessboard", lambda seed: board())
OTHER = Material("other", "Another chessboard", lambda seed: board(seed=5))


@pytest.fixture
def trial() -> Trial:
    return Trial(BOARD, LEVEL, 0)


@pytest.fixture(autouse=True)
def tuned_on_small_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundaries, "TI64", BOARD)
    monkeypatch.setattr(boundaries, "MG_TWINS", OTHER)


def test_the_true_boundaries_are_perfect(trial: Trial) -> None:
    true = true_boundaries(trial)
    assert true.sum() == 2 * 2 * 33 - 2 * 2
    figures = boundary_figures(trial, true)
    assert figures["f1_0px"] == figures["f1_1px"] == figures["recall_visible"] == 1
    assert figures["mean_distance_px"] == 0


def test_a_shift_by_one_pixel_is_told_at_both_tolerances(trial: Trial) -> None:
    true = true_boundaries(trial)
    shifted = np.roll(true, 1, axis=(0, 1))
    shifted[0], shifted[:, 0] = False, False
    figures = boundary_figures(trial, shifted)
    assert figures["f1_1px"] == 1
    assert figures["f1_0px"] < 0.2
    assert 0.8 < figures["mean_distance_px"] <= 1


def test_nothing_found_has_no_distance(trial: Trial) -> None:
    figures = boundary_figures(trial, np.zeros(SHAPE, np.bool_))
    assert figures["mean_distance_px"] is None
    assert figures["distance_visible_px"] is None
    assert figures["f1_1px"] == figures["recall_visible"] == 0


def test_a_turn_about_c_is_a_blind_boundary() -> None:
    """One orientation, the right half turned by 20° about c: PL sees none of its boundary."""
    flat = chessboard(rows=1, columns=1, edge=30)
    turn = quaternion_from_axis_angle(np.array([0.0, 0.0, 1.0]), np.array(np.deg2rad(20)))
    orientation = flat.orientation.copy()
    orientation[:, 15:] = multiply(orientation[:, 15:].astype(np.float64), turn)
    blind = Material("blind", "Blind", lambda seed: replace(flat, orientation=orientation))
    trial = Trial(blind, LEVEL, 0)
    figures = boundary_figures(trial, true_boundaries(trial))
    assert figures["blind_share"] == 1
    assert figures["recall_blind"] == figures["recall_blind_clear"] == 1
    assert figures["recall_visible"] is None


def test_pixels_that_are_not_indexed_have_no_boundary() -> None:
    holed = Material("holed", "Holed", lambda seed: with_hole(board(), slice(3, 18), slice(3, 18)))
    trial = Trial(holed, LEVEL, 0)
    for case in (Case("nn", "nn"), next(case for case in CASES if case.name == SOBEL)):
        edges, _ = edges_of(trial, case)
        assert edges.any()
        assert not edges[4:17, 4:17].any()


def test_thresholds_come_from_other_material() -> None:
    seen: list[tuple[str, int]] = []

    def watched(trial: Trial) -> np.ndarray:
        seen.append((trial.material.name, trial.seed))
        return gradient(trial)

    thresholds = (1.0, 8.0, 30.0)
    expected = best_threshold(gradient, thresholds, [Trial(OTHER, LEVEL, boundaries.TUNING_SEED)])
    assert boundaries.tuned(watched, thresholds, BOARD, LEVEL) == expected
    assert seen == [("other", boundaries.TUNING_SEED)]
    boundaries.tuned(watched, thresholds, Material("third", "Third", BOARD.specimen), LEVEL)
    assert [name for name, _ in seen[1:]] == ["board", "other"]


def test_the_best_threshold_is_the_best(trial: Trial) -> None:
    true = true_boundaries(trial)
    evidence = true + 0.5 * np.random.default_rng(0).random(true.shape)
    assert best_threshold(lambda trial: evidence, (0.2, 0.75, 2.0), [trial]) == 0.75


def test_disorientation_is_that_of_the_larger_neighbour(trial: Trial) -> None:
    edges = disorientation(trial) > 5
    np.testing.assert_array_equal(edges, edges_of(trial, Case("nn", "nn"))[0])


def test_every_case_has_its_own_boundaries(trial: Trial) -> None:
    found = {case.name: boundaries_found(trial, case).figures for case in CASES}
    assert all(0.3 < figures["f1_1px"] <= 1 for figures in found.values())
    assert found[boundaries.BEST]["f1_1px"] >= found[boundaries.HALF]["f1_1px"]
    assert found[boundaries.BEST]["threshold"] in boundaries.PROBABILITIES
    assert len({figures["f1_0px"] for figures in found.values()}) >= len(CASES) - 2
