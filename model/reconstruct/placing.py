"""Does registered PL lie where the measured points show it? A last look, whoever registered it and however long ago.

PL that is two pixels off is worse than none, because it is believed up to its edges. If it fits the points clearly
better away from where it is (shifted as a whole or in a part of the map, turned, stretched or sheared), it is not used
where it is off. How PL is registered, and how noisy it is, is for `model.light`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from grainloop.model.light import predict_light
from grainloop.model.reconstruct.problem import RegisteredLight
from grainloop.model.reconstruct.seeds import Seeds

SHIFTS_PX: Final = np.array([(2, 0), (2, 1), (1, 2), (0, 2), (-1, 2), (-2, 1), (4, 0), (3, 3), (0, 4), (-3, 3)])
"""Half of the shifts that are tried: two and four pixels; the others are opposite."""
LINEAR: Final = np.array([[(0, 1), (-1, 0)], [(0, 1), (1, 0)], [(1, 0), (0, 1)], [(1, 0), (0, -1)]])
"""Rotation, shears and dilation of the map about its centre: displacements per place."""
LINEAR_RMS_PX: Final = 2.0
MUCH_PX: Final = 1.5
"""Where a turned map is further off than this it is not used."""
CAP: Final = 9.0
"""Largest square misfit of a point, in units of the noise: dust and mis-indexed points must not decide."""
CLEAR: Final = 3.5
"""Standard errors of the mean gain by which another place must be better."""
PARTS: Final = 3
"""The map is looked at as a whole, and in so many parts along each edge."""
LEAST: Final = 40
"""Points below which nothing is said of a part."""
OFF: Final = "PL lies two pixels or more off where the measured points show it"
Reals = NDArray[np.float64]


def where_placed(light: RegisteredLight, seeds: Seeds) -> tuple[RegisteredLight | None, tuple[str, ...]]:
    """PL without what of it is misplaced, None if it is so as a whole; and a sentence about it."""
    shape = light.features.shape[1:]
    shifted = gains(light, seeds, [np.broadcast_to(by, seeds.position.shape) for by in (*SHIFTS_PX, *-SHIFTS_PX)])
    if standard_errors(shifted).max() > CLEAR:
        return None, (f"{OFF}.",)
    distrusted = _turned_off(light, seeds) | _parts_off(shape, seeds, shifted)
    if not distrusted.any():
        return light, ()
    note = f"{OFF} in {np.mean(distrusted):.0%} of the map, where it is not used."
    return replace(light, sigma=np.where(distrusted, np.inf, light.sigma).astype(np.float32)), (note,)


def _parts_off(shape: tuple[int, ...], seeds: Seeds, shifted: Reals) -> NDArray[np.bool_]:
    """(h, w) the parts of the map that are shifted by themselves, from the gains (D, N) of shifts."""
    rows, columns = (PARTS * np.arange(edge) // edge for edge in shape)
    part = PARTS * rows[:, None] + columns
    at = part[tuple(seeds.position.T)]
    off = [number for number in range(PARTS**2) if standard_errors(shifted[:, at == number]).max() > CLEAR]
    return np.isin(part, off)


def _turned_off(light: RegisteredLight, seeds: Seeds) -> NDArray[np.bool_]:
    """(h, w) the places far off if PL is turned, stretched or sheared as a whole."""
    fields = linear_fields(light.features.shape[1:])
    at = tuple(seeds.position.T)
    clear = standard_errors(gains(light, seeds, [np.rint(field[at]).astype(np.intp) for field in fields]))
    if clear.max() <= CLEAR:
        return np.zeros(light.features.shape[1:], np.bool_)
    return np.linalg.norm(fields[int(clear.argmax())], axis=-1) > MUCH_PX


def linear_fields(shape: tuple[int, ...]) -> list[Reals]:
    """(h, w, 2) displacements of `LINEAR` and their opposites, of `LINEAR_RMS_PX` over the map."""
    place = np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2
    fields = [place @ pattern.T for pattern in (*LINEAR, *-LINEAR)]
    return [field * LINEAR_RMS_PX / max(float(np.sqrt(np.mean(field**2) * 2)), 1e-9) for field in fields]


def gains(light: RegisteredLight, seeds: Seeds, places: list[NDArray[np.intp]]) -> Reals:
    """(D, N) by how much the square misfit of each point is less with PL from each of the places (N, 2) away."""
    expected = np.moveaxis(predict_light(seeds.orientation), -1, 0)
    here = misfit(light, seeds, expected, np.zeros_like(seeds.position))
    return np.stack([here - misfit(light, seeds, expected, away) for away in places])


def misfit(light: RegisteredLight, seeds: Seeds, expected: Reals, away: NDArray[np.integer]) -> Reals:
    """(N,) square misfit of each point with PL from a place `away` (N, 2) of it, in units of the noise at the point.

    Beyond the edge, and where PL says nothing there, it is that of the point itself, which is no gain.
    """
    last = np.array(light.features.shape[1:]) - 1
    rows, columns = np.clip(seeds.position + away, 0, last).T
    at = tuple(seeds.position.T)
    seen, sigma = light.features[:, rows, columns], light.sigma[:, *at]
    seen = np.where(np.isfinite(seen), seen, light.features[:, *at])
    told = np.isfinite(seen) & np.isfinite(sigma) & (sigma > 0)
    square = np.square((np.where(told, seen, 0) - expected) / np.where(told, sigma, np.inf))
    return np.minimum(square.mean(axis=0), CAP)


def standard_errors(gain: Reals) -> Reals:
    """(D,) mean gains (D, N) over the points in units of their standard errors; 0 of few points."""
    if gain.shape[1] < LEAST:
        return np.zeros(len(gain))
    error = gain.std(axis=1) / np.sqrt(gain.shape[1])
    return gain.mean(axis=1) / np.maximum(error, 1e-12)
