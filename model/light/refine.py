"""Point-based registration: move the PL image until it shows what the measured orientations predict.

Minimises the robust residual between PL sampled at w(p) and the calibrated prediction from the orientation at p, over
the warp w, from coarse to fine blur; calibration is eliminated at every step (variable projection). Finding the basin
of attraction is `coarse`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import cached
from grainloop.model.light.calibrate import design, penalties, ridge, robust_fit, soft_l1_weight
from grainloop.model.light.sample import Images, blur, sample_with_gradient
from grainloop.model.light.shading import Shading
from grainloop.model.light.warp import BILINEAR, Warp, grid_positions

Array = NDArray[np.float64]

COARSE_LEVELS_PX = (4.0, 2.0)
FINE_LEVELS_PX = (0.6, 0.3)
"""For sharpened images. Points beside an edge push the warp by chance, the less the sharper the edge is seen."""
COARSE_LOSS = 2.0
FINE_LOSS = 4.0
"""Scale of the soft-L1 loss in noise sds. Points beside an edge fit less well for a good reason: a loss that takes them
for outliers prefers warps that move them into their grains."""
RESIDUAL_FACTOR = 1.25
"""True over estimated residual, typically; measured on simulated PL of two real maps at 1 to 6 % of points."""
MAX_STEPS = 12
CONVERGED_PX = 0.003
MAX_DAMPING = 1e3
MIN_INSIDE = 0.3
"""Share of the points that must stay inside the image; a warp that loses more is refused."""
MOST_STRETCH = 0.2
"""Sizes are declared: a warp that stretches by more, and by more than its start, is refused. Few points are explained
perfectly by a map that shrinks to a spot."""
AFFINE_PRIOR_PX = 30.0
TWIST_PRIOR_PX = 3.0
SMOOTH_PRIOR_PX = 0.7


@dataclass(frozen=True, eq=False)
class PointTargets:
    """What the measured points say: positions in the EBSD grid and predicted PL features.

    Attributes:
        points_px: (n, 2) rows and columns.
        targets: (n, k) predicted features, unit range.
    """

    points_px: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.points_px)

    def subset(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> PointTargets:
        """The points that a numpy index picks."""
        return PointTargets(self.points_px[index], self.targets[index])


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
        """Expected rms misregistration over the grid, from the covariance and by experience."""
        grid = grid_positions(self.warp.grid_shape)[::17]
        functions, size = self.warp.basis(grid), self.warp.coefficients.shape[1]
        blocks = (self.covariance[:size, :size], self.covariance[size:, size:])
        variance = sum(np.mean(np.einsum("nb,bc,nc->n", functions, block, functions)) for block in blocks)
        return RESIDUAL_FACTOR * float(np.sqrt(variance))


def refine(
    images: Images,
    points: PointTargets,
    shading: Shading,
    warp: Warp,
    levels_px: tuple[float, ...] = COARSE_LEVELS_PX,
    loss: float = COARSE_LOSS,
) -> Refined:
    """The warp that explains the points best, starting from `warp`.

    Args:
        images: (c, h, w) PL channels.
        points: at least a few more than the warp has parameters.
        shading: basis of slow trends.
        warp: start.
        levels_px: Gaussian blurs, in EBSD pixels, from coarse to fine; at least one.
        loss: residual, in noise sds, beyond which the loss turns from square to linear.
    """
    functions = warp.basis(points.points_px)
    for level in levels_px[:-1]:
        warp = _descend(_Problem(blur(images, level * warp.scale), points, shading, functions, loss), warp).warp
    last = _Problem(blur(images, levels_px[-1] * warp.scale), points, shading, functions, loss)
    state = _descend(last, warp)
    return Refined(state.warp, _covariance(last, state), state.cost)


@dataclass(frozen=True, eq=False)
class _Problem:
    """What stays the same while the warp moves at one blur level; `basis` is (n, b) at the points."""

    images: Images
    points: PointTargets
    shading: Shading
    basis: Array
    loss: float


@dataclass(frozen=True, eq=False)
class _State:
    """One warp: its cost, and what the normal equations need."""

    warp: Warp
    cost: float
    columns: Array
    residual: Array
    slopes: Array
    weight: Array


def _descend(problem: _Problem, warp: Warp) -> _State:
    """Damped Gauss-Newton at one blur level."""
    scale = _noise_scale(problem, warp)
    here, damping = _evaluate(problem, warp, scale), 1e-3
    normal, gradient = _normal_equations(problem, here)
    for _ in range(MAX_STEPS):
        step = _step(normal, gradient, here.warp, damping)
        trial = _evaluate(problem, here.warp.moved(step), scale)
        if trial.cost < here.cost and trial.warp.stretch <= max(MOST_STRETCH, here.warp.stretch):
            here, damping = trial, damping / 5
            normal, gradient = _normal_equations(problem, here)
            if np.sqrt(np.sum(step**2)) < CONVERGED_PX:
                break
        elif (damping := damping * 8) > MAX_DAMPING:
            break
    return here


def field_evidence(images: Images, points: PointTargets, shading: Shading, warp: Warp, size: int) -> float:
    """How strongly the points ask for a smooth field beyond `warp`: the robust score statistic over its mean.

    About 1 if `warp` is right (it is χ² over its degrees of freedom), far above if a field of `size` basis functions
    would explain residuals that it cannot. Costs one evaluation.
    """
    wide = warp.with_basis(size)
    problem = _Problem(
        blur(images, FINE_LEVELS_PX[0] * warp.scale), points, shading, wide.basis(points.points_px), FINE_LOSS
    )
    state = _evaluate(problem, wide, _noise_scale(problem, wide))
    normal, gradient = _normal_equations(problem, state)
    kept = warp.coefficients.shape[1]
    old = np.flatnonzero(np.tile(np.arange(size) < kept, 2))
    new = np.flatnonzero(np.tile(np.arange(size) >= kept, 2))
    slope = np.linalg.solve(normal[np.ix_(old, old)] + 1e-6 * np.eye(len(old)), normal[np.ix_(old, new)])
    score = _scores(problem, state)
    profiled = score[:, new] - score[:, old] @ slope
    spread = profiled.T @ profiled + 1e-6 * np.eye(len(new))
    push = gradient[new] - gradient[old] @ slope
    return float(push @ np.linalg.solve(spread, push) / len(new))


def _noise_scale(problem: _Problem, warp: Warp) -> Array:
    values, _, positions, inside = _sampled(problem, warp)
    if inside.sum() < MIN_INSIDE * len(inside):
        return np.ones(values.shape[1])
    targets = problem.points.targets
    penalty = penalties(targets.shape[1], problem.shading.n_tiles)
    return robust_fit(design(targets, positions, problem.shading), values, inside, penalty, rounds=4).scale


def _sampled(problem: _Problem, warp: Warp) -> tuple[Array, Array, Array, Array]:
    """Values, slopes (0 outside the image), positions and 1 or 0 for inside and outside, at the points."""
    positions = warp.at(problem.points.points_px, problem.basis)
    values, slopes = sample_with_gradient(problem.images, positions)
    inside = np.asarray(np.isfinite(values).all(axis=1), dtype=np.float64)
    return np.nan_to_num(values), np.nan_to_num(slopes), positions, inside


def _evaluate(problem: _Problem, warp: Warp, scale: Array) -> _State:
    """Residuals of the points under `warp`, in noise sds, after the best calibration for it."""
    values, slopes, positions, inside = _sampled(problem, warp)
    values, targets = values / scale, problem.points.targets
    columns = design(targets, positions, problem.shading)
    penalty = penalties(targets.shape[1], problem.shading.n_tiles)
    residual, distance = values, np.zeros(len(values))
    for _ in range(3):
        residual = values - columns @ ridge(
            columns, values, inside * soft_l1_weight(distance, problem.loss) + 1e-12, penalty
        )
        distance = np.sqrt(np.mean(residual**2, axis=1))
    weight, cost = inside * soft_l1_weight(distance, problem.loss), _cost(distance, inside, problem.loss)
    return _State(warp, cost, columns, residual, slopes * (warp.scale / scale[:, None]), weight)


def _cost(distance: Array, inside: Array, loss: float) -> float:
    """Mean soft-L1 loss of the points inside the image: neither entering nor leaving it pays."""
    if inside.sum() < MIN_INSIDE * len(inside):
        return np.inf
    return float(inside @ (np.sqrt(1 + (distance / loss) ** 2) - 1) * loss**2 / inside.sum())


def _normal_equations(problem: _Problem, state: _State) -> tuple[Array, Array]:
    """Gauss-Newton matrix and descent direction in the warp coefficients, the calibration projected out."""
    direct, cross, pull = _accumulate(problem.basis, state.slopes, state.columns, state.residual, state.weight)
    inner = _inverse_inner(problem, state)
    return direct - np.einsum("cpa,pq,cqb->ab", cross, inner, cross), -pull


def _inverse_inner(problem: _Problem, state: _State) -> Array:
    penalty = penalties(problem.points.targets.shape[1], problem.shading.n_tiles)
    inner = state.columns.T @ (state.columns * state.weight[:, None]) + np.diag(penalty + 1e-9)
    return np.asarray(np.linalg.inv(inner), dtype=np.float64)


@cached
def _accumulate(
    functions: Array, slopes: Array, columns: Array, residual: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """Σ w J Jᵀ, Σ w X Jᵀ per channel and Σ w J r, with J = slope × basis function for rows, then columns."""
    count, channels = residual.shape
    size, width = functions.shape[1], columns.shape[1]
    direct, cross, pull = np.zeros((2 * size, 2 * size)), np.zeros((channels, width, 2 * size)), np.zeros(2 * size)
    jacobian = np.empty(2 * size)
    for n in range(count):
        if weight[n] == 0:
            continue
        for c in range(channels):
            for b in range(size):
                jacobian[b] = slopes[n, c, 0] * functions[n, b]
                jacobian[size + b] = slopes[n, c, 1] * functions[n, b]
            for a in range(2 * size):
                scaled = weight[n] * jacobian[a]
                pull[a] += scaled * residual[n, c]
                for b in range(2 * size):
                    direct[a, b] += scaled * jacobian[b]
                for p in range(width):
                    cross[c, p, a] += scaled * columns[n, p]
    return direct, cross, pull


def _step(normal: Array, gradient: Array, warp: Warp, damping: float) -> Array:
    """Step (2, b) against a weak prior that holds the bilinear part from running away and the smooth part small."""
    size = warp.coefficients.shape[1]
    prior = np.full(size, AFFINE_PRIOR_PX)
    prior[BILINEAR - 1] = TWIST_PRIOR_PX
    prior[BILINEAR:] = SMOOTH_PRIOR_PX
    penalty = np.tile(1 / prior**2, 2)
    matrix = normal + np.diag(penalty + damping * np.diag(normal) + 1e-9)
    solution = np.linalg.solve(matrix, gradient - penalty * warp.coefficients.ravel())
    return np.asarray(solution, dtype=np.float64).reshape(2, size)


def _covariance(problem: _Problem, state: _State) -> Array:
    """Sandwich estimate, valid although the loss is robust and the model approximate.

    Few points decide the warp where there are few edges, and it bends towards them: residuals are restored to what they
    would be if the point had been left out (HC3; MacKinnon & White, J. Econometrics 29 (1985) 305).
    """
    normal, _ = _normal_equations(problem, state)
    inverse = np.linalg.inv(normal + 1e-6 * np.eye(len(normal)))
    jacobian = (state.slopes[:, :, :, None] * problem.basis[:, None, None, :]).reshape(*state.residual.shape, -1)
    leverage = state.weight[:, None, None] * np.einsum("nca,ab,ndb->ncd", jacobian, inverse, jacobian, optimize=True)
    kept = 1.05 * np.eye(state.residual.shape[1]) - leverage
    restored = np.linalg.solve(kept, state.residual[:, :, None])[:, :, 0]
    score = _scores(problem, replace(state, residual=restored))
    return np.asarray(inverse @ (score.T @ score) @ inverse, dtype=np.float64)


def _scores(problem: _Problem, state: _State) -> Array:
    """(n, 2b) pull of every point on the warp coefficients."""
    along = np.einsum("nc,nck->nk", state.weight[:, None] * state.residual, state.slopes)
    return (along[:, :, None] * problem.basis[:, None, :]).reshape(len(along), -1)
