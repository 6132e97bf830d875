"""Self-calibration of PL: what the image shows for a given orientation, learnt from the measured points.

Forward model of every channel: F = g(x)·(A·P + b + o(x)) with P the predicted features, A a mixing matrix, b an offset,
o trends and tile steps, g the illumination. Robust ridge regression (iteratively reweighted, one weight per point,
so that a dust speck or a mis-indexed point counts little in all channels). Nothing here moves the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.light.shading import TREND_TERMS, Shading

Array = NDArray[np.float64]

MIXING_PRIOR = 2.0
"""Prior sd of mixing coefficients, in sds of the channel per unit of P."""
TREND_PRIOR = 0.3
TILE_PRIOR = 1.0
GAIN_PRIOR = 0.2
SOFT_L1_SCALE = 2.0
"""Residual, in noise sds, beyond which the loss turns from square to linear."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The forward model of one section and its inverse.

    Attributes:
        coefficients: (p, c) of the columns of `design`.
        gain: (9,) trend coefficients of g − 1.
        scale: (c,) robust sd of the residual per channel, in counts.
        weight: (n,) robust weight of each point, 0 … 1.
        residual: (n, c) counts; NaN where the point lies outside the image.
        shading: the basis that positions enter through.
        n_targets: number of predicted features.
    """

    coefficients: Array
    gain: Array
    scale: Array
    weight: Array
    residual: Array
    shading: Shading
    n_targets: int

    def illumination(self, positions: Array) -> Array:
        """(n,) g at PL positions."""
        return np.clip(1 + self.shading.trend(positions) @ self.gain, 0.3, 3.0)

    def correct(self, values: Array, positions: Array) -> Array:
        """(n, c) counts with illumination, trends, steps and offset taken out: an estimate of A·P."""
        rest = design(np.zeros((len(positions), self.n_targets)), positions, self.shading)
        return values / self.illumination(positions)[:, None] - rest @ self.coefficients

    @property
    def mixing(self) -> Array:
        """(c, k) A."""
        return self.coefficients[: self.n_targets].T


def design(targets: Array, positions: Array, shading: Shading) -> Array:
    """(n, p) columns: predicted features, constant, trends, tile steps."""
    ones = np.ones((len(targets), 1))
    return np.hstack([targets, ones, shading.trend(positions), shading.steps(positions)])


def penalties(n_targets: int, n_tiles: int) -> Array:
    """(p,) inverse prior variances of the coefficients of `design`, for channels scaled to unit sd."""
    prior = [MIXING_PRIOR] * n_targets + [1e3] + [TREND_PRIOR] * TREND_TERMS + [TILE_PRIOR] * n_tiles
    return 1 / np.square(prior)


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A weighted ridge fit of all channels on one design."""

    coefficients: Array
    residual: Array
    scale: Array
    distance: Array
    """(n,) rms residual over the channels, in noise sds."""


def ridge(columns: Array, values: Array, weight: Array, penalty: Array) -> Array:
    """(p, c) coefficients that minimise Σ w |F − X a|² / s² + a²·penalty / sd(F)², with s² the noise variance."""
    share = weight / weight.sum()
    spread = np.maximum(np.sqrt(share @ (values - share @ values) ** 2), 1e-12)
    weighted = columns * weight[:, None]
    normal, right = weighted.T @ columns, weighted.T @ (values / spread)
    first = _solve(normal, 0.3 * penalty, right)
    misfit = values / spread - columns @ first
    noise = float(np.clip(np.mean(share @ misfit**2), 1e-3, 1))
    return _solve(normal, noise * penalty, right) * spread


def _solve(normal: Array, penalty: Array, right: Array) -> Array:
    return np.asarray(np.linalg.solve(normal + np.diag(penalty + 1e-9), right), dtype=np.float64)


def robust_fit(columns: Array, values: Array, weight: Array, penalty: Array, rounds: int = 6) -> LinearFit:
    """Iteratively reweighted ridge fit with the soft-L1 loss; `weight` holds prior weights (0 drops a point)."""
    fit = _weighted_fit(columns, values, weight, weight, penalty)
    for _ in range(rounds - 1):
        fit = _weighted_fit(columns, values, weight, weight * soft_l1_weight(fit.distance), penalty)
    return fit


def _weighted_fit(columns: Array, values: Array, prior: Array, weight: Array, penalty: Array) -> LinearFit:
    coefficients = ridge(columns, values, weight, penalty)
    residual = values - columns @ coefficients
    scale = robust_scale(residual, prior, columns.shape[1])
    return LinearFit(coefficients, residual, scale, np.sqrt(np.mean((residual / scale) ** 2, axis=1)))


def robust_scale(residual: Array, weight: Array, parameters: int) -> Array:
    """(c,) sd per channel from the median absolute residual, corrected for the parameters spent."""
    used = residual[weight > 0]
    freedom = max(len(used) - parameters, 1) / max(len(used), 1)
    return np.maximum(1.4826 * np.median(np.abs(used), axis=0) / np.sqrt(freedom), 1e-9)


def soft_l1_weight(distance: Array, scale: float = SOFT_L1_SCALE) -> Array:
    """Weight of a residual of `distance` noise sds under the soft-L1 loss."""
    return 1 / np.sqrt(1 + (distance / scale) ** 2)


def calibrate(values: Array, targets: Array, positions: Array, shading: Shading, rounds: int = 2) -> Calibration:
    """The forward model from points.

    Args:
        values: (n, c) PL sampled at the points; NaN where a point lies outside the image.
        targets: (n, k) predicted features of the points.
        positions: (n, 2) PL positions of the points.
        shading: basis of slow trends.
        rounds: how often the illumination is refined.
    """
    inside = np.asarray(np.isfinite(values).all(axis=1))
    kept = np.where(inside[:, None], values, 0.0)
    columns = design(targets, positions, shading)
    penalty = penalties(targets.shape[1], shading.n_tiles)
    gain = np.zeros(TREND_TERMS)
    trend = shading.trend(positions)
    fit = robust_fit(columns, kept, inside.astype(float), penalty)
    for _ in range(rounds):
        gain = _fit_gain(kept, columns @ fit.coefficients, trend, fit, inside)
        flat = kept / np.clip(1 + trend @ gain, 0.3, 3.0)[:, None]
        fit = robust_fit(columns, flat, inside.astype(float), penalty)
    weight = inside / (1 + (fit.distance / (2 * SOFT_L1_SCALE)) ** 2) ** 2
    residual = np.where(inside[:, None], fit.residual, np.nan)
    return Calibration(fit.coefficients, gain, fit.scale, weight, residual, shading, targets.shape[1])


def _fit_gain(values: Array, predicted: Array, trend: Array, fit: LinearFit, inside: NDArray[np.bool_]) -> Array:
    """Ridge fit of F − F̂ on trend·F̂ over all channels: the illumination that multiplies them alike."""
    weight = inside * soft_l1_weight(fit.distance)
    scaled, misfit = predicted / fit.scale, (values - predicted) / fit.scale
    power = weight * np.sum(scaled**2, axis=1)
    normal = trend.T @ (trend * power[:, None]) + np.eye(TREND_TERMS) / GAIN_PRIOR**2
    return np.linalg.solve(normal, trend.T @ (weight * np.sum(scaled * misfit, axis=1)))
