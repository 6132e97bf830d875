"""The joint state of the diffusion: which channels it has and how far each spreads.

A state is x = (orientation embedding, standardised PL features). Channels are scaled so that noise levels mean the
same for both: EBSD channels keep the scale of `model.crystal.embed` (1° is a chord of about 0.128 for 6/mmm), PL
features are standardised to zero mean and unit variance over random orientations. Nothing here is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians, sqrt

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import LaueGroup, decode, embedding_of, laue_group

SIGMA_MAX = 80.0
"""Noise level of what is unknown (Karras et al. 2022, EDM)."""
SIGMA_MIN = 0.04
"""Last noise level of a sampling pass: about 0.3° in the embedding."""

# Mean and standard deviation of (m, C4, S4, C2, S2) over uniformly random c-axes: closed forms of the moments of
# sin⁴θ and sin²θ, E[sin²θ] = 2/3, E[sin⁴θ] = 8/15, E[sin⁸θ] = 128/315.
_M_VAR = 128 / 315 - (8 / 15) ** 2
_LIGHT_CHANNELS = 5
LIGHT_MEAN = np.array([8 / 15, 0, 0, 0, 0], np.float32)
LIGHT_STD = np.sqrt(np.array([_M_VAR, 64 / 315, 64 / 315, 4 / 15, 4 / 15])).astype(np.float32)

# Root mean square of the l = 2 and l = 6 (hexagonal) and l = 4 (cubic) channels of the scaled embedding over uniformly
# random orientations: the squared norm of each part divided by its number of channels.
_HEXAGONAL_STD = [sqrt(54 * 11 / 36 / 5)] * 5 + [sqrt(54 / 36 / 13)] * 13


@dataclass(frozen=True)
class StateSpace:
    """Channel layout for one Laue group.

    Attributes:
        group: the Laue group of the EBSD channels.
        ebsd_std: (E,) spread σ_data of the EBSD channels over random orientations.
        light_channels: 5 where the crystal shows PL contrast, else 0.
        chord_per_deg: length of 1° in the embedding.
    """

    group: LaueGroup
    ebsd_std: NDArray[np.float32]
    light_channels: int
    chord_per_deg: float

    @property
    def ebsd_channels(self) -> int:
        """Number of EBSD channels."""
        return len(self.ebsd_std)

    @property
    def channels(self) -> int:
        """Number of channels of the whole state."""
        return self.ebsd_channels + self.light_channels

    @property
    def sigma_data(self) -> NDArray[np.float32]:
        """(C,) σ_data of every channel."""
        return np.concatenate([self.ebsd_std, np.ones(self.light_channels, np.float32)])

    def sigma_for_deg(self, noise_deg: float) -> float:
        """Per-channel noise level of an orientation known to `noise_deg` rms (three tangent directions)."""
        return self.chord_per_deg * noise_deg / sqrt(3)


def state_space(point_group: str) -> StateSpace:
    """The layout for `point_group`: every group that has an embedding; PL only where crystals show it.

    Raises:
        UnsupportedSymmetry: no embedding exists for this point group.
    """
    group = laue_group(point_group)
    embedding = embedding_of(group)
    chord = radians(1) * embedding.scale
    std = np.array(_HEXAGONAL_STD if group.is_hexagonal else [1.0] * embedding.channels, np.float32)
    return StateSpace(group, std, _LIGHT_CHANNELS if group.shows_light else 0, chord)


def orientations_of(states: NDArray[np.float32], space: StateSpace) -> NDArray[np.float32]:
    """(n, h, w, 4) states (n, C, h, w) decoded, whatever the length of their EBSD channels."""
    embedding = np.moveaxis(states[:, : space.ebsd_channels], 1, -1)
    return decode(embedding, space.group).astype(np.float32)


def standardise_light(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """PL features (5, ...) in units of `model.light.predict_light` → zero mean, unit variance."""
    shape = (5,) + (1,) * (features.ndim - 1)
    return (features - LIGHT_MEAN.reshape(shape)) / LIGHT_STD.reshape(shape)


def original_light(standardised: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `standardise_light`."""
    shape = (5,) + (1,) * (standardised.ndim - 1)
    return standardised * LIGHT_STD.reshape(shape) + LIGHT_MEAN.reshape(shape)


def standardise_sigma(sigma: NDArray[np.float32]) -> NDArray[np.float32]:
    """PL noise (5, ...) in feature units → the same in standardised units, at most `SIGMA_MAX`."""
    shape = (5,) + (1,) * (sigma.ndim - 1)
    return np.minimum(sigma / LIGHT_STD.reshape(shape), SIGMA_MAX).astype(np.float32)
