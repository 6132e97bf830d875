"""From a problem (measured points, registered PL) to what the denoiser looks at: levels, candidates and features.

One `SectionInput` serves all samples and steps of a section; only the state and its noise map change while sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grainloop.model.crystal import disorientation_of_pairs_deg, embed
from grainloop.model.diffusion.network.candidates import Candidates, candidates_in, section_candidates
from grainloop.model.diffusion.network.denoiser import Conditions
from grainloop.model.diffusion.network.state import SIGMA_MAX, StateSpace, standardise_light, standardise_sigma
from grainloop.model.light import predict_light
from grainloop.model.reconstruct.methods import usable_light
from grainloop.model.reconstruct.prior import usable_prior
from grainloop.model.reconstruct.problem import Problem, RegisteredLight
from grainloop.model.reconstruct.seeds import Seeds, find_seeds
from grainloop.model.reconstruct.within import Partners, find_partners

DEFAULT_NOISE_DEG = 0.5
"""Orientation noise of measured points that have no neighbour of their own grain to be compared with."""
NOISE_RANGE_DEG = (0.1, 4.0)
_RMS_OVER_MEDIAN = 3**0.5 / (2**0.5 * 1.5382)
"""Rms noise of one point over the median angle between two: rms √3 s against √2 times the median of Maxwell's law."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a problem says before any network looks at it.

    Attributes:
        seeds: measured points that carry an orientation.
        partners: their neighbours in the same grain.
        embedding: (n, E) float32 of the seeds; one zero row where there are none.
        predicted_light: (n, L) float32 standardised PL predicted from them; likewise.
        found: candidates of every pixel.
        light: registered PL, if it takes part.
        notes: sentences on what was left out and why.
        prior_used: whether a prior section takes part.
    """

    seeds: Seeds
    partners: Partners
    embedding: NDArray[np.float32]
    predicted_light: NDArray[np.float32]
    found: Candidates
    light: RegisteredLight | None
    notes: tuple[str, ...]
    prior_used: bool = False


@dataclass(frozen=True)
class SectionInput:
    """One section as tensors with a batch axis of 1.

    Attributes:
        space: channel layout.
        measured: (1, C, h, w) the state where it is measured, 0 elsewhere.
        level: (1, C, h, w) noise level of what is measured, `SIGMA_MAX` elsewhere.
        noise_deg: rms orientation noise that the points are taken to have.
        points, points_light, index, known, prior, features, context: see `Conditions`.
    """

    space: StateSpace
    noise_deg: float
    measured: Tensor
    level: Tensor
    points: Tensor
    points_light: Tensor
    index: Tensor
    known: Tensor
    prior: Tensor
    features: Tensor
    context: Tensor

    def at(self, x: Tensor, sigma: Tensor) -> Conditions:
        """The conditions for states `x` (B, C, h, w) at noise levels `sigma` (1 or B, C, h, w)."""
        batch = len(x)
        fixed = (self.points, self.points_light, self.index, self.known, self.prior, self.features, self.context)
        shared = [value.expand(batch, *value.shape[1:]) for value in fixed]
        return Conditions(x, sigma.expand(batch, -1, -1, -1), *shared)


def gather_evidence(problem: Problem, space: StateSpace) -> Evidence:
    """Seeds, candidates, and the PL and the prior section of a problem as far as they are usable."""
    seeds, notes = find_seeds(problem)
    embedding = embed(seeds.orientation, space.group).astype(np.float32).reshape(-1, space.ebsd_channels)
    predicted = predicted_light(seeds.orientation, space)
    light, trust, reason = usable_light(problem, seeds) if len(seeds) else (None, 0.0, ())
    partners = find_partners(seeds, space.group.name)
    belief, unborne = usable_prior(problem, seeds)
    bending = partners.bending_deg_px
    section = section_candidates(problem.shape, seeds, embedding, predicted, light, trust, bending, belief)
    found = candidates_in(section)
    if not len(seeds):
        embedding, light = np.zeros((1, space.ebsd_channels), np.float32), problem.light
    told = (*notes, *reason, *unborne)
    return Evidence(seeds, partners, embedding, predicted, found, light, told, belief is not None)


def predicted_light(orientation: NDArray[np.float32], space: StateSpace) -> NDArray[np.float32]:
    """Standardised PL (n, L) predicted from orientations (n, 4); one zero row where there are none."""
    if not space.light_channels:
        return np.zeros((max(1, len(orientation)), 0), np.float32)
    if len(orientation) == 0:
        return np.zeros((1, space.light_channels), np.float32)
    return standardise_light(np.moveaxis(predict_light(orientation), -1, 0).astype(np.float32)).T.copy()


def estimated_noise_deg(seeds: Seeds, laue_group: str) -> float:
    """Rms orientation noise of the points, from the angles between neighbours of one grain, gradients included."""
    pairs, distance = seeds.near_pairs()
    if not len(pairs):
        return DEFAULT_NOISE_DEG
    pairs = pairs[(seeds.group[pairs[:, 0]] == seeds.group[pairs[:, 1]]) & (distance <= 2 * np.median(distance))]
    if not len(pairs):
        return DEFAULT_NOISE_DEG
    angle = disorientation_of_pairs_deg(seeds.orientation, pairs, laue_group)
    return float(np.clip(_RMS_OVER_MEDIAN * np.median(angle), *NOISE_RANGE_DEG))


def section_input(shape: tuple[int, int], evidence: Evidence, space: StateSpace) -> SectionInput:
    """Tensors of a section of `shape`, its points as noisy as they tell themselves."""
    measured = np.zeros((space.channels, *shape), np.float32)
    level = np.full((space.channels, *shape), SIGMA_MAX, np.float32)
    split = space.ebsd_channels
    noise_deg = estimated_noise_deg(evidence.seeds, space.group.name)
    if len(evidence.seeds):
        rows, columns = evidence.seeds.position.T
        measured[:split, rows, columns] = evidence.embedding.T
        level[:split, rows, columns] = space.sigma_for_deg(noise_deg)
    if evidence.light is not None and space.light_channels:
        measured[split:], level[split:] = _light_state(evidence.light)
    found = evidence.found
    arrays = (
        measured,
        level,
        evidence.embedding,
        evidence.predicted_light,
        found.index.astype(np.int64),
        found.known,
        found.prior,
        found.features,
        found.context,
    )
    return SectionInput(space, noise_deg, *[torch.from_numpy(np.ascontiguousarray(value))[None] for value in arrays])


def _light_state(light: RegisteredLight) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    seen = standardise_light(light.features)
    sigma = np.where(np.isfinite(seen), standardise_sigma(light.sigma), SIGMA_MAX)
    return np.where(sigma < SIGMA_MAX, np.nan_to_num(seen), 0), sigma
