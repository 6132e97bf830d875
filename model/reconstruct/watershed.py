"""PL-guided watershed seeded by the measured points, with an uncertainty from an ensemble of perturbed runs.

Markers are the seeds, those that agree with their neighbours merged; the elevation is the gradient of the registered
PL in units of its noise (Vincent & Soille 1991, as in scikit-image). Members drop points, shift PL by its registration
residual and add its noise again. Where PL cannot be used the result is that of nearest neighbour, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from grainloop.model.jit import free
from grainloop.model.reconstruct.gate import distance_log_odds, nearest_of_each_group
from grainloop.model.reconstruct.methods import NearestNeighbour, usable_light
from grainloop.model.reconstruct.problem import (
    IsCancelled,
    Options,
    Posterior,
    Problem,
    RegisteredLight,
    Report,
    check,
    checkpoint,
    nothing_known,
)
from grainloop.model.reconstruct.readout import read_out
from grainloop.model.reconstruct.seeds import Seeds, find_seeds

MEMBERS = 8
"""Of the ensemble, where the options name no number."""
DROP_SHARE = 0.1
BLUR_PX = 0.7
GROUPS = 16


@dataclass(frozen=True)
class PLWatershed:
    """Grains grow from the measured points up to the edges seen in PL."""

    name: str = "pl_watershed"

    def __call__(self, problem: Problem, options: Options, report: Report, cancelled: IsCancelled) -> Posterior:
        """See `Reconstructor`."""
        check(problem)
        checkpoint(report, cancelled, 0.0, "seeds")
        seeds, notes = find_seeds(problem)
        if not len(seeds):
            return nothing_known(problem.shape)
        light, _, reason = usable_light(problem, seeds)
        if light is None:
            nearest = NearestNeighbour()(problem, options, report, cancelled)
            return replace(nearest, degraded=(*nearest.degraded, *reason))
        near, distance = nearest_of_each_group(problem.shape, seeds, GROUPS)
        votes, members = np.zeros((*near.shape[:2], GROUPS), dtype=np.float32), options.members or MEMBERS
        for member in range(members):
            checkpoint(report, cancelled, 0.1 + 0.7 * member / members, f"member {member + 1}")
            rng = np.random.default_rng((options.seed, member))
            _count(votes, near, seeds.group, flood(*perturbed(seeds, light, rng)))
        checkpoint(report, cancelled, 0.8, "map")
        reachable = 1 - never_hit(distance[..., 0], seeds.length_px)
        weight = (votes * reachable[..., None] / members).astype(np.float32)
        return read_out(problem, seeds, near, weight, light_used=True, degraded=(*notes, *reason))


def never_hit(distance: NDArray[np.float32], length_px: float) -> NDArray[np.float32]:
    """Probability that a pixel belongs to a grain without any point, by its distance from the nearest point.

    A quarter of P(another grain at this distance): mostly the pixel belongs to one of the other grains measured, and of
    those the members of the ensemble tell. With a quarter the mean is calibrated on the shipped maps.
    """
    log_odds = distance_log_odds(distance[..., None], length_px)[..., 0]
    return (0.25 / (1 + np.exp(log_odds))).astype(np.float32)


def perturbed(seeds: Seeds, light: RegisteredLight, rng: np.random.Generator) -> tuple[Seeds, RegisteredLight]:
    """Seeds with some left out (never all), and PL with its noise added once more and shifted by its residual."""
    keep = rng.random(len(seeds)) >= DROP_SHARE
    keep[rng.integers(len(seeds))] = True
    shift = rng.normal(scale=light.residual_px / np.sqrt(2), size=2)
    finite = np.isfinite(light.sigma) & np.isfinite(light.features)
    noise = np.where(finite, light.sigma, 0) * rng.normal(size=light.features.shape)
    features = ndimage.shift(np.where(finite, light.features, 0) + noise, (0, *shift), order=1, mode="nearest")
    return seeds.select(keep), replace(light, features=features.astype(np.float32))


def flood(seeds: Seeds, light: RegisteredLight) -> NDArray[np.int32]:
    """(h, w) group of each pixel."""
    markers = np.zeros(light.features.shape[1:], dtype=np.int32)
    markers[tuple(seeds.position.T)] = seeds.group + 1
    return np.asarray(watershed(elevation(light), markers), dtype=np.int32) - 1


def elevation(light: RegisteredLight) -> NDArray[np.float32]:
    """(h, w) gradient of PL in units of its noise per pixel; 0 where PL is not trusted."""
    finite = np.isfinite(light.sigma) & np.isfinite(light.features) & (light.sigma > 0)
    slope = np.zeros(light.features.shape[1:])
    for channel, noise in zip(np.where(finite, light.features, 0), np.where(finite, light.sigma, np.inf), strict=True):
        smooth = ndimage.gaussian_filter(channel, BLUR_PX)
        slope += (ndimage.sobel(smooth, axis=0) ** 2 + ndimage.sobel(smooth, axis=1) ** 2) / noise**2
    return np.sqrt(slope).astype(np.float32)


@free
def _count(
    votes: NDArray[np.float32], near: NDArray[np.int32], group: NDArray[np.int32], label: NDArray[np.int32]
) -> None:
    """Add one vote per pixel to the candidate of the flooded group; a group that is not nearby gets none."""
    h, w, count = near.shape
    for r in range(h):
        for c in range(w):
            for k in range(count):
                if near[r, c, k] >= 0 and group[near[r, c, k]] == label[r, c]:
                    votes[r, c, k] += 1
                    break
