"""What each pixel may belong to: the nearest seed of each group nearby, weighted by distance, PL and neighbourhood.

The posterior at a pixel is nearly discrete: it belongs to one of the grains measured nearby, or to one never hit.
Weights are log-odds against the latter:

- distance d: P(same grain) = exp(−d/L), hence odds 1 / (exp(d/L) − 1), with L fitted to the section's own points;
- PL: Gaussian misfit between the PL seen and the PL predicted from the seed's orientation, capped because of dust; a
  grain never hit is expected to look like any grain of the section. The misfit is tempered: calibration, blur and
  registration errors are shared by neighbours and channels, and PL that does not tell the measured points apart must
  not count, so the section's own points decide how much it does (`light_trust`);
- a neighbouring section, if there is one that the points bear out (`prior`);
- neighbourhood: a Potts coupling (`smooth`). Loosening it where PL shows an edge made the maps worse: the misfit
  already holds what PL knows, and its noise looks like edges.

Reading a map off the weights is the business of `readout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from grainloop.model.light.predict import predict_light
from grainloop.model.reconstruct.bands import in_bands
from grainloop.model.reconstruct.problem import RegisteredLight
from grainloop.model.reconstruct.seeds import Seeds
from grainloop.model.reconstruct.smooth import mean_field

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
CHUNK_PIXELS = 16_384
"""Pixels worked on at a time: threads share larger maps, smaller ones stay in the thread that asks."""
TILE_SPACINGS, SMALLEST_TILE_PX, LARGEST_TILE_PX = 1.5, 4, 16
"""Side of the tiles of pixels that search the same seeds, in mean spacings of the seeds, and its limits."""
REFERENCE_SEEDS = 128
"""Seeds that stand for the section when the PL of an unknown grain is judged."""


class Belief(Protocol):
    """What else is known of the section, such as a neighbouring one."""

    def log_likelihood(self, seeds: Seeds, seed: NDArray[np.int32]) -> NDArray[np.float32]:
        """(h, w, K + 1) of what is known under each candidate (h, w, K) and, last, a grain never hit."""
        ...


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


def open_gate(
    shape: tuple[int, int],
    seeds: Seeds,
    light: RegisteredLight | None,
    trust: float = 0.0,
    prior: Belief | None = None,
) -> Gate:
    """The candidates of each pixel and their posterior weights, from at least one seed; `trust` weighs the misfit."""
    seed, _, log_odds = weighed_candidates(shape, seeds, light, trust, prior)
    belief = smoothed(log_odds, seeds, seed)
    return Gate(seed, belief[..., :-1], belief[..., -1])


def weighed_candidates(
    shape: tuple[int, int], seeds: Seeds, light: RegisteredLight | None, trust: float, prior: Belief | None
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Candidates and distances as `nearest_of_each_group`, and (h, w, K + 1) log-odds before smoothing."""
    seed, distance = nearest_of_each_group(shape, seeds)
    log_odds = distance_log_odds(distance, seeds.length_px)
    if light is not None:
        log_odds += light_log_likelihood(light, seeds, seed, trust)
    if prior is not None:
        log_odds += prior.log_likelihood(seeds, seed)
    return seed, distance, log_odds


def smoothed(log_odds: NDArray[np.float32], seeds: Seeds, seed: NDArray[np.int32]) -> NDArray[np.float32]:
    """(h, w, K + 1) posterior weights of the candidates (h, w, K), which agree where their groups do."""
    label = np.where(seed >= 0, seeds.group[seed], np.int32(-1))
    return mean_field(log_odds, label, COUPLING, SWEEPS)


