"""EBSD point measurements: what the detector makes of the true orientation under a drifting beam.

Every random number belongs to (seed, position, number of the exposure there): the order of the points changes nothing,
only drift makes a result depend on the time. Times, blocks and waiting belong to `driver`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from grainloop.instrument_sim.config import DetectorConfig, DriftConfig
from grainloop.instrument_sim.randoms import keys, normals, uniforms
from grainloop.instrument_sim.section import Section
from grainloop.model.crystal import multiply, quaternion_from_axis_angle
from grainloop.protocols.values import PointStatus

Reals = NDArray[np.float64]

PSEUDO_SYMMETRY: Final = MappingProxyType(
    {
        "6/mmm": ((0.0, 0.0, 1.0), 30.0),
        "6/m": ((0.0, 0.0, 1.0), 30.0),
        "-3m": ((0.0, 0.0, 1.0), 60.0),
        "-3": ((0.0, 0.0, 1.0), 60.0),
        "4/mmm": ((1.0, 0.0, 0.0), 90.0),
        "m-3m": ((1.0, 1.0, 1.0), 60.0),
        "m-3": ((0.0, 0.0, 1.0), 90.0),
    }
)
"""Axis (crystal frame) and angle in degrees of the variant that indexing confuses most easily; others have none."""


@dataclass(frozen=True)
class Measured:
    """Columns of N point measurements, named as in `PointBlock`."""

    status: NDArray[np.uint8]
    phase_id: NDArray[np.uint8]
    orientation: NDArray[np.float32]
    confidence: NDArray[np.float32]
    fit_deg: NDArray[np.float32]


def measure(
    section: Section,
    position_px: NDArray[np.int32],
    exposure: NDArray[np.int64],
    drift_px: Reals,
    relative_dwell: float,
    config: DetectorConfig,
    seed: int,
) -> Measured:
    """Measure points (N, 2) for the `exposure`-th time (N,) with the beam `drift_px` (N, 2) off.

    `relative_dwell` is the dwell as a multiple of the default one.
    """
    key = keys(seed, position_px[:, 0], position_px[:, 1], exposure)
    random = uniforms(key, 12)
    normal = normals(random[:8])
    centre = position_px + drift_px
    hit = _pixel(centre + config.spot_px * normal[:2].T, section)
    phase_id = section.truth.phase_id[hit]
    near = _boundary_influence(section, centre, config)
    lost = (phase_id == 0) | (random[8] < config.lost_share + config.lost_at_boundary * near)
    scale = config.noise_deg / np.sqrt(relative_dwell)
    orientation = _noisy(section.truth.orientation[hit].astype(np.float64), normal[2:5].T, scale)
    wrong = _misindex(orientation, phase_id, random[9:], section, config)
    noise = np.linalg.norm(normal[2:5], axis=0) / np.sqrt(3)
    confidence = 0.9 - 0.3 * near - 0.35 * wrong - 0.06 * (noise - 1) + 0.04 * normal[5]
    fit_deg = 0.45 + 0.45 * near + 0.6 * wrong + 0.12 * (noise - 1) + 0.06 * normal[6]
    orientation[lost] = (1.0, 0.0, 0.0, 0.0)
    return Measured(
        status=np.where(lost, PointStatus.NOT_INDEXED, PointStatus.INDEXED).astype(np.uint8),
        phase_id=np.where(lost, 0, phase_id).astype(np.uint8),
        orientation=orientation.astype(np.float32),
        confidence=np.where(lost, 0.0, np.clip(confidence, 0.02, 1.0)).astype(np.float32),
        fit_deg=np.where(lost, 180.0, np.maximum(fit_deg, 0.05)).astype(np.float32),
    )


def _pixel(position: Reals, section: Section) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    height, width = section.truth.shape_px
    row, col = np.rint(position).astype(np.int64).T
    return row.clip(0, height - 1), col.clip(0, width - 1)


def _boundary_influence(section: Section, centre: Reals, config: DetectorConfig) -> Reals:
    """(N,) 1 beside a boundary, falling to 1/e over `boundary_px`."""
    distance = section.boundary_distance_px[_pixel(centre, section)]
    return np.exp(-(distance - 0.5) / config.boundary_px)


def _noisy(orientation: Reals, normal: Reals, rms_deg: float) -> Reals:
    """Turn (N, 4) by isotropic random rotations (N, 3 normals) of this rms angle."""
    vector = np.deg2rad(rms_deg) / np.sqrt(3) * normal
    half = np.linalg.norm(vector, axis=1, keepdims=True) / 2
    turn = np.concatenate([np.cos(half), vector / 2 * np.sinc(half / np.pi)], axis=1)
    return np.asarray(multiply(turn, orientation), np.float64)


def _misindex(
    orientation: Reals, phase_id: NDArray[np.uint8], random: Reals, section: Section, config: DetectorConfig
) -> NDArray[np.bool_]:
    """Replace a share of `orientation` in place by random ones and by pseudo-symmetric variants; which they are."""
    arbitrary = random[0] < config.random_share
    orientation[arbitrary] = _uniform_rotations(random[:, arbitrary], config.random_share)
    wrong = arbitrary.copy()
    confused = ~arbitrary & (random[1] < config.pseudo_share)
    for phase in section.truth.phases:
        if phase.laue_group in PSEUDO_SYMMETRY and confused.any():
            axis, angle_deg = PSEUDO_SYMMETRY[phase.laue_group]
            here = confused & (phase_id == phase.phase_id)
            variant = quaternion_from_axis_angle(np.array(axis), np.array(np.deg2rad(angle_deg)))
            orientation[here] = multiply(orientation[here], variant)
            wrong |= here
    return wrong


def _uniform_rotations(random: Reals, share: float) -> Reals:
    """(N, 4) rotations uniform on SO(3) from uniform numbers (3, N) of which the first are below `share`.

    Shoemake, Graphics Gems III (1992) 124.
    """
    u, v, w = random[0] / share if share else random[0], 2 * np.pi * random[1], 2 * np.pi * random[2]
    a, b = np.sqrt(1 - u), np.sqrt(u)
    return np.stack([a * np.sin(v), a * np.cos(v), b * np.sin(w), b * np.cos(w)], axis=1)


class Drift:
    """Displacement of the beam as a function of instrument time: one fixed path per seed."""

    KNOT_S: Final = 30.0
    KNOTS: Final = 20_000
    """A week of random walk; later the walk stands still."""

    def __init__(self, config: DriftConfig, seed: int) -> None:
        rng = np.random.default_rng([seed, 0xD81F7])
        direction = rng.uniform(0, 2 * np.pi)
        self._rate = config.rate_px_per_hour / 3600 * np.array([np.sin(direction), np.cos(direction)])
        steps = rng.normal(size=(2, self.KNOTS)) * config.walk_px_per_root_hour * np.sqrt(self.KNOT_S / 3600 / 2)
        self._knots = np.arange(self.KNOTS + 1) * self.KNOT_S
        self._walk = np.concatenate([np.zeros((2, 1)), np.cumsum(steps, axis=1)], axis=1)

    def at(self, time_s: Reals) -> Reals:
        """(N, 2) displacement (rows, columns) in px at instrument times (N,)."""
        walk = [np.interp(time_s, self._knots, path) for path in self._walk]
        return time_s[:, None] * self._rate + np.stack(walk, axis=1)
