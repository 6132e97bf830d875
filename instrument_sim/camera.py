"""The PL camera: turns ideal intensities into linear images with dirt, blur, shading, noise and a shifted frame.

A `Camera` is one mounted section: its misregistration, dust and illumination stay the same from exposure to exposure,
only the noise is fresh. The ideal intensities come from `instrument_sim.optics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainloop.instrument_sim.warp import Warp, aligned, misregistration, pixel_positions

__all__ = ["Camera", "LightNuisances", "Warp", "misregistration", "take_images"]

Image = NDArray[np.float64]


@dataclass(frozen=True)
class LightNuisances:
    """What separates a PL image from the ideal one.

    Attributes:
        noise: standard deviation of the noise of one image, as a share of the PL contrast (1st to 99th percentile of
            the ideal stack after exposure; of each channel by itself in a colour image).
        read_noise: noise that remains without any contrast, full scale = 1.
        blur_px: standard deviation of the Gaussian blur, PL pixels.
        shading: largest deviation of the illumination from even, as a share.
        tile_px: edge of the tiles that a stitched mosaic is made of; 0 for one frame.
        tile_step: standard deviation of the brightness of the tiles, as a share.
        dust: share of the area under dust.
        exposure: where the 99.5th percentile of the ideal stack comes to lie, full scale = 1.
        offset: dark level.
        bits: of the camera's converter.
        misregistration_px: rms displacement of the PL frame against the scan grid, scan pixels.
        ratio: PL pixels per scan pixel.
    """

    noise: float = 0.15
    read_noise: float = 0.002
    blur_px: float = 0.7
    shading: float = 0.15
    tile_px: int = 0
    tile_step: float = 0.04
    dust: float = 0.007
    exposure: float = 0.7
    offset: float = 0.04
    bits: int = 12
    misregistration_px: float = 3.0
    ratio: float = 1.0

    @classmethod
    def none(cls) -> LightNuisances:
        """A perfect camera: aligned, clean, noiseless."""
        return cls(
            noise=0.0, read_noise=0.0, blur_px=0.0, shading=0.0, dust=0.0, offset=0.0, bits=32, misregistration_px=0.0
        )


@dataclass(frozen=True, eq=False)
class Camera:
    """The fixed part of the PL images of one section.

    Attributes:
        warp: scan grid → PL frame, the truth that a registration has to find.
        illumination: (H, W) shading and tile steps, about 1.
        opacity: (H, W) 0 where clean, up to 1 under dust.
        glow: (H, W) light scattered by dust, as a share of the exposure.
    """

    nuisances: LightNuisances
    warp: Warp
    illumination: Image
    opacity: Image
    glow: Image

    @classmethod
    def mount(
        cls,
        rng: np.random.Generator,
        shape_px: tuple[int, int],
        nuisances: LightNuisances | None = None,
        warp: Warp | None = None,
    ) -> Camera:
        """Draw misregistration (unless `warp` is given), dust and illumination for a scan grid of `shape_px`."""
        chosen = LightNuisances() if nuisances is None else nuisances
        warp_rng, light_rng, dust_rng = rng.spawn(3)
        if warp is None:
            rms, ratio = chosen.misregistration_px, chosen.ratio
            warp = misregistration(warp_rng, shape_px, rms, ratio=ratio) if rms > 0 else aligned(shape_px, ratio)
        shape = warp.light_shape_px
        illumination = shading(light_rng, shape, chosen.shading) * tiles(light_rng, shape, chosen)
        return cls(chosen, warp, illumination, *dust(dust_rng, shape, chosen.dust))

    def expose(
        self, ideal: NDArray[np.floating], rng: np.random.Generator, *, colour: bool = False
    ) -> NDArray[np.float32]:
        """Images (K, H, W), full scale 1, of ideal intensities (K, h, w) on the scan grid.

        One exposure time serves the whole stack: it puts the 99.5th percentile at the declared level. With `colour` the
        images are the channels of one colour image. A tint plate makes them differ far more from each other than the
        crystals make the pixels of one differ, so noise is then scaled by the contrast of each.
        """
        chosen = self.nuisances
        low, high, bright = np.percentile(ideal, [1, 99, 99.5])
        contrast = channel_contrasts(ideal) if colour else np.full(len(ideal), high - low)
        gain = (chosen.exposure - chosen.offset) / bright if bright > 0 else 0.0
        sigma = np.hypot(chosen.noise * gain * contrast, chosen.read_noise)
        seen_at = np.moveaxis(self.warp.inverse(pixel_positions(self.warp.light_shape_px)), -1, 0)
        images = (gain * np.asarray(image, np.float64) for image in ideal)
        return np.stack([self._image(image, seen_at, s, rng) for image, s in zip(images, sigma, strict=True)])

    def _image(self, ideal: Image, seen_at: Image, sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
        chosen = self.nuisances
        image = ndimage.map_coordinates(ideal, seen_at, order=1, mode="mirror")
        image = image * (1 - self.opacity) + chosen.exposure * self.glow
        image = self.illumination * ndimage.gaussian_filter(image, chosen.blur_px, mode="nearest") + chosen.offset
        return quantise(image + rng.normal(scale=sigma, size=image.shape), chosen.bits)


def take_images(
    ideal: NDArray[np.floating],
    nuisances: LightNuisances,
    rng: np.random.Generator,
    warp: Warp | None = None,
) -> tuple[NDArray[np.float32], Warp]:
    """Mount and expose in one go: images (K, H, W) of ideal intensities (K, h, w), and the true warp."""
    height, width = ideal.shape[1:]
    camera = Camera.mount(rng, (height, width), nuisances, warp)
    return camera.expose(ideal, rng), camera.warp


def channel_contrasts(ideal: NDArray[np.floating]) -> Image:
    """(K,) from the 1st to the 99th percentile of each of the ideal images (K, h, w)."""
    return np.subtract(*np.percentile(ideal, [99, 1], axis=(1, 2)))


def quantise(image: Image, bits: int) -> NDArray[np.float32]:
    """Clip to 0 … 1 and round to the steps of a converter of `bits`; 24 and more leave the values as they are."""
    clipped = np.clip(image, 0.0, 1.0)
    levels = 2**bits - 1
    return (clipped if bits >= 24 else np.round(clipped * levels) / levels).astype(np.float32)


def shading(rng: np.random.Generator, shape: tuple[int, int], amplitude: float) -> Image:
    """(H, W) smooth uneven illumination about 1: a random cubic surface whose largest deviation is `amplitude`."""
    rows, cols = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    terms = [rows**i * cols**j for i in range(4) for j in range(4 - i) if i + j > 0]
    surface = np.tensordot(rng.normal(size=len(terms)), np.array(terms), axes=1)
    surface -= (surface.max() + surface.min()) / 2
    return 1 + amplitude * surface / max(float(surface.max()), 1e-12)


def tiles(rng: np.random.Generator, shape: tuple[int, int], nuisances: LightNuisances) -> Image:
    """(H, W) brightness of the tiles of a stitched mosaic, all 1 where there is only one frame."""
    edge = nuisances.tile_px
    if edge <= 0:
        return np.ones(shape)
    steps = 1 + nuisances.tile_step * rng.normal(size=[-(-n // edge) for n in shape])
    return steps.repeat(edge, axis=0).repeat(edge, axis=1)[: shape[0], : shape[1]]


_SPECK_RADIUS_PX: Final = (0.7, 2.6)


def dust(rng: np.random.Generator, shape: tuple[int, int], share: float) -> tuple[Image, Image]:
    """(opacity, glow) of round specks that cover `share` of the frame; between crossed polars about half of them glow.

    Dust scatters and so depolarises: such a speck is bright where the specimen is dark.
    """
    opacity, glow = np.zeros(shape), np.zeros(shape)
    wanted = round(share * shape[0] * shape[1])
    while np.count_nonzero(opacity) < wanted:
        centre, radius = rng.uniform((0, 0), shape), rng.uniform(*_SPECK_RADIUS_PX)
        low = np.maximum((centre - radius).astype(int), 0)
        window = tuple(slice(a, a + int(2 * radius) + 2) for a in low)
        rows, cols = np.ogrid[window]
        inside = (rows - centre[0]) ** 2 + (cols - centre[1]) ** 2 <= radius**2
        inside = inside[: shape[0] - low[0], : shape[1] - low[1]]
        opacity[window][inside] = rng.uniform(0.6, 1.0)
        glow[window][inside] = rng.uniform(0.0, 0.8) * (rng.random() < 0.5)
    return opacity, glow
