"""PL of a section in the EBSD frame, in the units of the prediction, with its noise and a verdict.

The one entry point for reconstruction: everything that can go wrong with PL ends here as a sentence and as a large
noise level, so that a method that weighs PL by its noise falls back to EBSD alone by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainloop.model.light.calibrate import Calibration, calibrate
from grainloop.model.light.checks import check_points, check_quaternions
from grainloop.model.light.explain import explained_variance, reason_against
from grainloop.model.light.features import LightFeatures
from grainloop.model.light.inverse import UNSEEN, Inverse, fit_inverse
from grainloop.model.light.noise import DISTRUST, disagreement, edge_noise
from grainloop.model.light.predict import predict_light
from grainloop.model.light.refine import PointTargets, Refined
from grainloop.model.light.sample import Images, blur, sample
from grainloop.model.light.search import find_warp, follow_warp
from grainloop.model.light.shading import Shading
from grainloop.model.light.warp import Warp, grid_positions

Array = NDArray[np.float64]
OrientationMap = Callable[[NDArray[np.floating]], NDArray[np.float64]]

MIN_EXPLAINED = 0.1


@dataclass(frozen=True, eq=False)
class Alignment:
    """PL registered to the EBSD grid and calibrated by the measured points.

    Attributes:
        registered: (5, h, w) float32 PL features in the EBSD frame, in the units of `predict_light`; NaN where the PL
            image does not reach, or everywhere if PL is not usable.
        sigma: (h, w) float32 noise of `registered`, as rms over the features that PL shows (`channel_sigma` below 1);
            infinite where there is no PL, large where PL does not explain the points.
        channel_sigma: (5,) global noise level of each feature; 80 for a feature that this PL does not show.
        warp: EBSD pixel → PL pixel.
        residual_px: estimated rms misregistration left, in EBSD pixels.
        moved_px: rms displacement that the registration took out.
        explained_variance: share of the PL variance at the measured points that their orientations explain,
            cross-validated.
        distrusted_share: share of the grid where the noise is three times the global level or more.
        usable: false if PL should play no part; `notes` then say why.
        notes: sentences for the user.
    """

    registered: NDArray[np.float32]
    sigma: NDArray[np.float32]
    channel_sigma: NDArray[np.float32]
    warp: Warp
    residual_px: float
    moved_px: float
    explained_variance: float
    distrusted_share: float
    usable: bool
    notes: tuple[str, ...] = ()

    def sigma_of_channels(self) -> NDArray[np.float32]:
        """(5, h, w) noise of each feature: the noise map with the level of each feature."""
        relative = self.channel_sigma / _level(self.channel_sigma)
        return np.minimum(self.sigma[None] * relative[:, None, None], UNSEEN).astype(np.float32)


def align(
    features: LightFeatures,
    points_px: NDArray[np.integer],
    quaternions: NDArray[np.floating],
    grid_shape: tuple[int, int],
    *,
    pixel_um: float,
    step_um: float,
    start: Alignment | Warp | None = None,
    frame: OrientationMap | None = None,
    seed: int = 0,
) -> Alignment:
    """Register and calibrate PL by the indexed points.

    Args:
        features: PL features in the PL frame; `LightFeatures.with_tiles` declares the tiles of a stitched mosaic.
        points_px: (n, 2) row, column of the indexed points.
        quaternions: (n, 4) their orientations, crystal → sample (Euler frame).
        grid_shape: rows and columns of the EBSD grid.
        pixel_um: edge of a PL pixel.
        step_um: step of the EBSD grid.
        start: an earlier alignment to start from (cheap, no coarse stage), or a warp, e.g. of homologous points.
        frame: turns orientations from the Euler frame into the map frame; identity if not given.
        seed: of the cross-validation folds.

    Raises:
        UnfitPoints: orientations that are not unit quaternions, or points that lie outside the grid.
    """
    check_quaternions(quaternions)
    turned = quaternions if frame is None else frame(quaternions)
    return align_targets(
        features,
        points_px,
        predict_light(turned),
        grid_shape,
        scale=step_um / pixel_um,
        start=start.warp if isinstance(start, Alignment) else start,
        warm=isinstance(start, Alignment) and start.usable,
        seed=seed,
    )


def align_targets(
    features: LightFeatures,
    points_px: NDArray[np.integer],
    targets: Array,
    grid_shape: tuple[int, int],
    *,
    scale: float,
    start: Warp | None = None,
    warm: bool = False,
    seed: int = 0,  # noqa: ARG001
) -> Alignment:
    """`align` with any predicted features (n, k) in place of orientations, e.g. of the tilt alone.

    Args:
        features: as for `align`.
        points_px: as for `align`.
        targets: (n, k) predicted features of the points.
        grid_shape: rows and columns of the EBSD grid.
        scale: PL pixels per EBSD pixel by the declared sizes.
        start: a warp to start from; centre on centre if not given.
        warm: `start` is known to be right to about a pixel; no coarse stage.
        seed: as for `align`.

    Raises:
        UnfitPoints: targets that are no numbers, or points that lie outside the grid.
    """
    check_points(np.asarray(points_px), targets, grid_shape)
    nominal = Warp.nominal(grid_shape, features.shape_px, scale)
    reason = reason_against(features, targets)
    if reason:
        return without_light(start or nominal, targets.shape[1], reason)
    points = PointTargets(np.asarray(points_px, dtype=np.float64), np.asarray(targets, dtype=np.float64))
    shading = Shading(features.shape_px, features.tiles)
    found = (follow_warp if warm else find_warp)(features, points, shading, start or nominal)
    return _assemble(features.standardised, points, shading, found, nominal)


def without_light(warp: Warp, n_features: int, reason: str, explained: float = 0.0) -> Alignment:
    """The declared fall-back: no PL, infinite noise, and why."""
    shape = warp.grid_shape
    return Alignment(
        registered=np.full((n_features, *shape), np.nan, dtype=np.float32),
        sigma=np.full(shape, np.inf, dtype=np.float32),
        channel_sigma=np.full(n_features, UNSEEN, dtype=np.float32),
        warp=warp,
        residual_px=float("nan"),
        moved_px=0.0,
        explained_variance=explained,
        distrusted_share=1.0,
        usable=False,
        notes=(f"PL is not used: {reason}",),
    )


def _assemble(images: Images, points: PointTargets, shading: Shading, found: Refined, nominal: Warp) -> Alignment:
    """Calibrate at the registered positions, invert, and judge."""
    warp = found.warp
    footprint = np.sqrt(max(0.0, (0.5 * warp.scale) ** 2 - 0.25))
    images = blur(images, float(footprint))
    positions = warp(points.points_px)
    calibration = calibrate(sample(images, positions), points.targets, positions, shading)
    explained = explained_variance(images, points, shading, warp)
    moved = float(np.sqrt(np.mean(np.sum((warp.displacement_px() - nominal.displacement_px()) ** 2, axis=2))))
    if explained < MIN_EXPLAINED:
        reason = f"it explains only {max(explained, 0):.0%} of what the measured orientations predict."
        return replace(without_light(warp, points.targets.shape[1], reason, explained), moved_px=moved)
    grid = warp(grid_positions(warp.grid_shape))
    corrected = calibration.correct(sample(images, grid), grid)
    at_points = calibration.correct(sample(images, positions), positions)
    inverse = fit_inverse(np.nan_to_num(at_points), points.targets, calibration.weight)
    registered = inverse(corrected).T.reshape(-1, *warp.grid_shape)
    residual = found.residual_px()
    sigma = _noise_map(registered, points, calibration, inverse, residual)
    level = _level(inverse.sigma)
    return Alignment(
        registered=registered.astype(np.float32),
        sigma=sigma.astype(np.float32),
        channel_sigma=inverse.sigma.astype(np.float32),
        warp=warp,
        residual_px=residual,
        moved_px=moved,
        explained_variance=explained,
        distrusted_share=float(np.mean(sigma >= DISTRUST * level)),
        usable=True,
        notes=(),
    )


def _level(channel_sigma: NDArray[np.floating]) -> float:
    """Rms noise over the features that PL shows."""
    shown = channel_sigma[channel_sigma < 1]
    return float(np.sqrt(np.mean(np.square(shown if len(shown) else channel_sigma))))


def _noise_map(
    registered: Array, points: PointTargets, calibration: Calibration, inverse: Inverse, residual_px: float
) -> Array:
    shown = registered[inverse.sigma < 1] if np.any(inverse.sigma < 1) else registered[:1]
    level = _level(inverse.sigma)
    distance = np.sqrt(np.mean((calibration.residual / calibration.scale) ** 2, axis=1))
    factor = disagreement(shown, points.points_px.astype(np.intp), distance, level)
    sigma = np.hypot(level * factor, edge_noise(shown, residual_px))
    outside = ~np.isfinite(registered).all(axis=0)
    return np.where(ndimage.binary_dilation(outside), np.inf, sigma)
