"""Does registered PL lie where the measured points show it? A last look, whoever registered it and however long ago.

PL that is two pixels off is worse than none, because it is believed up to its edges. If it fits the points clearly
better two or four pixels away than where it is, it is not used there: on the whole map, or in that part of it. How PL
is registered, and how noisy it is, is for `model.light`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.light import predict_light
from model.reconstruct.problem import RegisteredLight
from model.reconstruct.seeds import Seeds

AWAY: Final = np.array(
    [(2, 0), (2, 1), (1, 2), (0, 2), (-1, 2), (-2, 1), (4, 0), (3, 3), (0, 4), (-3, 3)], dtype=np.intp
)
"""Half of the places that are tried: two and four pixels away; the others lie opposite."""
CAP: Final = 9.0
"""Largest square misfit of a point, in units of the noise: dust and mis-indexed points must not decide."""
CLEAR: Final = 3.5
"""Standard errors of the mean gain by which another place must be better."""
PARTS: Final = 3
"""The map is looked at as a whole, and in so many parts along each edge."""
LEAST: Final = 40
"""Points below which nothing is said of a part."""
OFF = "PL lies two pixels or more off where the measured points show it"
Reals = NDArray[np.float64]


def where_placed(light: RegisteredLight, seeds: Seeds) -> tuple[RegisteredLight | None, tuple[str, ...]]:
    """PL without the parts where it is misplaced, None if it is so as a whole; and a sentence about it."""
    gain = gains(light, seeds)
    if standard_errors(gain) > CLEAR:
        return None, (f"{OFF}.",)
    parts = _parts(light.features.shape[1:])
    at = parts[tuple(seeds.position.T)]
    off = [number for number in range(PARTS**2) if standard_errors(gain[:, at == number]) > CLEAR]
    if not off:
        return light, ()
    distrusted = np.isin(parts, off)
    note = f"{OFF} in {np.mean(distrusted):.0%} of the map, where it is not used."
    return replace(light, sigma=np.where(distrusted, np.inf, light.sigma).astype(np.float32)), (note,)


def gains(light: RegisteredLight, seeds: Seeds) -> Reals:
    """(D, N) by how much the square misfit of each point is less with PL from each of the places around."""
    expected = np.moveaxis(predict_light(seeds.orientation), -1, 0)
    here = misfit(light, seeds, expected, np.zeros(2, np.intp))
    return np.stack([here - misfit(light, seeds, expected, away) for away in (*AWAY, *-AWAY)])


def misfit(light: RegisteredLight, seeds: Seeds, expected: Reals, away: NDArray[np.intp]) -> Reals:
    """(N,) square misfit of each point with PL from a place `away` of it, in units of the noise at the point.

    Beyond the edge, and where PL says nothing at the point, it is that of the point itself, which is no gain.
    """
    last = np.array(light.features.shape[1:]) - 1
    rows, columns = np.clip(seeds.position + away, 0, last).T
    at = tuple(seeds.position.T)
    seen, sigma = light.features[:, rows, columns], light.sigma[:, *at]
    seen = np.where(np.isfinite(seen), seen, light.features[:, *at])
    told = np.isfinite(seen) & np.isfinite(sigma) & (sigma > 0)
    square = np.square((np.where(told, seen, 0) - expected) / np.where(told, sigma, np.inf))
    return np.minimum(square.mean(axis=0), CAP)


def standard_errors(gain: Reals) -> float:
    """The clearest gain (D, N) of all places, in standard errors of its mean over the points."""
    if gain.shape[1] < LEAST:
        return 0.0
    error = gain.std(axis=1) / np.sqrt(gain.shape[1])
    return float(np.max(gain.mean(axis=1) / np.maximum(error, 1e-12)))


def _parts(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """(h, w) number of the part that each pixel lies in."""
    rows, columns = (PARTS * np.arange(edge) // edge for edge in shape)
    return PARTS * rows[:, None] + columns
