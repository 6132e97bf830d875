"""PL of a shipped map through the simulator's exact optics, with a true misregistration that can be read.

Shared by the registration benchmark and the tests of `model.light`; the points are drawn here rather than by the
simulated detector, so that their number and layout are exact and the share of mis-indexed ones is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainloop.instrument_sim import specimens
from grainloop.instrument_sim.camera import Camera, LightNuisances
from grainloop.instrument_sim.section import Section
from grainloop.instrument_sim.warp import Warp as TrueWarp
from grainloop.model.light import Alignment, LightFeatures, align, features_from_rgb, fit_stack
from grainloop.model.light import Warp as FoundWarp

ANGLES_DEG = tuple(float(angle) for angle in range(0, 180, 10))
MISINDEXED = 0.02


@dataclass(frozen=True, eq=False)
class LightScene:
    """What a registration sees, and the truth that it does not.

    Attributes:
        features: PL features in the PL frame.
        points_px: (n, 2) measured points.
        quaternions: (n, 4) as measured, a share of them mis-indexed.
        orientation: (h, w, 4) true map.
        camera: holds the true warp, its pixel ratio and dust.
        wave_px: amplitude of a distortion on top of the true warp: one wave of the rows across the PL frame.
    """

    features: LightFeatures
    points_px: NDArray[np.intp]
    quaternions: NDArray[np.float32]
    orientation: NDArray[np.float32]
    camera: Camera
    wave_px: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the EBSD grid."""
        return self.orientation.shape[0], self.orientation.shape[1]

    def align(self, start: Alignment | FoundWarp | None = None, **options: object) -> Alignment:
        """`model.light.align` of this scene."""
        pixel_um = 1.0 / self.camera.nuisances.ratio
        return align(  # type: ignore[arg-type]
            self.features,
            self.points_px,
            self.quaternions,
            self.shape,
            pixel_um=pixel_um,
            step_um=1.0,
            start=start,
            **options,
        )

    def bent(self, wave_px: float) -> LightScene:
        """The same scene with the rows of PL displaced by a wave that no affine or bilinear map can follow."""
        rows, columns = np.indices(self.features.shape_px, dtype=float)
        places = np.stack([rows + self._wave(wave_px, columns), columns])
        values = [ndimage.map_coordinates(channel, places, order=1, mode="nearest") for channel in self.features.values]
        features = replace(self.features, values=np.stack(values).astype(np.float32))
        return replace(self, features=features, wave_px=wave_px)

    def _wave(self, amplitude_px: float, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        return amplitude_px * np.cos(2 * np.pi * columns / self.features.shape_px[1])

    def error_px(self, alignment: Alignment) -> float:
        """Rms misregistration over the grid, in EBSD pixels."""
        grid = np.stack(np.indices(self.shape), axis=-1).reshape(-1, 2)
        true = self.camera.warp(grid)
        true[:, 0] -= self._wave(self.wave_px, true[:, 1])
        wrong = (alignment.warp(grid) - true) / self.camera.nuisances.ratio
        return float(np.sqrt(np.mean(np.sum(wrong**2, axis=-1))))


@cache
def section(name: str) -> Section:
    """A shipped map, mounted."""
    return Section.mount(specimens.load(name))


def make_scene(
    name: str,
    seed: int,
    share: float,
    layout: str,
    nuisances: LightNuisances | None = None,
    *,
    warp: TrueWarp | None = None,
    angles_deg: tuple[float, ...] = ANGLES_DEG,
    rgb: bool = False,
    misindexed: float = MISINDEXED,
    light_of: Section | None = None,
) -> LightScene:
    """A scene with `share` of the pixels measured on a regular "grid" or at "random" places.

    Args:
        name: of the shipped map.
        seed: of everything random.
        share: of the pixels that are measured.
        layout: "grid" or "random".
        nuisances: of the camera; the simulator's defaults (15 % noise, 3 px rms misregistration) if not given.
        warp: true warp in place of a random one.
        angles_deg: stage angles.
        rgb: one image through a tint plate instead of a stack.
        misindexed: share of points that carry the orientation of another point.
        light_of: another section whose PL is taken, to try what must not work.
    """
    rng = np.random.default_rng([seed, 7])
    truth = section(name)
    lit = light_of or truth
    ideal = lit.ideal_rgb(1.0) if rgb else lit.ideal_light(angles_deg, 1.0)
    height, width = truth.grains.orientation.shape[:2]
    ideal = ideal[:, :height, :width]
    camera = Camera.mount(rng, (ideal.shape[1], ideal.shape[2]), nuisances, warp)
    images = camera.expose(ideal, rng)
    points = draw_points((height, width), share, layout, rng)
    quaternions = truth.grains.orientation[points[:, 0], points[:, 1]].copy()
    wrong = np.flatnonzero(rng.random(len(points)) < misindexed)
    quaternions[wrong] = quaternions[rng.integers(len(points), size=len(wrong))]
    features = features_from_rgb(images) if rgb else fit_stack(images, angles_deg)
    return LightScene(features, points, quaternions, truth.grains.orientation, camera)


def draw_points(shape: tuple[int, int], share: float, layout: str, rng: np.random.Generator) -> NDArray[np.intp]:
    """(n, 2) measured pixels: a centred regular grid of nearly this share, or exactly this share at random."""
    if layout == "grid":
        step = round(float(np.sqrt(1 / share)))
        axes = [np.arange((n - 1) % step // 2, n, step) for n in shape]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    chosen = rng.choice(shape[0] * shape[1], round(share * shape[0] * shape[1]), replace=False)
    return np.stack(np.divmod(chosen, shape[1]), axis=-1)