def nearest_of_each_group(
    shape: tuple[int, int], seeds: Seeds, groups: int = GROUPS
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(h, w, K) nearest seed of each of the `groups` nearest groups (−1: none), and its distance in pixels (∞).

    Of seeds equally far away the first counts as nearer.
    """
    from grainloop.model.reconstruct import _near_kernels as kernels

    grid, near = _buckets(shape, seeds), min(NEAR_SEEDS, len(seeds))
    seed = np.empty((*shape, groups), np.int32)
    distance = np.empty((*shape, groups), np.float32)

    def search(rows: slice) -> None:
        kernels.search_band(grid, rows.start, near, seed[rows], distance[rows])

    in_bands(search, shape, CHUNK_PIXELS)
    return seed, distance


def _groups_at_seeds(shape: tuple[int, int], seeds: Seeds) -> NDArray[np.int32]:
    """(N, K) `nearest_of_each_group` where the seeds are."""
    from grainloop.model.reconstruct import _near_kernels as kernels

    seed = np.empty((len(seeds), GROUPS), np.int32)
    distance = np.empty(seed.shape, np.float32)
    near = min(NEAR_SEEDS, len(seeds))
    kernels.search_at_seeds(_buckets(shape, seeds), near, seed, distance)
    return seed


def _buckets(shape: tuple[int, int], seeds: Seeds) -> Any:
    from grainloop.model.reconstruct import _near_kernels as kernels

    spacing = np.sqrt(shape[0] * shape[1] / len(seeds))
    side = round(float(np.clip(TILE_SPACINGS * spacing, SMALLEST_TILE_PX, LARGEST_TILE_PX)))
    return kernels.buckets(seeds.position, seeds.group, *shape, side)


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
    from grainloop.model.reconstruct import _weight_kernels as kernels

    expected = predict_light(seeds.orientation).astype(np.float32)
    reference = expected[np.linspace(0, len(seeds) - 1, min(len(seeds), REFERENCE_SEEDS)).astype(np.intp)]
    out = np.zeros((*seed.shape[:2], seed.shape[2] + 1), np.float32)

    def compare(rows: slice) -> None:
        features, precision = _columns(light, rows)
        weight, flat = np.float32(trust / 2) * precision, out[rows].reshape(features.shape[1], -1)
        kernels.candidate_misfit(features, weight, expected, seed[rows].reshape(len(flat), -1), MISFIT_CAP, flat)
        likelihood = np.empty(len(flat), np.float32)
        kernels.reference_likelihood(features, weight, reference, MISFIT_CAP, likelihood)
        flat[:, -1] = np.log(likelihood)

    in_bands(compare, seed.shape[:2], CHUNK_PIXELS)
    return out


def light_trust(shape: tuple[int, int], seeds: Seeds, light: RegisteredLight) -> float:
    """The weight of the misfit under which PL best tells the group of each seed from the other groups nearby.

    Maximum likelihood of the groups that were measured, over `TRUST`, and 0 unless each group bears it out. PL of
    another section gets 0; PL that is 3 px off half of what registered PL gets.
    """
    from grainloop.model.reconstruct import _weight_kernels as kernels

    candidates = _groups_at_seeds(shape, seeds)
    rows, columns = seeds.position.T
    at_seeds = RegisteredLight(light.features[:, rows, columns], light.sigma[:, rows, columns])
    features, precision = _columns(at_seeds, slice(None))
    expected = predict_light(seeds.orientation).astype(np.float32)
    misfit = np.zeros((len(seeds), GROUPS + 1), np.float32)
    kernels.candidate_misfit(
        features, np.float32(0.5) * precision, expected, candidates, MISFIT_CAP / TRUST[-1], misfit
    )
    likelihood = _likelihood_of_first(misfit[:, :-1], candidates >= 0)
    convincing = (likelihood.max() - likelihood[0]) * len(np.unique(seeds.group)) > MIN_EVIDENCE
    return float(TRUST[likelihood.argmax()]) if convincing else 0.0


def _likelihood_of_first(misfit: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(T,) mean log-probability of the first of (N, K) candidates by each weight of `TRUST`."""
    weighed = TRUST.astype(np.float32)[:, None, None] * misfit
    # No maximum need be taken out: the misfit is capped.
    evidence = np.exp(weighed).sum(axis=-1, where=known)
    return np.asarray(np.mean(weighed[..., 0] - np.log(evidence), axis=-1, dtype=np.float64))


def _columns(light: RegisteredLight, rows: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(5, n) features without NaN of some rows, and (5, n) inverse variances, 0 where PL is not trusted."""
    features, sigma = light.features[:, rows], light.sigma[:, rows]
    finite = np.isfinite(features) & np.isfinite(sigma) & (sigma > 0)
    seen = np.where(finite, features, 0).astype(np.float32)
    precision = (1 / np.where(finite, sigma, np.inf) ** 2).astype(np.float32)
    # In one layout, so that the kernels are compiled once.
    return np.ascontiguousarray(seen).reshape(len(seen), -1), np.ascontiguousarray(precision).reshape(len(seen), -1)
