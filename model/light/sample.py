"""Sampling of PL channels at arbitrary positions: cubic interpolation with its derivative, and blurring.

Positions outside the image give NaN; what that means is the caller's business.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainloop.model.jit import cached

Images = NDArray[np.float32]


def blur(images: Images, sigma_px: float) -> Images:
    """(c, h, w) channels after a Gaussian blur; NaN pixels are filled from their surroundings first."""
    filled = fill_gaps(images)
    if sigma_px <= 0:
        return filled
    blurred = np.empty_like(filled)
    for source, target in zip(filled, blurred, strict=True):
        ndimage.gaussian_filter(source, sigma_px, output=target, mode="nearest")
    return blurred


def fill_gaps(images: Images) -> Images:
    """Channels with every NaN pixel replaced by its nearest finite one (0 where there is none)."""
    filled = np.asarray(images, dtype=np.float32)
    bad = ~np.isfinite(filled).all(axis=0)
    if not bad.any():
        return filled
    if bad.all():
        return np.zeros_like(filled)
    nearest = np.asarray(ndimage.distance_transform_edt(bad, return_distances=False, return_indices=True))
    return np.ascontiguousarray(filled[:, nearest[0], nearest[1]])


def sample(images: Images, positions: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, c) values at (n, 2) positions (row, column); NaN outside the image."""
    return sample_with_gradient(images, positions)[0]


def sample_with_gradient(
    images: Images, positions: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, c) values and (n, c, 2) derivatives along rows and columns at (n, 2) positions; NaN outside the image."""
    return _cubic(np.ascontiguousarray(images, dtype=np.float32), np.ascontiguousarray(positions, dtype=np.float64))


@cached
def _weights(t: float, value: NDArray[np.float64], slope: NDArray[np.float64]) -> None:
    """Catmull-Rom weights of four neighbours and their derivatives at the fraction `t` between the middle two."""
    value[0] = ((2 - t) * t - 1) * t / 2
    value[1] = ((3 * t - 5) * t * t + 2) / 2
    value[2] = ((4 - 3 * t) * t + 1) * t / 2
    value[3] = (t - 1) * t * t / 2
    slope[0] = ((4 - 3 * t) * t - 1) / 2
    slope[1] = (9 * t - 10) * t / 2
    slope[2] = ((8 - 9 * t) * t + 1) / 2
    slope[3] = (3 * t - 2) * t / 2


@cached
def _cubic(
    images: NDArray[np.float32], positions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    channels, height, width = images.shape
    count = len(positions)
    values, slopes = np.full((count, channels), np.nan), np.full((count, channels, 2), np.nan)
    wr, dr, wc, dc = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    for n in range(count):
        row, column = positions[n]
        if not (-0.5 <= row <= height - 0.5 and -0.5 <= column <= width - 0.5):
            continue
        r0, c0 = int(np.floor(row)), int(np.floor(column))
        _weights(row - r0, wr, dr)
        _weights(column - c0, wc, dc)
        for k in range(channels):
            value, along_rows, along_columns = 0.0, 0.0, 0.0
            for i in range(4):
                r = min(max(r0 + i - 1, 0), height - 1)
                line, line_slope = 0.0, 0.0
                for j in range(4):
                    pixel = images[k, r, min(max(c0 + j - 1, 0), width - 1)]
                    line += wc[j] * pixel
                    line_slope += dc[j] * pixel
                value += wr[i] * line
                along_rows += dr[i] * line
                along_columns += wr[i] * line_slope
            values[n, k], slopes[n, k, 0], slopes[n, k, 1] = value, along_rows, along_columns
    return values, slopes
