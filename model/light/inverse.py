"""From calibrated image channels back to predicted features: values with a noise level, as if measured directly.

Linear regression of the features on the channels is shrunk towards the mean of the section; here the shrinkage is
undone, so that what is returned is feature + noise, with the noise level of each feature. A feature that the image
does not show gets the level `UNSEEN`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.light.calibrate import robust_scale

Array = NDArray[np.float64]

UNSEEN = 80.0
"""Noise level of a feature that PL does not show: the level of pure noise in the joint model."""
LEAST_EXPLAINED = 0.02


@dataclass(frozen=True, eq=False)
class Inverse:
    """Features = matrix · channels + offset, with noise `sigma`.

    Attributes:
        matrix: (k, c).
        offset: (k,).
        sigma: (k,) noise level of each feature.
    """

    matrix: Array
    offset: Array
    sigma: Array

    def __call__(self, channels: Array) -> Array:
        """(n, k) features of (n, c) calibrated channels."""
        return channels @ self.matrix.T + self.offset


def fit_inverse(channels: Array, targets: Array, weight: Array) -> Inverse:
    """Weighted regression of `targets` (n, k) on calibrated `channels` (n, c), with the shrinkage undone."""
    mean_c, mean_t = np.average(channels, axis=0, weights=weight), np.average(targets, axis=0, weights=weight)
    x, y = channels - mean_c, targets - mean_t
    normal = (x * weight[:, None]).T @ x
    matrix = np.linalg.solve(normal + 1e-6 * np.trace(normal) * np.eye(len(normal)), (x * weight[:, None]).T @ y).T
    prior = np.average(y**2, axis=0, weights=weight)
    left = np.minimum(robust_scale(y - x @ matrix.T, (weight > 0.05).astype(float), x.shape[1] + 1) ** 2, prior)
    explained = 1 - left / np.maximum(prior, 1e-12)
    seen = (explained > LEAST_EXPLAINED) & (prior > 1e-8)
    growth = np.where(seen, 1 / np.maximum(explained, LEAST_EXPLAINED), 0.0)
    sigma = np.where(seen, np.sqrt(left * growth), UNSEEN)
    matrix = matrix * growth[:, None]
    return Inverse(matrix, mean_t - matrix @ mean_c, np.maximum(sigma, 1e-3))
