"""Statistics on a map with known answers, and the recipes against the real maps that ship with the simulator."""

from pathlib import Path

import numpy as np
import pytest

from grainloop.model.crystal import quaternion_from_axis_angle
from grainloop.model.maps import read_map
from grainloop.model.microstructure import RECIPES
from grainloop.model.microstructure.statistics import SUMMARY, bracket, map_statistics, recipe_statistics

SPECIMENS = Path(__file__).parents[3] / "instrument_sim" / "specimens"


def test_two_grains_with_a_known_boundary() -> None:
    q = np.tile(np.float32([1, 0, 0, 0]), (20, 20, 1))
    q[:, 10:] = quaternion_from_axis_angle([1.0, 0, 0], np.radians(40.0))
    valid = np.ones((20, 20), bool)
    valid[0] = False
    found = map_statistics(q, valid, "6/mmm")
    assert found.diameter_px == pytest.approx([2 * np.sqrt(190 / np.pi)] * 2)
    assert found.boundary_c_axis_deg == pytest.approx(np.full(19, 40.0), abs=1e-3)
    assert found.boundary_density == pytest.approx(2 * 19 / (19 * 19 + 18 * 20))
    summary = found.summary()
    assert set(summary) == set(SUMMARY)
    assert summary["boundary_mean_deg"] == pytest.approx(40, abs=1e-3)
    assert summary["low_angle_mean_deg"] == pytest.approx(0, abs=1e-2)
    assert summary["tilt_median_deg"] == pytest.approx(20, abs=20.01)
    assert summary["tilt_spread_deg"] == pytest.approx(40, abs=1e-3)


def test_a_map_without_valid_pixels_has_no_grains() -> None:
    q = np.tile(np.float32([1, 0, 0, 0]), (8, 8, 1))
    summary = map_statistics(q, np.zeros((8, 8), bool), "6/mmm").summary()
    assert set(summary.values()) == {0.0}


@pytest.mark.parametrize(("file", "recipe"), [("Ti64-200x200.ang", "macrozone"), ("newTwins.cpr", "twinned")])
def test_recipes_bracket_the_real_maps(file: str, recipe: str) -> None:
    real = read_map(SPECIMENS / file)
    measured = map_statistics(real.orientation, real.phase_id == 1, "6/mmm").summary()
    limits = bracket(recipe_statistics(RECIPES[recipe], count=60, shape=(150, 150), seed=1))
    outside = {name: (measured[name], limits[name]) for name in SUMMARY if not _within(measured[name], limits[name])}
    assert not outside, f"{recipe} does not reach {file}: {outside}"


def _within(value: float, limits: tuple[float, float, float]) -> bool:
    return limits[0] <= value <= limits[2]
