"""Candidate orientations of every pixel, and what can be said of them without learning anything.

The candidates are the nearest seed of each group of measured points nearby, weighed as `model.reconstruct.gate` weighs
them; the network starts from those weights and learns how they are wrong. Nothing is learnt here. Weights are those of
the whole section, because smoothing carries them far; what the network looks at is made per window, so that a large
section can be looked at in tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from grainloop.model.reconstruct.bands import in_bands
from grainloop.model.reconstruct.gate import CHUNK_PIXELS, GROUPS, smoothed, weighed_candidates
from grainloop.model.reconstruct.prior import PriorBelief
from grainloop.model.reconstruct.problem import RegisteredLight
from grainloop.model.reconstruct.seeds import Seeds
from grainloop.model.reconstruct.smooth import probabilities

Floats = NDArray[np.float32]
Window = tuple[slice, slice]
"""Rows and columns of a section; steps are 1."""
WHOLE: Window = (slice(None), slice(None))

COUNT = GROUPS
FEATURES = 8
"""Distance, excess distance, orientation and PL unlike the nearest candidate's, size of the group, log-probability
before and after smoothing, how far the grain has bent on the way."""
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


@dataclass(frozen=True, eq=False)
class SectionCandidates:
    """Candidates of a whole (H, W) section and their weights: 190 bytes per pixel.

    Attributes:
        seeds: measured points; there may be none.
        embedding: (n, E) float32 of the seeds.
        predicted_light: (n, L) float32 standardised PL predicted from the seeds.
        seed: (H, W, K) int32 nearest seed of each group nearby, nearest first; −1 is none.
        distance: (H, W, K) float32 in pixels.
        unary, prior: (H, W, K + 1) float32 log-probabilities before and after smoothing, a grain never hit last.
        spacing: (H, W) float32 local spacing of the points, in pixels.
        context: (CONTEXT, H, W) float32.
        bending_deg_px: (n,) float32 how fast the orientation changes inside the grain of each seed.
    """

    seeds: Seeds
    embedding: Floats
    predicted_light: Floats
    seed: NDArray[np.int32]
    distance: Floats
    unary: Floats
    prior: Floats
    spacing: Floats
    context: Floats
    bending_deg_px: Floats


def local_spacing(measured: NDArray[np.bool_]) -> Floats:
    """(h, w) spacing of a regular grid as dense as the points around each pixel, in px."""
    mean = np.sqrt(measured.size / max(1, int(measured.sum())))
    density = gaussian_filter(measured.astype(np.float32), mean, mode="reflect", truncate=3.0)
    return np.clip(1 / np.sqrt(np.maximum(density, 1e-6)), 1.0, 4 * mean).astype(np.float32)


def section_candidates(
    shape: tuple[int, int],
    seeds: Seeds,
    embedding: Floats,
    predicted_light: Floats,
    light: RegisteredLight | None = None,
    trust: float = 0.0,
    bending_deg_px: Floats | None = None,
    belief: PriorBelief | None = None,
) -> SectionCandidates:
    """Candidates of a section, from which `candidates_in` makes those of a window.

    Args:
        shape: rows, columns.
        seeds: measured points; there may be none.
        embedding: (n, E) of the seeds.
        predicted_light: (n, L) standardised PL predicted from the seeds; L may be 0.
        light: registered PL, if it is used.
        trust: how much its misfit counts (`model.reconstruct.gate.light_trust`).
        bending_deg_px: (n,) as in `model.reconstruct.within.Partners`; None takes grains to be straight.
        belief: in a prior section, if one is used.
    """
    tables = np.ascontiguousarray(embedding), np.ascontiguousarray(predicted_light)
    if not len(seeds):
        return _nothing_measured(shape, seeds, tables)
    seed, distance, log_odds = weighed_candidates(shape, seeds, light, trust, belief)
    unary = _cut_off_log(probabilities(log_odds))
    prior = _cut_off_log(smoothed(log_odds, seeds, seed))
    nearest = distance[..., 0]
    spacing = np.maximum(local_spacing(_measured(shape, seeds)), nearest)
    context = _context(nearest, spacing, seeds, trust)
    bending = np.zeros(len(seeds), np.float32) if bending_deg_px is None else bending_deg_px
    return SectionCandidates(seeds, *tables, seed, distance, unary, prior, spacing, context, bending)


def candidates_in(section: SectionCandidates, window: Window = WHOLE) -> Candidates:
    """Candidates of the section or a window of it: the same as the crop of those of the whole."""
    from grainloop.model.diffusion.network._candidate_kernels import describe

    (top, bottom, _), (left, right, _) = (s.indices(n) for s, n in zip(window, section.spacing.shape, strict=True))
    shape = (bottom - top, right - left)
    index, known = np.empty((COUNT, *shape), np.int32), np.empty((COUNT, *shape), np.bool_)
    features = np.empty((COUNT, FEATURES, *shape), np.float32)
    group = section.seeds.group
    size = np.log(np.bincount(group)[group]).astype(np.float32)
    weighed, tables = (section.unary, section.prior), (section.embedding, section.predicted_light)

    def fill(rows: slice) -> None:
        describe(
            (top, left),
            (rows.start, rows.stop),
            section.seed,
            section.distance,
            section.spacing,
            weighed,
            (size, section.bending_deg_px),
            tables,
            index,
            known,
            features,
        )

    in_bands(fill, shape, CHUNK_PIXELS)
    prior = np.ascontiguousarray(np.moveaxis(section.prior[window], -1, 0))
    return Candidates(index, known, prior, features, np.ascontiguousarray(section.context[:, *window]))


def _nothing_measured(shape: tuple[int, int], seeds: Seeds, tables: tuple[Floats, Floats]) -> SectionCandidates:
    """No slot is known, the free branch has all the weight."""
    prior = np.full((*shape, COUNT + 1), LOWEST, np.float32)
    prior[..., -1] = 0
    context = np.zeros((CONTEXT, *shape), np.float32)
    context[0] = context[1] = 4.0
    seed, distance = np.full((*shape, COUNT), -1, np.int32), np.full((*shape, COUNT), np.inf, np.float32)
    ones, nothing = np.ones(shape, np.float32), np.zeros(0, np.float32)
    return SectionCandidates(seeds, *tables, seed, distance, prior, prior, ones, context, nothing)


def _cut_off_log(probability: Floats) -> Floats:
    """The logarithm, at least `LOWEST`, in place."""
    np.maximum(probability, np.float32(np.exp(LOWEST)), out=probability)
    return np.log(probability, out=probability)


def _measured(shape: tuple[int, int], seeds: Seeds) -> NDArray[np.bool_]:
    measured = np.zeros(shape, np.bool_)
    measured[tuple(seeds.position.T)] = True
    return measured


def _context(nearest: Floats, spacing: Floats, seeds: Seeds, trust: float) -> Floats:
    length = np.log(np.float32(seeds.length_px) / spacing)
    return np.stack([nearest / spacing, np.log(spacing), length, np.full_like(spacing, 10 * trust)]).astype(np.float32)
