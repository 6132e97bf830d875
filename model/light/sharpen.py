"""Sharp edges from noisy, blurred PL channels: deconvolution with vectorial total variation.

Registration reads positions from edges. A point beside a blurred edge fits badly wherever the edge is, so that blur
costs accuracy as noise does; a filter against noise that blurs further would be no help.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import cached
from grainloop.model.light.sample import Images, blur, fill_gaps

STRENGTH = 0.6
"""Regularisation in noise sds."""
ASSUMED_BLUR_PX = 0.7
"""Blur of a sampled microscope image, PL pixels; results depend on it little between 0.5 and 0.9."""
OUTER_ITERATIONS = 10
INNER_ITERATIONS = 8


def sharpen(images: Images, strength: float = STRENGTH, blur_px: float = ASSUMED_BLUR_PX) -> Images:
    """(c, h, w) channels with noise and blur taken out, all channels sharing their edges.

    Minimises ½ Σ |K u − f|² + strength · Σ √Σ_c |∇u_c|² in units of the noise sd of each channel, K a Gaussian blur.
    Source: vectorial total variation of Bresson & Chan, Inverse Probl. Imaging 2 (2008) 455; deconvolution and its
    inner problem by the fast iterations of Beck & Teboulle, IEEE Trans. Image Process. 18 (2009) 2419.
    """
    filled = fill_gaps(images)
    sigma = noise_sd(filled)[:, None, None].astype(np.float32)
    seen = np.ascontiguousarray(filled / sigma)
    found, ahead, momentum = seen, seen, 1.0
    for _ in range(OUTER_ITERATIONS):
        descent = blur((blur(ahead, blur_px) - seen).astype(np.float32), blur_px)
        smooth = _total_variation(ahead - descent, np.float32(strength), INNER_ITERATIONS)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = smooth + np.float32((momentum - 1) / following) * (smooth - found)
        found, momentum = smooth, following
    return (found * sigma).astype(np.float32)


def noise_sd(images: Images) -> NDArray[np.float64]:
    """(c,) sd of the pixel noise, from the median of a second difference that is blind to slopes (Immerkær 1996)."""
    middle = images[:, 1:-1, 1:-1]
    cross = images[:, :-2, 1:-1] + images[:, 2:, 1:-1] + images[:, 1:-1, :-2] + images[:, 1:-1, 2:]
    diagonal = images[:, :-2, :-2] + images[:, 2:, 2:] + images[:, :-2, 2:] + images[:, 2:, :-2]
    mask = np.abs(4 * middle - 2 * cross + diagonal).reshape(len(images), -1)
    return np.maximum(1.4826 * np.median(mask, axis=1) / 6, 1e-6 + 1e-4 * np.std(images, axis=(1, 2)))


@cached
def _total_variation(f: Images, weight: np.float32, iterations: int) -> Images:
    """Dual variables p along rows and q along columns; u = f + weight · div(p, q)."""
    channels, height, width = f.shape
    p, q = np.zeros_like(f), np.zeros_like(f)
    old_p, old_q, u = np.zeros_like(f), np.zeros_like(f), np.empty_like(f)
    ahead_p, ahead_q = np.zeros_like(f), np.zeros_like(f)
    momentum = 1.0
    for _ in range(iterations):
        _primal(f, ahead_p, ahead_q, weight, u)
        _copy(p, old_p)
        _copy(q, old_q)
        _project(u, ahead_p, ahead_q, np.float32(1 / (8 * weight)), p, q)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        rate = np.float32((momentum - 1) / following)
        for k in range(channels):
            for i in range(height):
                for j in range(width):
                    ahead_p[k, i, j] = p[k, i, j] + rate * (p[k, i, j] - old_p[k, i, j])
                    ahead_q[k, i, j] = q[k, i, j] + rate * (q[k, i, j] - old_q[k, i, j])
        momentum = following
    _primal(f, p, q, weight, u)
    return u


@cached
def _copy(source: Images, target: Images) -> None:
    """Element by element: assigning to a slice takes five times as long to compile as the whole iteration."""
    channels, height, width = source.shape
    for k in range(channels):
        for i in range(height):
            for j in range(width):
                target[k, i, j] = source[k, i, j]


@cached
def _primal(f: Images, p: Images, q: Images, weight: np.float32, u: Images) -> None:
    channels, height, width = f.shape
    for k in range(channels):
        for i in range(height):
            for j in range(width):
                divergence = p[k, i, j] + q[k, i, j]
                if i > 0:
                    divergence -= p[k, i - 1, j]
                if j > 0:
                    divergence -= q[k, i, j - 1]
                u[k, i, j] = f[k, i, j] + weight * divergence


@cached
def _project(u: Images, p: Images, q: Images, step: np.float32, new_p: Images, new_q: Images) -> None:
    """Gradient step on the dual, then projection of each pixel's (channels × 2) vector on the unit ball."""
    channels, height, width = u.shape
    for i in range(height):
        for j in range(width):
            square = np.float32(0)
            for k in range(channels):
                down = u[k, i + 1, j] - u[k, i, j] if i + 1 < height else np.float32(0)
                right = u[k, i, j + 1] - u[k, i, j] if j + 1 < width else np.float32(0)
                new_p[k, i, j] = p[k, i, j] + step * down
                new_q[k, i, j] = q[k, i, j] + step * right
                square += new_p[k, i, j] ** 2 + new_q[k, i, j] ** 2
            shrink = 1 / max(np.float32(1), np.sqrt(square))
            for k in range(channels):
                new_p[k, i, j] *= shrink
                new_q[k, i, j] *= shrink
