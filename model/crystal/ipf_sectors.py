"""Colours of crystal directions: the sector of each Laue group, and its colour key.

The key is that of TSL as MTEX and orix build it, so that figures agree with those of the orientation community: the
hue is the angle around the middle of the sector, white is its middle, and full colours are on its edge. Source: Nolze &
Hielscher, J. Appl. Cryst. 49 (2016) 1786. Which direction of the crystal is meant is said by `ipf`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import cos, radians, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.quaternions import matrix_from_quaternion, quaternion_from_axis_angle, rotate_vectors
from grainloop.model.crystal.symmetry import LaueGroup, laue_group

Floats = NDArray[np.float64]

_Z, _X, _Y = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
_STEPS = 1000
"""Into which the turn around the middle of a sector is divided to share its colours out evenly."""
_WEDGES = {"mmm": (0, 90), "4/m": (0, 90), "4/mmm": (0, 45), "-3": (0, 120), "-3m": (-30, 30), "6/m": (0, 60)} | {
    "6/mmm": (0, 30)
}
"""Azimuths, in degrees, between which a sector reaches from the c-axis to the equator."""
_BASAL = {-30: "1 -1 0 0", 0: "2 -1 -1 0", 30: "1 0 -1 0", 60: "1 1 -2 0", 120: "-1 2 -1 0"}
"""Directions of hexagonal crystals in the equator, by azimuth."""
_EQUATOR = {0: "1 0 0", 45: "1 1 0", 90: "0 1 0"}
# The mean of all directions of the sector, which is no triangle; from MTEX, as in orix.
_CENTRE_OF_M3 = (0.349928, 0.348069, 0.869711)


@dataclass(frozen=True, eq=False)
class Sector:
    """The crystal directions that differ under a Laue group, by convention; all vectors have unit length.

    Attributes:
        group: its name.
        normals: (n, 3) of the planes that bound it, inwards.
        centre: (3,) where the key is white.
        corners: (m, 3) one after the other along its edge.
        labels: of each corner, as Miller indices between spaces; empty for one that only says how the edge goes.
    """

    group: str
    normals: Floats
    centre: Floats
    corners: Floats
    labels: tuple[str, ...]

    @property
    def vertices(self) -> Floats:
        """The corners that have a label."""
        return self.corners[[bool(label) for label in self.labels]]

    def edge(self, steps: int = 100) -> Floats:
        """(m · steps + 1, 3) directions around it, closed."""
        arcs = [_arc(a, b, steps) for a, b in zip(self.corners, np.roll(self.corners, -1, axis=0), strict=True)]
        return np.concatenate([*arcs, self.corners[:1]])


@cache
def sector(group: str) -> Sector:
    """The sector of a Laue group."""
    if group in _WEDGES:
        return _wedge(group, *_WEDGES[group])
    if group == "-1":
        round_it = (_X, _Y, (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
        return _sector(group, [_Z], _Z, round_it, ("", "", "", ""))
    if group == "2/m":
        corners = (_X, _Y, (-1.0, 0.0, 0.0), _Z)
        return _sector(group, [_Z, _Y], (0, 1, 1), corners, ("1 0 0", "", "-1 0 0", ""))
    labels = ("0 0 1", "1 0 1", "1 1 1", "0 1 1")
    corners = [_unit(np.array(label.split(), np.float64)) for label in labels]
    if group == "m-3":
        planes = [_X, (0, -1, 1), (-1, 0, 1), _Y, _Z]
        return _sector(group, planes, _CENTRE_OF_M3, corners, labels)
    return _sector(group, [(1, -1, 0), (-1, 0, 1), _Y], np.mean(corners[:3], axis=0), corners[:3], labels[:3])


def _wedge(group: str, start: int, end: int) -> Sector:
    hexagonal = group[0] in "-36"
    names = _BASAL if hexagonal else _EQUATOR
    (a, b), pole = ((cos(radians(t)), sin(radians(t)), 0.0) for t in (start, end)), "0 0 0 1" if hexagonal else "0 0 1"
    planes = [_Z, (-a[1], a[0], 0.0), (b[1], -b[0], 0.0)]
    return _sector(group, planes, np.mean([_Z, a, b], axis=0), [_Z, a, b], (pole, names[start], names[end]))


def _sector(
    group: str, normals: Iterable[ArrayLike], centre: ArrayLike, corners: Iterable[ArrayLike], labels: tuple[str, ...]
) -> Sector:
    planes, around = (np.array([np.asarray(one) for one in some], np.float64) for some in (normals, corners))
    return Sector(group, _unit(planes), _unit(np.asarray(centre, np.float64)), _unit(around), labels)


def direction_colours(directions: ArrayLike, group: LaueGroup | str) -> Floats:
    """RGB (..., 3), 0 … 1, of crystal directions (..., 3) of any length.

    Raises:
        UnknownPointGroup: see `laue_group`.
    """
    vectors = np.asarray(directions, np.float64)
    known = laue_group(group)
    within = sector(known.name)
    inside = _into(within, known.operators, _unit(vectors.reshape(-1, 3)))
    hue = _azimuth(within, inside) / (2 * np.pi) % 1
    return _rgb(hue, 0.5 + _away(within, inside) / 2).reshape(vectors.shape)


def _into(within: Sector, operators: Floats, v: Floats) -> Floats:
    """The equivalent of each direction (N, 3), with ± alike, that lies deepest within all planes of the sector."""
    turns = np.concatenate([sign * matrix_from_quaternion(operators) for sign in (1.0, -1.0)])
    along = np.ascontiguousarray(v.T)
    depth, best = np.full(len(v), -np.inf), np.zeros(len(v), np.intp)
    for number, turn in enumerate(turns):  # its columns are the axes that it brings to x, y and z
        here = np.round((within.normals @ turn.T @ along).min(axis=0), 12)
        best[here > depth] = number
        depth = np.maximum(depth, here)
    return np.einsum("ni,nij->nj", v, turns[best])


def _azimuth(within: Sector, v: Floats) -> Floats:
    """(N,) angle around the middle from the c-axis on, in radians, uneven so that each corner has its share of hues."""
    turn = _turn(within, v)
    return turn if not len(within.vertices) else np.interp(turn, np.linspace(0, 2 * np.pi, _STEPS), _shares(within))


def _turn(within: Sector, v: Floats) -> Floats:
    start = _start(within)
    ahead = _unit(start - (start @ within.centre) * within.centre)
    left = _unit(np.cross(within.centre, ahead))
    away = _unit(v - within.centre)
    return np.arctan2(away @ left, away @ ahead) % (2 * np.pi)


def _start(within: Sector) -> Floats:
    return np.array(_Z if len(within.vertices) else _X) - within.centre


def _shares(within: Sector) -> Floats:
    """(steps,) the hue that begins at each step of the turn: where the edge is near, hues go by quickly."""
    steps = np.linspace(0, 2 * np.pi, _STEPS)
    across = _unit(np.cross(_start(within), within.centre))
    spokes = rotate_vectors(quaternion_from_axis_angle(within.centre, steps[:-1]), across)
    met = _unit(np.cross(within.normals[:, None], spokes[None]))
    reach = np.arccos(np.clip(met @ within.centre, -1, 1)).min(axis=0)
    if len(within.vertices) == 3:
        bounds = np.round(_STEPS * np.sort(_turn(within, within.vertices)) / (2 * np.pi)).astype(int)
        first, second = bounds[1:] if bounds[0] < _STEPS // 100 else bounds[:2]
        for part in (slice(0, first), slice(first, second), slice(second, None)):
            reach[part] /= reach[part].sum() / 3
    return 2 * np.pi * np.concatenate([[0.0], np.cumsum(reach / reach.sum())])


def _away(within: Sector, v: Floats) -> Floats:
    """(N,) how far from the edge towards the middle: 1 there, 0 at the edge."""
    plane = _unit(np.cross(v, within.centre))
    found = np.full(len(v), np.inf)
    for normal in within.normals:
        edge = _unit(np.asarray(np.cross(plane, normal), np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            share = _angle(-v, edge) / _angle(-within.centre[None], edge)
        found = np.minimum(found, np.where(np.isnan(share), 1.0, share))
    return found


def _angle(a: Floats, b: Floats) -> Floats:
    """Between unit vectors, radians; NaN where `b` is 0, since no direction is meant."""
    cosine = np.clip(np.round(np.sum(a * b, axis=-1), 9), -1, 1)
    return np.where(b.any(axis=-1), np.arccos(cosine), np.nan)


def _rgb(hue: Floats, lightness: Floats) -> Floats:
    """(N, 3) full colours of a hue and a lightness, both 0 … 1."""
    strength = 1 - np.abs(2 * lightness - 1)
    parts = [(hue * 6 + offset) % 6 for offset in (0, 4, 2)]
    waves = [np.clip(np.abs(part - 3) - 1, 0, 1) for part in parts]
    return np.clip(np.stack([lightness + strength * (wave - 0.5) for wave in waves], axis=-1), 0, 1)


def _arc(a: Floats, b: Floats, steps: int) -> Floats:
    """(steps, 3) directions from `a` on, `b` left out, along the great circle."""
    between = np.arccos(np.clip(a @ b, -1, 1))
    along = np.linspace(0, between, steps, endpoint=False)[:, None]
    return (a * np.sin(between - along) + b * np.sin(along)) / np.sin(between)


def _unit(v: Floats) -> Floats:
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return v / np.where(length > 0, length, 1)
