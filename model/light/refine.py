"""Point-based registration: move the PL image until it shows what the measured orientations predict.

Minimises the robust residual between PL sampled at w(p) and the calibrated prediction from the orientation at p, over
the warp w, from coarse to fine blur; calibration is eliminated at every step (variable projection). Finding the basin
of attraction is `coarse`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.light.calibrate import design, penalties, ridge, robust_fit, soft_l1_weight
from model.light.sample import Images, blur, sample, sample_with_gradient
from model.light.shading import Shading
from model.light.warp import BILINEAR, Warp, basis, grid_positions

Array = NDArray[np.float64]

BLUR_LEVELS_PX = (4.0, 2.0, 1.0, 0.6)
WARM_LEVELS_PX = (1.0, 0.6)
MAX_STEPS = 12
CONVERGED_PX = 0.003
OUTSIDE = 4.0
"""Distance, in noise sds, that a point outside the image counts with, so that leaving it never pays."""


@dataclass(frozen=True, eq=False)
class PointTargets:
    """What the measured points say: positions in the EBSD grid and predicted PL features.

    Attributes:
        points_px: (n, 2) rows and columns.
        targets: (n, k) predicted features, unit range.
        prior: (n,) prior weights.
    """

    points_px: Array
    targets: Array
    prior: Array

    def __len__(self) -> int:
        return len(self.points_px)

    def subset(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> PointTargets:
        """The points that a numpy index picks."""
        return PointTargets(self.points_px[index], self.targets[index], self.prior[index])


@dataclass(frozen=True, eq=False)
class Refined:
    """A registered warp.

    Attributes:
        warp: the map found.
        covariance: (2·b, 2·b) covariance of its coefficients (rows first, then columns), EBSD px².
        cost: robust cost per point at the finest blur.
    """

    warp: Warp
    covariance: Array
    cost: float

    def residual_px(self) -> float:
        """Expected rms misregistration over the grid, from the covariance."""
        grid = grid_positions(self.warp.grid_shape)[::17]
        functions, size = self.warp.basis(grid), self.warp.coefficients.shape[1]
        blocks = (self.covariance[:size, :size], self.covariance[size:, size:])
        return float(np.sqrt(sum(np.mean(np.einsum("nb,bc,nc->n", functions, block, functions)) for block in blocks)))


def refine(
    images: Images,
    points: PointTargets,
    shading: Shading,
    warp: Warp,
    levels_px: tuple[float, ...] = BLUR_LEVELS_PX,
) -> Refined:
    """The warp that explains the points best, starting from `warp`.

    Args:
        images: (c, h, w) PL channels.
        points: at least a few more than the warp has parameters.
        shading: basis of slow trends.
        warp: start.
        levels_px: Gaussian blurs, in EBSD pixels, from coarse to fine.
    """
    found = Refined(warp, np.zeros((0, 0)), np.inf)
    for level in levels_px:
        found = _descend(blur(images, level * warp.scale), points, shading, found.warp)
    return found


@dataclass(frozen=True, eq=False)
class _Linearised:
    """Residuals, channel scales and projected normal equations of one warp."""

    cost: float
    normal: Array
    gradient: Array
    meat: Array


def _descend(images: Images, points: PointTargets, shading: Shading, warp: Warp) -> Refined:
    """Damped Gauss-Newton at one blur level."""
    scale = _noise_scale(images, points, shading, warp)
    here, damping = _linearise(images, points, shading, warp, scale), 1e-3
    for _ in range(MAX_STEPS):
        step = _step(here, warp, damping)
        trial_warp = warp.moved(step)
        trial = _linearise(images, points, shading, trial_warp, scale)
        if trial.cost < here.cost:
            warp, here, damping = trial_warp, trial, damping / 5
            if _rms(step) < CONVERGED_PX:
                break
        else:
            damping *= 8
            if damping > 1e3:
                break
    return Refined(warp, _covariance(here), here.cost)


def _rms(step: Array) -> float:
    return float(np.sqrt(np.sum(step**2)))


def _smoothness(warp: Warp) -> Array:
    """(2b,) penalty of the smooth part; affine and bilinear terms are only held from running away."""
    size = warp.coefficients.shape[1]
    prior = np.full(size, 30.0)
    prior[BILINEAR:] = 0.7
    return np.tile(1 / prior**2, 2)


def _step(here: _Linearised, warp: Warp, damping: float) -> Array:
    penalty = _smoothness(warp)
    normal = here.normal + np.diag(penalty + damping * np.diag(here.normal) + 1e-9)
    right = here.gradient - penalty * warp.coefficients.ravel()
    return np.linalg.solve(normal, right).reshape(warp.coefficients.shape)


def _covariance(here: _Linearised) -> Array:
    """Sandwich estimate, valid although the loss is robust and the model approximate."""
    inverse = np.linalg.inv(here.normal + 1e-6 * np.eye(len(here.normal)))
    return np.asarray(inverse @ here.meat @ inverse, dtype=np.float64)


def _noise_scale(images: Images, points: PointTargets, shading: Shading, warp: Warp) -> Array:
    positions = warp(points.points_px)
    values = sample(images, positions)
    inside = np.asarray(np.isfinite(values).all(axis=1))
    if inside.sum() < 4:
        return np.ones(images.shape[0])
    fit = robust_fit(
        design(points.targets, positions, shading),
        np.where(inside[:, None], values, 0.0),
        inside * points.prior,
        penalties(points.targets.shape[1], shading.n_tiles),
        rounds=4,
    )
    return fit.scale


def _linearise(images: Images, points: PointTargets, shading: Shading, warp: Warp, scale: Array) -> _Linearised:
    """Normal equations in the warp coefficients with the calibration projected out."""
    positions = warp(points.points_px)
    values, slopes = sample_with_gradient(images, positions)
    inside = np.asarray(np.isfinite(values).all(axis=1))
    values, slopes = np.where(inside[:, None], values, 0.0) / scale, np.where(inside[:, None, None], slopes, 0.0)
    columns = design(points.targets, positions, shading)
    penalty = penalties(points.targets.shape[1], shading.n_tiles)
    weight = inside * points.prior
    residual, distance = values, np.zeros(len(points))
    for _ in range(3):
        coefficients = ridge(columns, values, weight * soft_l1_weight(distance) + 1e-12, penalty)
        residual = values - columns @ coefficients
        distance = np.where(inside, np.sqrt(np.mean(residual**2, axis=1)), OUTSIDE)
    robust = weight * soft_l1_weight(distance)
    jacobian = _projected_jacobian(slopes / scale[:, None] * warp.scale, warp, points, columns, robust)
    flat = jacobian.reshape(-1, jacobian.shape[-1])
    pull = (robust[:, None] * residual).ravel()
    score = np.einsum("ncb,nc->nb", jacobian, robust[:, None] * residual)
    return _Linearised(
        cost=_cost(distance, points.prior),
        normal=flat.T @ (flat * np.repeat(robust, residual.shape[1])[:, None]),
        gradient=-flat.T @ pull,
        meat=score.T @ score,
    )


def _cost(distance: Array, prior: Array) -> float:
    """Mean soft-L1 loss."""
    return float(np.average(np.sqrt(1 + (distance / 2) ** 2) - 1, weights=prior))


def _projected_jacobian(slopes: Array, warp: Warp, points: PointTargets, columns: Array, robust: Array) -> Array:
    """(n, c, 2b) derivative of the residuals, less what a change of the calibration would take up."""
    functions = basis(points.points_px, warp.grid_shape, warp.coefficients.shape[1])
    jacobian = np.einsum("nck,nb->nckb", slopes, functions).reshape(*slopes.shape[:2], -1)
    root = np.sqrt(robust)[:, None]
    orthonormal = np.linalg.qr(columns * root + 1e-12)[0]
    whitened = jacobian * root[:, :, None]
    held = np.einsum("np,pcb->ncb", orthonormal, np.einsum("np,ncb->pcb", orthonormal, whitened))
    return np.where(root[:, :, None] > 1e-6, (whitened - held) / np.maximum(root[:, :, None], 1e-6), 0.0)
