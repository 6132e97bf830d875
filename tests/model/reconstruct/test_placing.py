"""PL that lies elsewhere than its points say, by a known amount."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from grainloop.model.reconstruct import METHODS, Options, RegisteredLight, never, no_report
from grainloop.model.reconstruct.placing import OFF, linear_fields, where_placed
from grainloop.model.reconstruct.seeds import find_seeds
from tests.model.reconstruct.problems import grid_pixels, perfect_light, problem, voronoi

SHAPE = (90, 96)
TRUTH, _ = voronoi(SHAPE, 120, 8)
POINTS = grid_pixels(SHAPE, 0.08)
SEEDS = find_seeds(problem(TRUTH, POINTS))[0]


def light(noise: float = 0.2, seed: int = 0) -> RegisteredLight:
    return perfect_light(TRUTH, noise, seed)


def shifted(one: RegisteredLight, by: tuple[int, int]) -> RegisteredLight:
    return replace(one, features=np.roll(one.features, by, axis=(1, 2)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_pl_that_lies_where_it_should_is_left_alone(seed: int, noise: float) -> None:
    one = light(noise, seed)
    found, notes = where_placed(one, SEEDS)
    assert found is one
    assert notes == ()


@pytest.mark.parametrize("by", [(2, 0), (0, -2), (2, 2), (-3, 0), (1, 4), (4, -3)])
def test_pl_that_is_two_pixels_or_more_off_is_not_used(by: tuple[int, int]) -> None:
    found, notes = where_placed(shifted(light(), by), SEEDS)
    assert found is None
    assert notes == (f"{OFF}.",)


def test_pl_that_is_off_in_a_part_of_the_map_is_not_used_there() -> None:
    """The upper left corner lies three pixels off; everything else stays."""
    one = light(0.1)
    features = one.features.copy()
    features[:, :30, :32] = np.roll(one.features, 3, axis=2)[:, :30, :32]
    found, notes = where_placed(replace(one, features=features), SEEDS)
    assert found is not None
    assert np.isinf(found.sigma[:, :30, :32]).all()
    assert np.array_equal(found.sigma[:, 30:], one.sigma[:, 30:])
    assert np.array_equal(found.sigma[:, :, 32:], one.sigma[:, :, 32:])
    assert notes == (f"{OFF} in 11% of the map, where it is not used.",)


@pytest.mark.parametrize("method", ["pl_candidates", "pl_watershed"])
def test_a_method_that_finds_pl_off_gives_what_it_gives_without_pl_and_says_so(method: str) -> None:
    given = problem(TRUTH, POINTS, light=shifted(light(), (0, 4)))
    off, without = (METHODS[method](one, Options(), no_report, never) for one in (given, replace(given, light=None)))
    assert np.array_equal(off.orientation, without.orientation)
    assert not off.light_used
    assert any(note.startswith(OFF) for note in off.degraded)


def test_few_points_and_unknown_pl_say_nothing() -> None:
    few = find_seeds(problem(TRUTH, POINTS[:20]))[0]
    away = shifted(light(), (4, 0))
    assert where_placed(away, few) == (away, ())
    dark = replace(away, features=np.full_like(away.features, np.nan))
    assert where_placed(dark, SEEDS) == (dark, ())


@pytest.mark.parametrize("angle_deg", [3.5, -3.5])
def test_pl_that_is_turned_is_used_in_the_middle_alone(angle_deg: float) -> None:
    """2.4 px rms off: nothing in the middle, 4 px in the corners."""
    angle, centre = np.radians(angle_deg), (np.array(SHAPE).reshape(2, 1, 1) - 1) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    seen_at = np.einsum("ij,jhw->ihw", turn, np.indices(SHAPE) - centre) + centre
    one = light(0.1)
    features = [ndimage.map_coordinates(each, seen_at, order=1, mode="nearest") for each in one.features]
    found, notes = where_placed(replace(one, features=np.stack(features)), SEEDS)
    assert found is not None
    assert np.isfinite(found.sigma[:, 40:50, 43:53]).all()
    assert np.isinf(found.sigma[:, 0, [0, -1]]).all()
    assert np.isinf(found.sigma[:, -1, [0, -1]]).all()
    assert len(notes) == 1


def test_linear_fields_are_as_large_as_told_and_opposite_in_pairs() -> None:
    fields = linear_fields((40, 60))
    for field, opposite in zip(fields[:4], fields[4:], strict=True):
        assert np.sqrt(np.mean(np.sum(field**2, axis=-1))) == pytest.approx(2.0)
        assert np.array_equal(field, -opposite)
