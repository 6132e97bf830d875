"""PL features of one section: the harmonics of a rotation stack, or the channels of one RGB image.

Nothing here knows about orientations, registration or calibration: features are in camera counts, in the PL frame.
Source: crossed polarisers with an analyser offset d show I(ψ) = ⅛|D|² sin²(2γ + 2ψ + d) +
½ Re(D S*) sin d sin(2γ + 2ψ + d) + const at stage angle ψ and c-axis azimuth γ, so I(ψ) has the harmonics 0, 2ψ and
4ψ and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grainloop.model.light.errors import LightSizeMismatch, UnfitAngles
from grainloop.model.light.shading import detrended
from grainloop.model.light.sharpen import sharpen

FULL_NAMES = ("m", "C4", "S4", "C2", "S2")
SHORT_NAMES = FULL_NAMES[:3]
RGB_NAMES = ("R", "G", "B")
OUTLIER_SD = 5.0
"""Standardised features are clipped there: sparkling dust is no grain."""
MAX_CONDITION = 12.0
"""Largest condition number of the harmonic design; evenly spread angles have about 1.4."""


@dataclass(frozen=True, eq=False)
class LightFeatures:
    """PL features of a section in the PL frame.

    Attributes:
        values: (c, h, w) float32, camera counts.
        names: what each channel holds. Of a stack: `m` (mean level), `C4`, `S4` (4φ terms) and, where the angles tell
            them apart, `C2`, `S2` (2φ terms), with the signs of `predict_light`; of an RGB image: `R`, `G`, `B`.
        residual: (h, w) float32 rms of what the harmonics leave unexplained; NaN where no degree of freedom is left.
        notes: sentences on what was left out and why.
        tiles: (h, w) labels, from 0, of the rectangular tiles of a stitched mosaic; none for a single frame.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    residual: NDArray[np.float32]
    notes: tuple[str, ...] = ()
    tiles: NDArray[np.int32] | None = None

    def with_tiles(self, tiles: NDArray[np.integer]) -> LightFeatures:
        """The same features, declared to be stitched from the tiles labelled in (h, w) `tiles`, from 0.

        Raises:
            LightSizeMismatch: `tiles` has another size than the image.
        """
        if tiles.shape != self.shape_px:
            raise LightSizeMismatch(
                f"Tile labels of shape {tiles.shape} do not fit a PL image of {self.shape_px}.",
                field="tiles",
                value=tiles.shape,
            )
        return replace(self, tiles=tiles.astype(np.int32))

    @property
    def shape_px(self) -> tuple[int, int]:
        """Rows and columns of the PL image."""
        return self.values.shape[1], self.values.shape[2]

    @cached_property
    def standardised(self) -> NDArray[np.float32]:
        """(c, h, w) channels without their slow trend, in units of what is left, so that counts do not matter.

        Of an RGB image: its principal axes, because hue tells grains apart where relief, slip traces and dust, which
        darken all three channels alike, do not.
        """
        flat = detrended(self.values, self.tiles)
        if self.names == RGB_NAMES:
            flat = _principal_axes(flat)
        unit = np.maximum(np.nanstd(flat, axis=(1, 2), keepdims=True), 1e-12)
        return np.clip(flat / unit, -OUTLIER_SD, OUTLIER_SD).astype(np.float32)

    @cached_property
    def sharpened(self) -> NDArray[np.float32]:
        """(c, h, w) `standardised` with noise and blur taken out, for the registration."""
        return sharpen(self.standardised)


