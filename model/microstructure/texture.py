"""Orientations of grains: random, fibre, component and macrozone textures, all drawn from zones with a preferred axis.

In a macrozone neighbouring grains share nearly the same c-axis while the rotation about c is free or clustered, so that
PL shows no boundary between them. Grain shapes belong to `tessellation`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import multiply, quaternion_from_axis_angle, random_quaternions
from grainloop.model.microstructure.recipe import Texture, draw, draw_log, draw_logs
from grainloop.model.microstructure.rotations import from_vector, onto, unit
from grainloop.model.microstructure.tessellation import random_axes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CUBIC_AXES = unit(np.array([[0.0, 0, 1], [0, 1, 1], [1, 1, 1]]))
_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


def grain_orientations(
    rng: np.random.Generator, texture: Texture, centre: Floats, diameter_px: float, cubic: bool
) -> Floats:
    """(n, 4) orientations of grains at `centre` (n, 3) in px, crystal → sample."""
    n = len(centre)
    if texture.outsiders[0] >= 1:
        return random_quaternions(n, rng)
    zone = _zones(rng, texture, centre, diameter_px)
    preferred, axis = _components(rng, texture, cubic)
    zones = int(zone.max()) + 1
    component = rng.integers(len(preferred), size=zones)
    free = rng.random(zones) < texture.free_rotation
    clustering = np.radians(draw_logs(rng, texture.rotation_spread_deg, zones))
    turn = np.where(free[zone], rng.uniform(-np.pi, np.pi, n), rng.standard_normal(n) * clustering[zone])
    q = multiply(preferred[component[zone]], quaternion_from_axis_angle(axis, turn))
    tilting = np.radians(draw_logs(rng, texture.axis_spread_deg, zones)) / np.sqrt(2)
    q = multiply(from_vector(rng.standard_normal((n, 3)) * tilting[zone, None]), q)
    outsiders = rng.uniform(*texture.outsiders, zones)
    outsiders[rng.random(zones) < texture.random_zones] = 1.0
    outsider = rng.random(n) < outsiders[zone]
    return np.where(outsider[:, None], random_quaternions(n, rng), q)


def _components(rng: np.random.Generator, texture: Texture, cubic: bool) -> tuple[Floats, Floats]:
    """Preferred orientations (k, 4) and the crystal axis that the grains of a zone share."""
    k = int(rng.integers(texture.components[0], texture.components[1] + 1))
    axis = _CUBIC_AXES[rng.integers(3)] if cubic else _CUBIC_AXES[0]
    if cubic and rng.random() < texture.cube:
        return _IDENTITY[None], _CUBIC_AXES[0]
    if texture.tilt_deg is None:
        return random_quaternions(k, rng), axis
    tilt, azimuth = np.radians(rng.uniform(*texture.tilt_deg, k)), rng.uniform(0, 2 * np.pi, k)
    wanted = [np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.cos(tilt)]
    turn = quaternion_from_axis_angle(axis, rng.uniform(-np.pi, np.pi, k))
    return np.asarray(multiply(onto(axis, np.stack(wanted, axis=1)), turn), np.float64), axis


def _zones(rng: np.random.Generator, texture: Texture, centre: Floats, diameter_px: float) -> Ints:
    """(n,) zone of each grain: cells of a coarse, elongated Voronoi tessellation."""
    n = len(centre)
    if texture.zone_grains is None:
        return np.zeros(n, np.int64)
    width = draw_log(rng, texture.zone_grains) * diameter_px
    aspect = draw(rng, texture.zone_aspect)
    p = centre @ random_axes(rng).T / (width * np.array([aspect, 1.0, 1.0]))
    low, high = p.min(axis=0) - 0.5, p.max(axis=0) + 0.5
    seeds = low + (high - low) * rng.random((max(2, round(float(np.prod(high - low)))), 3))
    return np.argmin(np.sum(seeds**2, axis=1) - 2 * (p @ seeds.T), axis=1)
