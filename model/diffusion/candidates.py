"""Candidate orientations of every pixel, and what can be said of them without learning anything.

The candidates are the nearest seed of each group of measured points nearby, weighed as `model.reconstruct.gate` weighs
them; the network starts from those weights and learns how they are wrong. Nothing is learnt here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import logsumexp

from model.diffusion._candidate_kernels import separation
from model.reconstruct.gate import (
    COUPLING,
    GROUPS,
    SWEEPS,
    distance_log_odds,
    light_log_likelihood,
    nearest_of_each_group,
)
from model.reconstruct.problem import RegisteredLight
from model.reconstruct.seeds import Seeds
from model.reconstruct.smooth import mean_field

Floats = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)

COUNT = GROUPS
FEATURES = 7
"""Distance, excess distance, orientation and PL unlike the nearest candidate's, size of the group, log-probability
before and after smoothing."""
CONTEXT = 4
"""Distance to the nearest point, spacing of the points, correlation length, how much PL tells the points apart."""
LOWEST = -12.0
"""Log-probabilities are cut off here, so that the network can still overrule them."""


@dataclass(frozen=True)
class Candidates:
    """Candidates of every pixel of a (h, w) map.

    Attributes:
        index: (K, h, w) int32 into the seeds.
        known: (K, h, w) bool; false where there are fewer groups nearby.
        prior: (K + 1, h, w) float32 log-probability of each candidate and, last, of a grain never hit.
        features: (K, FEATURES, h, w) float32.
        context: (CONTEXT, h, w) float32.
    """

    index: NDArray[np.int32]
    known: NDArray[np.bool_]
    prior: Floats
    features: Floats
    context: Floats


def no_candidates(shape: tuple[int, int]) -> Candidates:
    """What to hand over when nothing was measured: no slot is known, the free branch has all the weight."""
    prior = np.full((COUNT + 1, *shape), LOWEST, np.float32)
    prior[-1] = 0
    context = np.zeros((CONTEXT, *shape), np.float32)
    context[0] = context[1] = 4.0
    return Candidates(
        np.zeros((COUNT, *shape), np.int32),
        np.zeros((COUNT, *shape), np.bool_),
        prior,
        np.zeros((COUNT, FEATURES, *shape), np.float32),
        context,
    )


def local_spacing(measured: NDArray[np.bool_]) -> Floats:
    """(h, w) spacing of a regular grid as dense as the points around each pixel, in px."""
    mean = np.sqrt(measured.size / max(1, int(measured.sum())))
    density = gaussian_filter(measured.astype(np.float32), mean, mode="reflect", truncate=3.0)
    return np.clip(1 / np.sqrt(np.maximum(density, 1e-6)), 1.0, 4 * mean).astype(np.float32)


def gather_candidates(
    shape: tuple[int, int],
    seeds: Seeds,
    embedding: Floats,
    predicted_light: Floats,
    light: RegisteredLight | None = None,
    trust: float = 0.0,
) -> Candidates:
    """Candidates of every pixel.

    Args:
        shape: rows, columns.
        seeds: measured points; there may be none.
        embedding: (n, E) of the seeds.
        predicted_light: (n, L) standardised PL predicted from the seeds; L may be 0.
        light: registered PL, if it is used.
        trust: how much its misfit counts (`model.reconstruct.gate.light_trust`).
    """
    if not len(seeds):
        return no_candidates(shape)
    seed, distance = nearest_of_each_group(shape, seeds)
    log_odds = distance_log_odds(distance, seeds.length_px)
    if light is not None:
        log_odds += light_log_likelihood(light, seeds, seed, trust)
    label = np.where(seed >= 0, seeds.group[seed], np.int32(-1))
    unary = _first(_log_probability(log_odds))
    prior = _first(np.log(np.maximum(mean_field(log_odds, label, COUPLING, SWEEPS), np.float32(np.exp(LOWEST)))))
    spacing, nearest = _spacing(shape, seeds)
    known = seed >= 0
    slots = np.where(known, seed, np.int32(0))
    away = np.where(known, distance, 0) / spacing[..., None]
    size = np.log(np.bincount(seeds.group)[seeds.group])[slots].astype(np.float32)
    columns = [
        _first(away),
        _first(away - away[..., :1]),
        separation(slots, np.ascontiguousarray(embedding)),
        separation(slots, np.ascontiguousarray(predicted_light)),
        _first(size) / 3,
        unary[:-1] / 4,
        prior[:-1] / 4,
    ]
    features = np.stack(columns, axis=1) * _first(known)[:, None]
    return Candidates(
        _first(slots),
        _first(known),
        prior,
        features.astype(np.float32),
        _context(nearest, spacing, seeds, trust),
    )


def _first(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Slots to the front: (h, w, K) → (K, h, w)."""
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _log_probability(log_odds: Floats) -> Floats:
    return np.maximum(log_odds - logsumexp(log_odds, axis=-1, keepdims=True), LOWEST).astype(np.float32)


def _spacing(shape: tuple[int, int], seeds: Seeds) -> tuple[Floats, Floats]:
    """(h, w) local spacing of the points, nowhere below the distance to the nearest, and that distance."""
    measured = np.zeros(shape, np.bool_)
    measured[tuple(seeds.position.T)] = True
    nearest = cast("NDArray[np.float64]", distance_transform_edt(~measured)).astype(np.float32)
    return np.maximum(local_spacing(measured), nearest), nearest


def _context(nearest: Floats, spacing: Floats, seeds: Seeds, trust: float) -> Floats:
    length = np.log(np.float32(seeds.length_px) / spacing)
    return np.stack([nearest / spacing, np.log(spacing), length, np.full_like(spacing, 10 * trust)]).astype(np.float32)
