"""Does PL say anything about these points? Cross-validated explained variance, and reasons not to use PL.

The verdict on usability is `align`'s; this module measures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.light.calibrate import design, penalties, robust_fit, soft_l1_weight
from grainloop.model.light.features import LightFeatures
from grainloop.model.light.refine import PointTargets
from grainloop.model.light.sample import Images, sample
from grainloop.model.light.shading import Shading
from grainloop.model.light.warp import Warp

Array = NDArray[np.float64]

MIN_POINTS = 24
CLIP = 4.0


def reason_against(features: LightFeatures, targets: Array) -> str | None:
    """Why PL cannot even be tried, as the end of a sentence; nothing if it can."""
    if len(targets) < MIN_POINTS:
        return f"{len(targets)} indexed points are too few to register it ({MIN_POINTS} are needed)."
    if not np.isfinite(features.values).any():
        return "the image holds no number."
    spread, size = np.nanstd(features.values, axis=(1, 2)), np.nanmax(np.abs(features.values))
    if np.all(spread <= 1e-6 * size + 1e-12):
        return "the image is constant."
    if np.all(np.std(targets, axis=0) < 1e-6):
        return "all points predict the same PL, so nothing can be registered or calibrated."
    return None


def explained_variance(images: Images, points: PointTargets, shading: Shading, warp: Warp) -> float:
    """Share of the PL variance at the points that their predicted features explain, each point left out in turn.

    Trends and tile steps are no merit of the orientations: they are taken out of both sides. Residuals are clipped at
    four sds, so that dust does not decide. Mean over the channels, weighted by their variance; 0 or below: PL says
    nothing about these points.

    Args:
        images: (c, h, w) channels of unit sd.
        points: the measured points.
        shading: basis of slow trends.
        warp: where to sample.
    """
    positions = warp(points.points_px)
    values = sample(images, positions)
    inside = np.isfinite(values).all(axis=1)
    if np.count_nonzero(inside) < MIN_POINTS:
        return 0.0
    values, targets, positions = values[inside], points.targets[inside], positions[inside]
    null = _left_out(values, targets[:, :0], positions, shading)
    full = _left_out(values, targets, positions, shading)
    clip = CLIP * 1.4826 * np.median(np.abs(null), axis=0)
    left, total = (np.sum(np.minimum(np.abs(residual), clip) ** 2) for residual in (full, null))
    return float(1 - left / max(float(total), 1e-12))


def _left_out(values: Array, targets: Array, positions: Array, shading: Shading) -> Array:
    """(n, c) residual of every point under the robust fit of all others, by the leverage of each point."""
    columns = design(targets, positions, shading)
    penalty = penalties(targets.shape[1], shading.n_tiles)
    fit = robust_fit(columns, values, np.ones(len(values)), penalty, rounds=4)
    weight = soft_l1_weight(fit.distance)
    inverse = np.linalg.inv(columns.T @ (columns * weight[:, None]) + np.diag(0.3 * penalty + 1e-9))
    leverage = weight * np.einsum("np,pq,nq->n", columns, inverse, columns)
    return np.asarray(fit.residual / (1 - np.minimum(leverage, 0.9))[:, None])
