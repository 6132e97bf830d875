"""Polarized light for training: a polynomial of the c-axis, spoilt in as many ways as PL can be, then calibrated.

Deliberately not the optics of an instrument: no reflectance, no stage angles, no camera. Every deviation from the
polynomial is drawn from wide ranges, so that a model trained on it trusts PL as far as its noise map and no further.
Features are (m, C4, S4, C2, S2) with z = sin²θ e^{2iφ} of the c-axis: m = |z|², C4 + i S4 = z², C2 + i S2 = z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import laue_group
from grainloop.model.jit import cached
from grainloop.model.microstructure.fields import smooth_image
from grainloop.model.microstructure.light_flaws import Blemishes, draw_blemishes, tile_steps
from grainloop.model.microstructure.recipe import Range, draw, draw_log
from grainloop.model.microstructure.specimen import Specimen
from grainloop.model.microstructure.volume import MAIN_PHASE

Floats = NDArray[np.float32]

N_FEATURES = 5
SIGMA_ABSENT = 80.0
"""Noise of a channel that the instrument does not deliver."""


@dataclass(frozen=True)
class LightNuisances:
    """Ranges of what spoils PL. Amplitudes are in units of the contrast of a c-axis in the section plane.

    Attributes:
        noise: white noise per feature (log-uniform).
        channel_noise: factor on the noise of single channels (log-uniform).
        correlated: share of the noise that is correlated over a few pixels.
        blur_px: standard deviation of the point spread.
        law: κ in sin²θ (1 + κ cos²θ), the deviation from the sin⁴ law.
        gain: counts per unit of contrast (log-uniform).
        offset: counts.
        shading: rms of the relative illumination.
        mixing: rms of the leakage between channels and of their wrong scale.
        tile_step: rms step between stitched tiles, in contrast.
        dust: specks per 1000 px.
        scratched: share of specimens with polishing scratches.
        stained: share with a film that colours part of the image.
        calibration: what calibration leaves of shading, offsets, steps and mixing, as a factor.
        drift_px: usual residual misregistration, rms (log-uniform).
        drift_tail_px: the same where registration went wrong.
        tail: share of specimens where it did.
        no_second_harmonic: share of instruments without C2 and S2.
        believed: standard deviation of the logarithm of the error of the reported noise.
    """

    noise: Range = (0.02, 0.4)
    channel_noise: Range = (0.6, 1.7)
    correlated: Range = (0.0, 0.6)
    blur_px: Range = (0.0, 1.2)
    law: Range = (-0.2, 0.4)
    gain: Range = (0.03, 0.6)
    offset: Range = (0.0, 0.3)
    shading: Range = (0.0, 0.15)
    mixing: Range = (0.0, 0.15)
    tile_step: Range = (0.0, 0.3)
    dust: Range = (0.0, 0.8)
    scratched: float = 0.3
    stained: float = 0.3
    calibration: Range = (0.05, 0.4)
    drift_px: Range = (0.1, 0.6)
    drift_tail_px: Range = (0.6, 3.0)
    tail: float = 0.15
    no_second_harmonic: float = 0.2
    believed: float = 0.25


LIGHT_NUISANCES = LightNuisances()


@dataclass(frozen=True)
class Light:
    """PL of a specimen.

    Attributes:
        counts: (5, h, w) float32 features as taken: gain, offset, shading, tile steps, blemishes, noise.
        features: (5, h, w) float32, the same after an imperfect calibration and registration, comparable to `ideal`.
        ideal: (5, h, w) float32 polynomial features of the truth; zero outside the main phase.
        sigma: (5, h, w) float32 noise of `features` that the pipeline would report: close to right, never exact;
            `SIGMA_ABSENT` in channels that the instrument does not deliver (their features are zero).
        drift_px: rms residual misregistration.
    """

    counts: Floats
    features: Floats
    ideal: Floats
    sigma: Floats
    drift_px: float


def polynomial_light(
    rng: np.random.Generator, specimen: Specimen, nuisances: LightNuisances = LIGHT_NUISANCES
) -> Light:
    """PL of `specimen` with nuisance levels drawn from `nuisances`; cubic crystals show no contrast at all."""
    shape = specimen.shape
    anisotropic = (specimen.phase == MAIN_PHASE) & laue_group(specimen.point_group).shows_light
    ideal = _polynomial(specimen.orientation, anisotropic, 0.0)
    shown = _polynomial(specimen.orientation, anisotropic, draw(rng, nuisances.law))
    drift = draw_log(rng, nuisances.drift_tail_px if rng.random() < nuisances.tail else nuisances.drift_px)
    moved = _sample(_blurred(shown, draw(rng, nuisances.blur_px)), _drift_field(rng, shape, drift))
    blemishes = draw_blemishes(rng, shape, draw(rng, nuisances.dust), nuisances.scratched, nuisances.stained)
    seen = blemishes.spoil(moved)
    noise = draw_log(rng, nuisances.noise) * np.array(
        [draw_log(rng, nuisances.channel_noise) for _ in range(N_FEATURES)]
    )
    seen += noise[:, None, None].astype(np.float32) * _noise(rng, shape, draw(rng, nuisances.correlated))
    counts, features = _take_and_calibrate(rng, nuisances, seen)
    sigma = _reported(rng, nuisances, features, ideal, drift, blemishes)
    if rng.random() < nuisances.no_second_harmonic:
        features[3:], counts[3:], sigma[3:] = 0, 0, SIGMA_ABSENT
    return Light(counts, features, ideal, sigma, drift)


def _blurred(image: Floats, sigma_px: float) -> Floats:
    if sigma_px < 0.25:
        return image
    reach = int(np.ceil(2.5 * sigma_px))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return _convolve(image, (taps / taps.sum()).astype(np.float32))


def _drift_field(rng: np.random.Generator, shape: tuple[int, int], rms_px: float) -> Floats:
    """(2, h, w) displacements (rows, columns) of about `rms_px`, smooth, with a mean."""
    bend = smooth_image(rng, shape, max(shape) * float(rng.uniform(0.3, 1.0)), 2) + rng.standard_normal((2, 1, 1))
    bend = bend.astype(np.float32)
    return bend * np.float32(rms_px / max(1e-6, float(np.mean(bend * bend) * 2) ** 0.5))


def _noise(rng: np.random.Generator, shape: tuple[int, int], correlated: float) -> Floats:
    """(5, h, w) unit-variance noise, a share of its variance correlated over a few pixels."""
    white = rng.standard_normal((N_FEATURES, *shape), dtype=np.float32)
    white *= np.float32((1 - correlated) ** 0.5)
    white += np.float32(correlated**0.5) * smooth_image(rng, shape, float(rng.uniform(1.7, 4.0)), N_FEATURES)
    return white


def _take_and_calibrate(rng: np.random.Generator, n: LightNuisances, seen: Floats) -> tuple[Floats, Floats]:
    """Counts F = g (a M P + b + t), and (F / ĝ − b̂ − t̂) / a whose estimates ĝ, b̂, t̂ miss a share of each."""
    shape = (seen.shape[1], seen.shape[2])
    left = draw(rng, n.calibration)
    gain = draw_log(rng, n.gain)
    mixing = np.eye(N_FEATURES) + left * draw(rng, n.mixing) * rng.standard_normal((N_FEATURES, N_FEATURES))
    image = np.tensordot(mixing.astype(np.float32), seen, axes=1)
    trend = smooth_image(rng, shape, 0.8 * max(shape), 2)
    offset = draw(rng, n.offset) / gain * (1 + 0.3 * rng.standard_normal((N_FEATURES, 1, 1)))
    steps = tile_steps(rng, shape, N_FEATURES, draw(rng, n.tile_step))
    return _expose(image, trend, draw(rng, n.shading), (offset + steps).astype(np.float32), gain, left)


def _reported(
    rng: np.random.Generator, n: LightNuisances, features: Floats, ideal: Floats, drift: float, blemishes: Blemishes
) -> Floats:
    """Noise map as a pipeline finds it: typical residual, growth at edges by the drift, distrust of seen blemishes."""
    residual = (features[:, ::5, ::5] - ideal[:, ::5, ::5]).reshape(N_FEATURES, -1)
    typical = 1.4826 * np.median(np.abs(residual), axis=1) + 0.01
    typical = typical * np.exp(n.believed * rng.standard_normal(N_FEATURES) / 2)
    drift = drift * float(np.exp(n.believed * rng.standard_normal()))
    edge = (drift * _slope(ideal)) ** 2
    local = n.believed * (rng.standard_normal() + 0.6 * smooth_image(rng, edge.shape, 12.0)[0])
    wrong = (np.exp(local) * blemishes.distrust).astype(np.float32)
    return np.sqrt((typical**2).astype(np.float32)[:, None, None] + edge) * wrong


@cached
def _expose(
    image: Any, trend: Any, strength: float, level: Any, gain: float, left: float
) -> Any:  # pragma: no cover - compiled
    """Counts of an image under uneven light, and the image that an imperfect calibration makes of them."""
    counts, features = np.empty_like(image), np.empty_like(image)
    for c in range(image.shape[0]):
        mean = level[c].mean()
        for i in range(image.shape[1]):
            for j in range(image.shape[2]):
                shade = min(max(1 + strength * trend[0, i, j], 0.3), 3.0)
                error = 1 + 0.5 * left * strength * trend[1, i, j]
                counts[c, i, j] = gain * shade * (image[c, i, j] + level[c, i, j])
                features[c, i, j] = error * (image[c, i, j] + left * (level[c, i, j] - mean))
    return counts, features


@cached
def _polynomial(q: Any, anisotropic: Any, kappa: float) -> Any:  # pragma: no cover - compiled
    h, w = anisotropic.shape
    out = np.zeros((5, h, w), np.float32)
    for i in range(h):
        for j in range(w):
            if not anisotropic[i, j]:
                continue
            a, b, c, d = q[i, j, 0], q[i, j, 1], q[i, j, 2], q[i, j, 3]
            x, y = 2 * (b * d + a * c), 2 * (c * d - a * b)
            s = x * x + y * y
            f = 1 + kappa * (1 - s)
            re, im = f * (x * x - y * y), f * 2 * x * y
            out[0, i, j] = re * re + im * im
            out[1, i, j], out[2, i, j] = re * re - im * im, 2 * re * im
            out[3, i, j], out[4, i, j] = re, im
    return out


@cached
def _convolve(image: Any, taps: Any) -> Any:  # pragma: no cover - compiled
    """(c, h, w) convolved with `taps` along rows and columns, the border repeated."""
    n, h, w = image.shape
    reach = taps.size // 2
    out = np.empty_like(image)
    line = np.empty(w + 2 * reach, np.float32)
    for c in range(n):
        for i in range(h):
            line[:] = 0
            for t in range(taps.size):
                row = image[c, min(max(i + t - reach, 0), h - 1)]
                for j in range(w):
                    line[reach + j] += taps[t] * row[j]
            line[:reach] = line[reach]
            line[reach + w :] = line[reach + w - 1]
            for j in range(w):
                total = np.float32(0)
                for t in range(taps.size):
                    total += taps[t] * line[j + t]
                out[c, i, j] = total
    return out


@cached
def _sample(image: Any, shift: Any) -> Any:  # pragma: no cover - compiled
    """Bilinear values of (c, h, w) at displaced pixels, the border repeated."""
    n, h, w = image.shape
    out = np.empty((n, h, w), np.float32)
    for i in range(h):
        for j in range(w):
            y = min(max(i + shift[0, i, j], 0.0), h - 1.001)
            x = min(max(j + shift[1, i, j], 0.0), w - 1.001)
            r, c = int(y), int(x)
            u, v = np.float32(y - r), np.float32(x - c)
            for k in range(n):
                upper = (1 - v) * image[k, r, c] + v * image[k, r, c + 1]
                lower = (1 - v) * image[k, r + 1, c] + v * image[k, r + 1, c + 1]
                out[k, i, j] = (1 - u) * upper + u * lower
    return out


@cached
def _slope(image: Any) -> Any:  # pragma: no cover - compiled
    """(h, w) rms gradient over the channels, central differences over two pixels."""
    n, h, w = image.shape
    out = np.empty((h, w), np.float32)
    for i in range(h):
        up, down = max(i - 1, 0), min(i + 1, h - 1)
        for j in range(w):
            left, right = max(j - 1, 0), min(j + 1, w - 1)
            total = 0.0
            for k in range(n):
                total += (image[k, down, j] - image[k, up, j]) ** 2 + (image[k, i, right] - image[k, i, left]) ** 2
            out[i, j] = np.sqrt(total / (4 * n))
    return out