def fit_stack(
    images: NDArray[np.floating],
    angles_deg: Sequence[float],
    *,
    declared_shape: tuple[int, int] | None = None,
) -> LightFeatures:
    """Least-squares harmonics of a rotation stack, pixel by pixel.

    Five or more angles give the full set; three or four, or more that cannot tell the 2ψ terms apart, give it without
    the 2ψ terms (a note says so).

    Args:
        images: (K, h, w) camera counts, one image per stage angle.
        angles_deg: K stage angles; the c-axis azimuth seen at stage angle ψ is γ + ψ.
        declared_shape: (h, w) that the instrument declares, if known.

    Raises:
        LightSizeMismatch: another number of images than angles, or another size than declared.
        UnfitAngles: angles from which even the short set cannot be fitted; the message names them.
    """
    stack = _checked(images, len(angles_deg), declared_shape, f"{len(angles_deg)} stage angles")
    psi = np.deg2rad(np.asarray(angles_deg, dtype=np.float64))
    design, notes = _usable_design(psi, angles_deg)
    flat = stack.reshape(len(psi), -1)
    coefficients = np.linalg.pinv(design) @ flat
    freedom = len(psi) - design.shape[1]
    misfit = flat - design @ coefficients
    rms = np.sqrt(np.sum(misfit**2, axis=0) / freedom) if freedom else np.full(flat.shape[1], np.nan)
    values = coefficients.reshape(-1, *stack.shape[1:]).astype(np.float32)
    names = FULL_NAMES[: design.shape[1]]
    return LightFeatures(values, names, rms.reshape(stack.shape[1:]).astype(np.float32), notes)


def features_from_rgb(image: NDArray[np.floating], *, declared_shape: tuple[int, int] | None = None) -> LightFeatures:
    """The three channels of one RGB image as features; what they say of the c-axis is learnt by calibration.

    Args:
        image: (3, h, w) linear camera counts.
        declared_shape: (h, w) that the instrument declares, if known.

    Raises:
        LightSizeMismatch: not three channels, or another size than declared.
    """
    channels = _checked(image, 3, declared_shape, "an RGB image")
    residual = np.full(channels.shape[1:], np.nan, dtype=np.float32)
    return LightFeatures(channels.astype(np.float32), RGB_NAMES, residual)


def _principal_axes(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decorrelated channels, the strongest first; pixels outside the middle 98 % of a channel do not count as more."""
    flat = channels.reshape(len(channels), -1)
    low, high = np.nanpercentile(flat, [1, 99], axis=1)[..., None]
    known = np.isfinite(flat).all(axis=0)
    covariance = np.cov(np.clip(flat, low, high)[:, known])
    axes = np.linalg.eigh(covariance)[1][:, ::-1]
    return (axes.T @ flat).reshape(channels.shape)


def _checked(
    images: NDArray[np.floating], expected: int, declared: tuple[int, int] | None, what: str
) -> NDArray[np.float64]:
    stack = np.asarray(images, dtype=np.float64)
    if stack.ndim != 3 or stack.shape[0] != expected:
        raise LightSizeMismatch(
            f"PL images of shape {stack.shape} do not fit {what}.", field="images", value=stack.shape
        )
    if declared is not None and stack.shape[1:] != tuple(declared):
        raise LightSizeMismatch(
            f"The PL image has {stack.shape[1]}×{stack.shape[2]} pixels, the instrument declares "
            f"{declared[0]}×{declared[1]}.",
            field="images",
            value=stack.shape[1:],
        )
    return stack


def _usable_design(
    psi: NDArray[np.float64], angles_deg: Sequence[float]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    full, short = _design(psi), _design(psi)[:, :3]
    if len(psi) >= 5 and _condition(full) <= MAX_CONDITION:
        return full, ()
    if len(psi) >= 3 and _condition(short) <= MAX_CONDITION:
        return short, (f"{len(psi)} stage angles do not resolve the 2ψ terms; azimuths φ and φ + 90° look alike.",)
    named = ", ".join(f"{angle:g}°" for angle in angles_deg) or "none"
    raise UnfitAngles(
        f"PL cannot be fitted from the stage angles {named}: at least 3 that differ modulo 90° and are well spread "
        "are needed.",
        field="angles_deg",
        value=named,
    )


def _design(psi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns m, C4, S4, C2, S2; with signs that make their coefficients the cosines and sines of 4φ and 2φ."""
    return np.stack([np.ones_like(psi), -np.cos(4 * psi), np.sin(4 * psi), np.sin(2 * psi), np.cos(2 * psi)], axis=1)


def _condition(design: NDArray[np.float64]) -> float:
    if not np.isfinite(design).all():
        return np.inf
    return float(np.linalg.cond(design)) if len(design) >= design.shape[1] else np.inf
