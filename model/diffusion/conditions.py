"""From measured points and registered PL to what the denoiser looks at: levels, candidates and features.

One `SectionInput` serves all samples and steps of a section; only the state and its noise map change while sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.crystal import embed
from model.diffusion.candidates import gather_candidates
from model.diffusion.denoiser import Conditions
from model.diffusion.examples import predicted_light
from model.diffusion.state import SIGMA_MAX, StateSpace, standardise_light, standardise_sigma

DEFAULT_NOISE_DEG = 0.5
"""Orientation noise that measured points are taken to have."""


@dataclass(frozen=True)
class SectionInput:
    """One section as tensors with a batch axis of 1.

    Attributes:
        space: channel layout.
        measured: (1, C, h, w) the state where it is measured, 0 elsewhere.
        level: (1, C, h, w) noise level of what is measured, `SIGMA_MAX` elsewhere.
        points, points_light, index, unique, features, context: see `Conditions`.
    """

    space: StateSpace
    measured: Tensor
    level: Tensor
    points: Tensor
    points_light: Tensor
    index: Tensor
    unique: Tensor
    features: Tensor
    context: Tensor

    def at(self, x: Tensor, sigma: Tensor) -> Conditions:
        """The conditions for states `x` (B, C, h, w) at noise levels `sigma` (1 or B, C, h, w)."""
        batch = len(x)
        fixed = (self.points, self.points_light, self.index, self.unique, self.features, self.context)
        shared = [value.expand(batch, *value.shape[1:]) for value in fixed]
        return Conditions(x, sigma.expand(batch, -1, -1, -1), *shared)


def section_input(
    shape: tuple[int, int],
    points_px: NDArray[np.int32],
    orientation: NDArray[np.float32],
    space: StateSpace,
    *,
    light: NDArray[np.float32] | None = None,
    light_sigma: NDArray[np.float32] | None = None,
    noise_deg: float = DEFAULT_NOISE_DEG,
) -> SectionInput:
    """Tensors of a section.

    Args:
        shape: rows, columns.
        points_px: (n, 2) row, column of the indexed points; n may be 0.
        orientation: (n, 4) their orientations in the map frame.
        space: channel layout.
        light: (5, h, w) registered PL in the units of `predict_light`; NaN where there is none.
        light_sigma: (5, h, w) its noise; infinite where it is not trusted.
        noise_deg: orientation noise of the points.
    """
    points = embed(orientation, space.group).astype(np.float32).reshape(-1, space.ebsd_channels)
    found = gather_candidates(points_px, points, shape, space.chord_per_deg)
    measured = np.zeros((space.channels, *shape), np.float32)
    level = np.full((space.channels, *shape), SIGMA_MAX, np.float32)
    rows, columns = points_px[:, 0], points_px[:, 1]
    measured[: space.ebsd_channels, rows, columns] = points.T
    level[: space.ebsd_channels, rows, columns] = space.sigma_for_deg(noise_deg)
    if light is not None and light_sigma is not None and space.light_channels:
        seen = standardise_light(light)
        sigma = np.where(np.isfinite(seen), standardise_sigma(light_sigma), SIGMA_MAX)
        measured[space.ebsd_channels :] = np.where(sigma < SIGMA_MAX, np.nan_to_num(seen), 0)
        level[space.ebsd_channels :] = sigma
    table = points if len(points) else np.zeros((1, space.ebsd_channels), np.float32)
    arrays = (
        measured,
        level,
        table,
        predicted_light(orientation, space),
        found.index.astype(np.int64),
        found.unique,
        found.features,
        found.context,
    )
    return SectionInput(space, *[torch.from_numpy(np.ascontiguousarray(value))[None] for value in arrays])
