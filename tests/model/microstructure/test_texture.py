"""Textures: how alike the axes of neighbouring grains are, and that random means uniform."""

from dataclasses import replace

import numpy as np
import pytest

from grainloop.model.crystal import c_axis, rotate_vectors, tilt_deg
from grainloop.model.microstructure.recipe import BASAL, COMPONENT, FIBRE, MACROZONE, RANDOM, Texture
from grainloop.model.microstructure.texture import grain_orientations

CENTRES = np.random.default_rng(0).uniform(0, 400, (1500, 3))
PURE = {"outsiders": (0.0, 0.0), "random_zones": 0.0}


def drawn(texture: Texture, seed: int = 1, cubic: bool = False) -> np.ndarray:
    return grain_orientations(np.random.default_rng(seed), texture, CENTRES, 10.0, cubic)


def axis_spread_deg(axes: np.ndarray) -> float:
    """rms angle of axes (±) to their mean axis."""
    mean = np.linalg.eigh(axes.T @ axes)[1][:, -1]
    return float(np.degrees(np.sqrt(np.mean(np.arccos(np.minimum(np.abs(axes @ mean), 1)) ** 2))))


def test_random_is_uniform_on_the_sphere() -> None:
    c = c_axis(drawn(RANDOM))
    assert np.mean(c, axis=0) == pytest.approx(np.zeros(3), abs=0.06)
    assert np.mean(c**2, axis=0) == pytest.approx(np.full(3, 1 / 3), abs=0.04)


@pytest.mark.parametrize("spread", [3.0, 12.0])
def test_fibre_has_the_axis_spread_asked_for_and_every_rotation(spread: float) -> None:
    q = drawn(replace(FIBRE, axis_spread_deg=(spread, spread), **PURE))
    assert axis_spread_deg(c_axis(q)) == pytest.approx(spread, rel=0.1)
    assert axis_spread_deg(rotate_vectors(q, np.array([1.0, 0, 0]))) > 40


def test_component_clusters_all_axes() -> None:
    q = drawn(replace(COMPONENT, axis_spread_deg=(3.0, 3.0), rotation_spread_deg=(5.0, 5.0), **PURE))
    for axis in np.eye(3):
        assert axis_spread_deg(rotate_vectors(q, axis)) < 8


def test_basal_axes_are_near_the_normal() -> None:
    tilts = [np.median(tilt_deg(drawn(BASAL, seed))) for seed in range(8)]
    assert max(tilts) < 35


def test_macrozones_have_near_equal_c_axes_nearby_and_others_far_away() -> None:
    # Pairs of grains within one spacing and pairs across the volume, for zones of random components.
    texture = replace(MACROZONE, zone_grains=(14.0, 14.0), components=(6, 6), axis_spread_deg=(4.0, 4.0), **PURE)
    near, far = [], []
    for seed in range(4):
        c = c_axis(drawn(texture, seed))
        angle = np.degrees(np.arccos(np.minimum(np.abs(c @ c.T), 1)))
        distance = np.linalg.norm(CENTRES[:, None] - CENTRES, axis=-1)
        near.append(np.median(angle[(distance > 0) & (distance < 15)]))
        far.append(np.median(angle[distance > 300]))
    assert np.mean(near) < 12
    assert np.mean(far) > 2 * np.mean(near)


def test_cube_texture_of_cubic_crystals() -> None:
    texture = replace(COMPONENT, cube=1.0, axis_spread_deg=(2.0, 2.0), rotation_spread_deg=(2.0, 2.0), **PURE)
    q = drawn(texture, cubic=True)
    assert np.degrees(2 * np.arccos(np.minimum(np.abs(q[:, 0]), 1))).mean() < 5
