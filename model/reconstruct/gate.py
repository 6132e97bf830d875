"""What each pixel may belong to: the nearest seed of each group nearby, weighted by distance, PL and neighbourhood.

The posterior at a pixel is nearly discrete: it belongs to one of the grains measured nearby, or to one never hit.
Weights are log-odds against the latter:

- distance d: P(same grain) = exp(−d/L), hence odds 1 / (exp(d/L) − 1), with L fitted to the section's own points;
- PL: Gaussian misfit between the PL seen and the PL predicted from the seed's orientation, capped because of dust; a
  grain never hit is expected to look like any grain of the section. The misfit is tempered: calibration, blur and
  registration errors are shared by neighbours and channels, and PL that does not tell the measured points apart must
  not count, so the section's own points decide how much it does (`light_trust`);
- neighbourhood: a Potts coupling (`smooth`). Loosening it where PL shows an edge made the maps worse: the misfit
  already holds what PL knows, and its noise looks like edges.

Reading a map off the weights is the business of `readout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import logsumexp

from model.light.predict import predict_light
from model.reconstruct.problem import RegisteredLight
from model.reconstruct.seeds import Seeds
from model.reconstruct.smooth import mean_field

GROUPS = 10
"""Candidates of a pixel, at most."""
NEAR_SEEDS = 32
"""Nearest seeds among which the groups of a pixel are looked for."""
MIN_DISTANCE_PX = 0.1
"""Distance given to the measured pixel itself, so that it can be doubted where everything contradicts it."""
TRUST = np.array([0.0, 0.02, 0.05, 0.1, 0.15, 0.2])
"""Weights that the PL misfit may get; more than 0.2 made no map better, because neighbours share their errors."""
MIN_EVIDENCE = 2.0
"""Log-likelihood that PL must add to be believed, each group counted once."""
MISFIT_CAP = 8.0
COUPLING = 0.4
"""Log-odds that a neighbour of the same grain adds; with it P(wrong) is calibrated on the shipped maps."""
SWEEPS = 4
CHUNK_PIXELS = 65_536
"""Pixels whose nearest seeds are looked up at a time, which bounds the memory of that step."""
REFERENCE_SEEDS = 128
"""Seeds that stand for the section when the PL of an unknown grain is judged."""


@dataclass(frozen=True, eq=False)
class Gate:
    """Candidates of each pixel of an (h, w) grid.

    Attributes:
        seed: (h, w, K) int32 nearest seed of each group nearby, nearest first; −1 is none.
        weight: (h, w, K) float32 probabilities.
        free: (h, w) float32 probability of a grain never hit.
    """

    seed: NDArray[np.int32]
    weight: NDArray[np.float32]
    free: NDArray[np.float32]


def open_gate(shape: tuple[int, int], seeds: Seeds, light: RegisteredLight | None, trust: float = 0.0) -> Gate:
    """The candidates of each pixel and their posterior weights, from at least one seed; `trust` weighs the misfit."""
    seed, distance = nearest_of_each_group(shape, seeds)
    log_odds = distance_log_odds(distance, seeds.length_px)
    if light is not None:
        log_odds += light_log_likelihood(light, seeds, seed, trust)
    label = np.where(seed >= 0, seeds.group[seed], np.int32(-1))
    belief = mean_field(log_odds, label, COUPLING, SWEEPS)
    return Gate(seed, belief[..., :-1], belief[..., -1])


def nearest_of_each_group(
    shape: tuple[int, int], seeds: Seeds, groups: int = GROUPS
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(h, w, K) nearest seed of each of the `groups` nearest groups (−1: none), and its distance in pixels (∞)."""
    tree = KDTree(seeds.position)
    seed = np.empty((*shape, groups), np.int32)
    away = np.empty((*shape, groups), np.float32)
    rows = max(1, CHUNK_PIXELS // shape[1])
    for top in range(0, shape[0], rows):
        band = slice(top, min(top + rows, shape[0]))
        pixels = np.indices((band.stop - top, shape[1])).reshape(2, -1).T + np.array([top, 0])
        found = _groups_near(tree, pixels, seeds, groups)
        seed[band], away[band] = (column.reshape(-1, shape[1], groups) for column in found)
    return seed, away


def _groups_near(
    tree: Any, pixels: NDArray[np.integer], seeds: Seeds, groups: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(n, K) `nearest_of_each_group` of (n, 2) pixels."""
    distance, index = tree.query(pixels, k=min(NEAR_SEEDS, len(seeds)))
    return _first_of_each(_as_columns(index), _as_columns(distance), seeds.group, groups)


def _as_columns(neighbours: Any) -> NDArray[Any]:
    """(n, k) neighbours; scipy leaves out the second axis for one."""
    return np.asarray(neighbours).reshape(len(neighbours), -1)


@njit(cache=True, nogil=True)
def _first_of_each(
    near: NDArray[np.intp], distance: NDArray[np.float64], group: NDArray[np.int32], groups: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    count = len(near)
    seed = np.full((count, groups), -1, np.int32)
    length = np.full((count, groups), np.inf, np.float32)
    for x in range(count):
        found = 0
        for s in range(near.shape[1]):
            known = False
            for k in range(found):
                known = known or group[seed[x, k]] == group[near[x, s]]
            if not known and found < groups:
                seed[x, found] = near[x, s]
                length[x, found] = distance[x, s]
                found += 1
    return seed, length


def distance_log_odds(distance: NDArray[np.float32], length_px: float) -> NDArray[np.float32]:
    """(h, w, K + 1) log-odds of each candidate against a grain never hit, which comes last with 0."""
    log_odds = np.zeros((*distance.shape[:2], distance.shape[2] + 1), np.float32)
    ratio = np.clip(distance, MIN_DISTANCE_PX, 50 * length_px) / np.float32(length_px)
    log_odds[..., :-1] = np.where(np.isfinite(distance), -np.log(np.expm1(ratio)), -np.inf)
    return log_odds


def light_log_likelihood(
    light: RegisteredLight, seeds: Seeds, seed: NDArray[np.int32], trust: float
) -> NDArray[np.float32]:
    """(h, w, K + 1) log-likelihood of the PL seen under each candidate and, last, under a grain never hit."""
    features, precision = _columns(light)
    expected = predict_light(seeds.orientation).astype(np.float32)
    reference = expected[np.linspace(0, len(seeds) - 1, min(len(seeds), REFERENCE_SEEDS)).astype(np.intp)]
    candidates = seed.reshape(-1, seed.shape[-1])
    flat = _misfit(features, trust / 2 * precision, expected, candidates, reference, np.float32(MISFIT_CAP))
    return flat.reshape(*seed.shape[:2], -1)


def light_trust(shape: tuple[int, int], seeds: Seeds, light: RegisteredLight) -> float:
    """The weight of the misfit under which PL best tells the group of each seed from the other groups nearby.

    Maximum likelihood of the groups that were measured, over `TRUST`, and 0 unless each group bears it out. PL of
    another section gets 0; PL that is 3 px off half of what registered PL gets.
    """
    candidates, _ = _groups_near(KDTree(seeds.position), seeds.position, seeds, GROUPS)
    pixel = np.ravel_multi_index(tuple(seeds.position.T), shape)
    features, precision = (columns[pixel] for columns in _columns(light))
    expected = predict_light(seeds.orientation).astype(np.float32)
    cap = np.float32(MISFIT_CAP / TRUST[-1])
    misfit = _misfit(features, precision / 2, expected, candidates, expected[:1], cap)[:, :-1]
    with np.errstate(invalid="ignore"):
        weighed = np.where(candidates >= 0, TRUST[:, None, None] * misfit, -np.inf)
    likelihood = np.mean(weighed[..., 0] - logsumexp(weighed, axis=-1), axis=-1)
    convincing = (likelihood.max() - likelihood[0]) * len(np.unique(seeds.group)) > MIN_EVIDENCE
    return float(TRUST[likelihood.argmax()]) if convincing else 0.0


def _columns(light: RegisteredLight) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 5) features without NaN, and (n, 5) inverse variances, 0 where PL is not trusted."""
    finite = np.isfinite(light.features) & np.isfinite(light.sigma) & (light.sigma > 0)
    features = np.where(finite, light.features, 0)
    precision = 1 / np.where(finite, light.sigma, np.inf) ** 2
    columns = (np.ascontiguousarray(a.reshape(len(a), -1).T, dtype=np.float32) for a in (features, precision))
    return next(columns), next(columns)


@njit(cache=True, nogil=True)
def _misfit(
    features: NDArray[np.float32],
    weight: NDArray[np.float32],
    expected: NDArray[np.float32],
    seed: NDArray[np.int32],
    reference: NDArray[np.float32],
    cap: np.float32,
) -> NDArray[np.float32]:
    count, groups = seed.shape
    out = np.zeros((count, groups + 1), np.float32)
    least = np.exp(-cap)
    for x in range(count):
        if not weight[x].any():
            continue
        for k in range(groups):
            if seed[x, k] >= 0:
                out[x, k] = -min(cap, _weighted_square(features[x], expected[seed[x, k]], weight[x]))
        likelihood = 0.0
        for r in range(len(reference)):
            square = _weighted_square(features[x], reference[r], weight[x])
            likelihood += np.exp(-square) if square < cap else least
        out[x, groups] = np.log(likelihood / len(reference))
    return out


@njit(cache=True, nogil=True)
def _weighted_square(a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32]) -> np.float32:
    total = np.float32(0)
    for c in range(len(a)):
        total += weight[c] * (a[c] - b[c]) ** 2
    return total
