"""The task of super-resolution adds image quality to the figures of merit."""

from __future__ import annotations

from benchmarks.tasks.materials import Material
from benchmarks.tasks.super_resolution import TASK, super_resolved
from benchmarks.tasks.task import Trial, reconstructed
from grainloop.evaluate.cases import Case
from tests.grainloop.small_maps import chessboard

BOARD = Material("board", "Chessboard", lambda seed: chessboard(3, 3, 11))


def test_levels_are_factors_per_axis() -> None:
    assert [(level.value, level.setting.share) for level in TASK.levels] == [(2, 0.25), (4, 0.0625), (8, 0.015625)]
    trial = Trial(Material("board", "Chessboard", lambda seed: chessboard(4, 4, 12)), TASK.levels[1], 0)
    assert len(trial.scene.points) == 12 * 12


def test_image_quality_falls_with_the_factor() -> None:
    fine, coarse = (Trial(BOARD, level, 0) for level in (TASK.levels[0], TASK.levels[2]))
    near, far = (super_resolved(trial, Case("nn", "nn")).figures for trial in (fine, coarse))
    plain = reconstructed(fine, Case("nn", "nn")).figures
    assert {name: near[name] for name in plain if name != "seconds"} == {
        name: value for name, value in plain.items() if name != "seconds"
    }
    for name in ("psnr_ipf", "ssim_ipf", "psnr_embedding", "ssim_embedding"):
        assert near[name] > far[name]
