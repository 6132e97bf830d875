"""Tiles with a halo equal the whole map; any size is padded and cropped."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.diffusion.network.conditions import SectionInput, gather_evidence, section_input
from grainloop.model.diffusion.network.denoiser import Denoised, Denoiser
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.network.tiles import crop, evaluate
from grainloop.model.reconstruct import Problem
from tests.model.reconstruct.problems import grid_pixels, measured, voronoi

SHAPE = (150, 117)


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    """The shipped one: in an untrained network no pixel looks at another."""
    return load_shipped("6/mmm").denoiser


@pytest.fixture(scope="module")
def section() -> SectionInput:
    space = load_shipped("6/mmm").space
    truth, _ = voronoi(SHAPE, 160, 3)
    problem = Problem(SHAPE, "6/mmm", measured(truth, grid_pixels(SHAPE, 0.06)))
    return section_input(SHAPE, gather_evidence(problem, space), space)


@torch.inference_mode()
def test_tiles_equal_the_whole_map(denoiser: Denoiser, section: SectionInput) -> None:
    given = section.at(section.measured, section.level)
    whole, tiled = evaluate(denoiser, given), evaluate(denoiser, given, core=48)
    for name in (of.name for of in fields(Denoised)):
        a, b = getattr(whole, name), getattr(tiled, name)
        assert a.shape[-2:] == SHAPE
        assert float((a - b).square().mean().sqrt()) < 1e-4, name


@torch.inference_mode()
def test_without_a_halo_they_do_not(denoiser: Denoiser, section: SectionInput) -> None:
    given = section.at(section.measured, section.level)
    whole, tiled = evaluate(denoiser, given), evaluate(denoiser, given, core=48, halo=0)
    assert float((whole.weights - tiled.weights).square().mean().sqrt()) > 1e-4


@torch.inference_mode()
def test_a_large_map_is_evaluated_in_tiles_one_after_the_other(denoiser: Denoiser, section: SectionInput) -> None:
    told: list[tuple[int, int]] = []
    evaluate(denoiser, section.at(section.measured, section.level), core=64, before=lambda *of: told.append(of))
    assert told == [(number, 6) for number in range(6)]


def test_the_caller_can_cancel_between_tiles(denoiser: Denoiser, section: SectionInput) -> None:
    class Stop(Exception):
        pass

    def stop(number: int, tiles: int) -> None:
        if number == 1:
            raise Stop

    with pytest.raises(Stop):
        evaluate(denoiser, section.at(section.measured, section.level), core=64, before=stop)


def test_a_crop_keeps_the_points_and_cuts_the_maps(section: SectionInput) -> None:
    given = section.at(section.measured, section.level)
    cut = crop(given, slice(10, 30), slice(5, 45))
    assert torch.equal(cut.points, given.points)
    assert torch.equal(cut.features, given.features[..., 10:30, 5:45])


def test_a_map_without_pixels_is_refused(denoiser: Denoiser, section: SectionInput, space: StateSpace) -> None:
    none = replace(section, measured=section.measured[..., :0, :], level=section.level[..., :0, :])
    with pytest.raises(ValueError, match="no pixel to evaluate"):
        evaluate(denoiser, crop(none.at(section.measured, section.level), slice(0, 0), slice(0, 5)))
    assert np.prod(none.measured.shape) == 0
