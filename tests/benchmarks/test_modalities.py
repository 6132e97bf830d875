"""What PL says alone, and how errors are split, on maps where both are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.tasks import light_alone, modalities
from benchmarks.tasks.light_alone import (
    angle_deg,
    hemisphere,
    likeliest_axes,
    posterior_samples,
    turned_half,
    without_points,
)
from benchmarks.tasks.materials import Material
from benchmarks.tasks.modalities import ALONE, CASES, INVERTED, ONE_POINT, split_errors, told, what_pl_saves
from benchmarks.tasks.results import Cell, Results, keys_of
from benchmarks.tasks.task import Level, Measured, Trial
from grainloop.evaluate.cases import OURS, WITHOUT
from grainloop.evaluate.runs import Row
from grainloop.evaluate.sections.scenes import Setting
from grainloop.model.crystal import multiply, quaternion_from_axis_angle
from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.light.predict import predict_from_axis
from grainloop.model.reconstruct import RegisteredLight
from tests.grainloop.small_maps import chessboard

LEVEL = Level("some", 10, Setting(share=0.1))
SHAPE = (33, 33)
BOARD = Material("board", "Chessboard", lambda seed: chessboard(3, 3, 11))


@pytest.fixture
def trial() -> Trial:
    return Trial(BOARD, LEVEL, 0)


def light_of(axes: np.ndarray, sigma: float = 0.01) -> RegisteredLight:
    features = np.moveaxis(predict_from_axis(axes), -1, 0).astype(np.float32)
    return RegisteredLight(features, np.full_like(features, sigma))


def test_axes_are_found_up_to_the_half_turn() -> None:
    rng = np.random.default_rng(3)
    axes = rng.normal(size=(20, 30, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    found = likeliest_axes(light_of(axes))
    error = np.minimum(angle_deg(found, axes), angle_deg(turned_half(found), axes))
    assert np.median(error) < 2
    flat = angle_deg(axes, np.array([0.0, 0.0, 1.0])) > 20  # PL is blind to the azimuth of axes along the normal
    assert error[flat].max() < 10


def test_pixels_without_light_do_not_spoil_the_others() -> None:
    axes = hemisphere(600).reshape(20, 30, 3)
    light = light_of(axes)
    light.features[:, 3, 4], light.sigma[:, 5, 6] = np.nan, np.inf
    found = likeliest_axes(light)
    assert np.isfinite(found).all()
    same = likeliest_axes(light_of(axes))
    kept = np.ones((20, 30), np.bool_)
    kept[3, 4] = kept[5, 6] = False
    np.testing.assert_array_equal(found[kept], same[kept])


def test_a_half_turn_shows_the_same_light() -> None:
    axes = hemisphere(100)
    np.testing.assert_allclose(predict_from_axis(turned_half(axes)), predict_from_axis(axes), atol=1e-12)
    assert angle_deg(axes, -axes) == pytest.approx(0)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=-1), 1)


def test_errors_are_split(trial: Trial) -> None:
    truth = trial.truth.orientation.astype(np.float64)
    about = multiply(truth, quaternion_from_axis_angle(np.array([0.0, 0.0, 1.0]), np.array(np.deg2rad(12))))
    tilted = multiply(truth, quaternion_from_axis_angle(np.array([1.0, 0.0, 0.0]), np.array(np.deg2rad(7))))
    assert split_errors(trial, [about.astype(np.float32)]) == pytest.approx(
        {"c_axis_deg": 0, "c_axis_half_turn_deg": 0, "about_c_deg": 12}, abs=0.05
    )
    both = split_errors(trial, [about.astype(np.float32), tilted.astype(np.float32)])
    assert both["c_axis_deg"] == pytest.approx(3.5, abs=0.05)
    assert both["about_c_deg"] == pytest.approx(6, abs=0.05)
    half = quaternion_from_axis_angle(np.array([0.0, 0.0, 1.0]), np.array(np.pi))
    turned = split_errors(trial, [multiply(np.broadcast_to(half, truth.shape), truth).astype(np.float32)])
    assert turned["c_axis_half_turn_deg"] == pytest.approx(0, abs=0.05)
    assert turned["c_axis_deg"] > 10


def test_points_are_taken_away(trial: Trial) -> None:
    problem = next(iter(trial.given.problems.values()))
    assert len(without_points(problem).points) == 0
    one = without_points(problem, 1)
    assert np.abs(one.points.position_px[0] - np.array([16, 16])).max() <= 3
    assert one.light is problem.light


def test_samples_of_light_alone_know_the_c_axis_better_than_chance(
    monkeypatch: pytest.MonkeyPatch, trial: Trial
) -> None:
    monkeypatch.setattr(light_alone, "SAMPLES", 1)
    monkeypatch.setattr(light_alone, "STEPS", 2)
    problem = next(iter(trial.given.problems.values()))
    samples, notes = posterior_samples(load_shipped("6/mmm"), without_points(problem), 0)
    assert not notes
    assert samples.shape == (1, *SHAPE, 4)
    seen = split_errors(trial, samples)["c_axis_half_turn_deg"]
    mixed = split_errors(trial, samples[:, ::-1, ::-1].copy())["c_axis_half_turn_deg"]
    assert seen < 0.7 * mixed


def test_cases_of_light_alone_do_not_depend_on_the_level(monkeypatch: pytest.MonkeyPatch, trial: Trial) -> None:
    drawn: list[int] = []

    def samples(trained: object, problem: object, seed: int) -> tuple[np.ndarray, tuple[str, ...]]:
        drawn.append(len(problem.points))
        return trial.truth.orientation[None], ("said",)

    monkeypatch.setattr(modalities, "posterior_samples", samples)
    by_name = {case.name: case for case in CASES}
    fewer = Trial(BOARD, replace(LEVEL, setting=Setting(share=0.2)), 0)
    for name in (INVERTED, ALONE, ONE_POINT):
        assert told(trial, by_name[name]) is told(fewer, by_name[name])
    assert drawn == [0, 1]
    assert "about_c_deg" not in told(trial, by_name[INVERTED]).figures
    assert told(trial, by_name[ALONE]).figures["error_over_5deg"] == 0
    assert told(trial, by_name[ALONE]).degraded == ("said",)
    nearest = told(trial, by_name["nn"]).figures
    assert 0 < nearest["c_axis_half_turn_deg"] < nearest["c_axis_deg"] < nearest["error_mean_deg"]


def test_what_pl_saves_is_read_off_the_curves() -> None:
    task = replace(modalities.TASK, materials=(BOARD,), levels=(Level("1 %", 1), Level("4 %", 4), Level("16 %", 16)))
    wrong = {WITHOUT: (0.4, 0.2, 0.1), OURS: (0.2, 0.1, 0.05)}
    results = Results(task)
    for material, level, case in keys_of(task):
        number = [one.name for one in task.levels].index(level)
        cell = Cell(material, level, "", Row(case, 0.1, 0.1))
        own = wrong.get(case, (0.5, 0.5, 0.5))[number]
        cell.add(0, Measured({"error_over_5deg": own, "c_axis_deg": 20 * own, "about_c_deg": 10.0}))
        results.cells[cell.key] = cell
    text = what_pl_saves(results)
    assert "the c-axis by 4.0° (the same points alone 8.0°, PL alone 10.0°)" in text
    assert "With PL, 1 % of points leave as few wrong pixels as 4 % alone; 4 % of points leave as few" in text
    assert text.endswith("as 16 % alone; 16 % leave fewer than 16 % alone.")
