"""The tasks of denoising, registration and robustness: what is done to PL, and what their numbers are made of."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.tasks import denoising, denoising_light, registration, registration_turned, robustness
from benchmarks.tasks.materials import Material
from benchmarks.tasks.registration import Shifted, moved, where_pl_harms
from benchmarks.tasks.registration_turned import Turned
from benchmarks.tasks.results import Results
from benchmarks.tasks.task import Level, Measured, Task, Trial
from grainloop.evaluate.cases import OURS, WITHOUT
from grainloop.evaluate.sections.scenes import Setting
from grainloop.model.reconstruct import RegisteredLight
from tests.grainloop.small_maps import chessboard

pytestmark = pytest.mark.usefixtures("fonts_are_open")

SHAPE = (31, 41)
BOARD = Material("board", "Chessboard", lambda seed: chessboard(seed=seed))


def ramps() -> RegisteredLight:
    """PL whose features are the row, the column and three constants."""
    rows, columns = np.indices(SHAPE).astype(np.float32)
    flat = np.ones(SHAPE, np.float32)
    return RegisteredLight(np.stack([rows, columns, flat, flat, flat]), np.full((5, *SHAPE), 0.1, np.float32), 0.2)


@pytest.mark.parametrize("by_px", [0.5, 3.0])
def test_shifted_pl_lies_as_far_off_as_asked_in_a_direction_of_the_seed(by_px: float) -> None:
    directions = []
    for seed in range(4):
        found = Shifted(by_px)(ramps(), seed).features[:2, 10:20, 10:20] - ramps().features[:2, 10:20, 10:20]
        assert np.allclose(np.linalg.norm(found, axis=0), by_px, atol=1e-4)
        directions.append(found[:, 0, 0])
    assert np.linalg.norm(np.ptp(directions, axis=0)) > by_px


def test_pl_that_is_not_moved_stays_bit_for_bit() -> None:
    light = ramps()
    assert Shifted(0.0)(light, 3) is light
    assert np.array_equal(Turned(0.0)(light, 3).features, light.features)


def test_from_beyond_the_edge_comes_nothing() -> None:
    light = ramps()
    found = moved(light, np.indices(SHAPE) + np.array([2.0, 0.0])[:, None, None])
    assert np.array_equal(found.features[0, :-2], light.features[0, 2:])
    assert np.isnan(found.features[:, -2:]).all()
    assert np.isinf(found.sigma[:, -2:]).all()
    assert found.residual_px == light.residual_px


@pytest.mark.parametrize("seed", [0, 1])
def test_turned_pl_stays_in_the_middle_and_moves_with_the_distance_from_it(seed: int) -> None:
    found = Turned(2.0)(ramps(), seed).features[:2] - ramps().features[:2]
    apart = np.linalg.norm(found, axis=0)
    assert apart[15, 20] == pytest.approx(0, abs=1e-5)
    assert apart[15, 30] == pytest.approx(10 * 2 * np.sin(np.radians(1)), abs=1e-4)


def test_the_seed_says_to_which_side_pl_is_turned() -> None:
    one, other = (Turned(2.0)(ramps(), seed).features[0, 15, 30] - 15 for seed in (0, 1))
    assert one == pytest.approx(-other)
    assert abs(one) > 0.3


def results_of(task: Task, wrong: dict[str, float]) -> Results:
    """Made-up results: the share of wrong pixels of each case, ours worse by the number of the level."""
    found = Results(task)
    for number, level in enumerate(task.levels):
        for case in task.cases:
            share = wrong.get(case.name, 0.2) * (1 + 0.03 * number * (case.name == OURS))
            figures = {column.figure: share for column in task.columns}
            trial = Trial(BOARD, level, 0)
            trial.__dict__["scene"] = SimpleNamespace(fraction_measured=level.setting.share)
            found.add(trial, case, Measured(figures))
    return found


def test_the_page_names_the_levels_at_which_pl_harms() -> None:
    task = replace(registration.TASK, materials=(BOARD,))
    told = where_pl_harms(results_of(task, {OURS: 0.1, WITHOUT: 0.1}))
    assert told.endswith("Chessboard: at 1 px (+6 %), 2 px (+9 %), 3 px (+12 %), 4 px (+15 %).")
    assert where_pl_harms(results_of(task, {OURS: 0.05, WITHOUT: 0.1})).endswith("Chessboard: nowhere.")


def test_every_sweep_of_nuisances_has_its_panel_and_levels_of_its_own() -> None:
    task = replace(robustness.TASK, materials=(BOARD,))
    assert len({level.name for level in task.levels}) == len(task.levels)
    figure = task.figure(results_of(task, {OURS: 0.1, WITHOUT: 0.1}))
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == list(robustness.SWEEPS)
    low, high = shown[0].get_ylim()
    for axes, levels in zip(shown, robustness.SWEEPS.values(), strict=True):
        assert len(axes.get_xticks()) == len(levels)
        values = np.concatenate([line.get_ydata() for line in axes.get_lines()])
        assert low == 0 <= values.min()
        assert values.max() < high


TOGETHER = {
    "brightness of tiles, %": {"light.tile_px", "light.tile_step"},
    "camera": {"light_kind", "light.noise"},
}
"""Sweeps that change two things: tiles are there, and differ; a colour image has less noise than one of a stack."""


def test_each_level_of_robustness_changes_one_thing_alone() -> None:
    def fields(setting: Setting) -> dict[str, object]:
        config = setting.instrument
        light = {f"light.{name}": value for name, value in config.nuisances.__dict__.items()}
        points = {f"points.{name}": value for name, value in dict(config.detector).items()}
        rest = {name: value for name, value in dict(config).items() if name not in ("nuisances", "detector")}
        return light | points | rest | {"angles": setting.angles_deg, "share": setting.share}

    default = fields(robustness.DEFAULT)
    for axis, levels in robustness.SWEEPS.items():
        changed = {name for level in levels for name, value in fields(level.setting).items() if value != default[name]}
        assert len(changed) <= 1 or changed == TOGETHER[axis], axis


def test_errors_before_denoising_are_those_of_the_detector_and_ours_are_less() -> None:
    level = Level("1°", 1.0, Setting(share=1.0).with_detector(noise_deg=1.0))
    trial = Trial(BOARD, level, 0)
    scene = denoising.scene_of(trial, denoising.VARIANTS[0])
    before, after = (
        denoising.errors_deg(trial, scene, denoising.DENOISERS[name]).mean() for name in (denoising.BEFORE, OURS)
    )
    assert before == pytest.approx(1.0 * np.sqrt(8 / (3 * np.pi)), rel=0.05)
    assert after < 0.5 * before


def test_a_perfect_image_is_worth_more_than_a_noisy_one() -> None:
    truth = np.random.default_rng(5).uniform(-1, 1, (5, *SHAPE)).astype(np.float32)
    noisy = truth + np.random.default_rng(6).normal(scale=0.2, size=truth.shape).astype(np.float32)
    counted = np.ones(SHAPE, np.bool_)
    same, other = (denoising_light.quality(each, truth, counted) for each in (truth, noisy))
    assert same == (np.inf, pytest.approx(1.0))
    assert other[0] < 25
    assert other[1] < 0.95


def test_tasks_of_rotation_and_shift_differ_in_their_levels_alone() -> None:
    shift, turn = registration.TASK, registration_turned.TASK
    assert (turn.cases, turn.columns, turn.rivals) == (shift.cases, shift.columns, shift.rivals)
    assert isinstance(turn.levels[1].change, Turned)
    assert isinstance(shift.levels[1].change, Shifted)
