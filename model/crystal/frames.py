"""Frames: how Euler angles, the map and the polarized-light (PL) image relate. Nothing here is guessed.

Map frame: x along a row of the map, y down the rows, z = x × y into the section. Azimuths run from x towards y.
Euler frame: the frame in which a vendor's Euler angles are given; a named preset turns it into the map frame.
PL frame: the azimuth of the PL features, φ_PL = ±φ + turn (`AzimuthFrame`), since PL sees the c-axis as a line.
Which azimuth frame fits the measured points is checked in `frame_check`. Positions (mirrored images) belong to
registration, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.errors import UnknownFrame
from grainloop.model.crystal.quaternions import FloatArray, as_floats, multiply, quaternion_from_axis_angle

# Half turns, quaternion (0, axis). Sources: MTEX, "Reference frame alignment" (about x+y, x−y, x, y for EDAX settings 1
# to 4 of .ang, about x for .ctf and .crc); kikuchipy issue 748 has Bruker and Oxford alike and 90° about z from EDAX,
# which is what x against x−y amounts to.
_HALF = sqrt(0.5)
_EULER_TO_MAP: dict[str, tuple[float, float, float, float]] = {
    "identity": (1.0, 0.0, 0.0, 0.0),
    "edax-1": (0.0, _HALF, _HALF, 0.0),
    "edax-2": (0.0, _HALF, -_HALF, 0.0),
    "edax-3": (0.0, 1.0, 0.0, 0.0),
    "edax-4": (0.0, 0.0, 1.0, 0.0),
    "oxford": (0.0, 1.0, 0.0, 0.0),
    "bruker": (0.0, 1.0, 0.0, 0.0),
}
FRAME_PRESETS: tuple[str, ...] = tuple(_EULER_TO_MAP)

_HEXAGONAL_AXES = ("a", "a*")


def euler_to_map_rotation(preset: str) -> NDArray[np.float64]:
    """(4,) rotation that turns vectors of the Euler frame of `preset` into the map frame.

    Raises:
        UnknownFrame: no such preset.
    """
    if preset not in _EULER_TO_MAP:
        raise UnknownFrame(f"unknown frame preset {preset!r}; known: {', '.join(FRAME_PRESETS)}")
    return np.array(_EULER_TO_MAP[preset])


def to_map_frame(q: ArrayLike, preset: str) -> FloatArray:
    """Orientations (..., 4) of the Euler frame of `preset`, in the map frame. Raises as `euler_to_map_rotation`."""
    array = as_floats(q, 4)
    return multiply(euler_to_map_rotation(preset).astype(array.dtype), array)


def to_euler_frame(q: ArrayLike, preset: str) -> FloatArray:
    """Orientations (..., 4) given in the map frame, in the Euler frame of `preset`: the inverse of `to_map_frame`."""
    array = as_floats(q, 4)
    backwards = euler_to_map_rotation(preset).astype(array.dtype) * np.array([1, -1, -1, -1], array.dtype)
    return multiply(backwards, array)


def convert_hexagonal_axis(q: ArrayLike, source: str, target: str) -> FloatArray:
    """Orientations (..., 4) whose crystal x-axis follows `source` ("a" or "a*"), rewritten for `target`.

    EDAX has x along a, Oxford along a* = [10-10], which lies 30° from a: φ2 grows by 30° from "a" to "a*". For 6/mmm
    this changes no disorientation, grain or c-axis within a map, only prism colours and slip or twin traces; for -3m it
    changes the disorientations too.

    Raises:
        UnknownFrame: an axis other than "a" and "a*".
    """
    for axis in (source, target):
        if axis not in _HEXAGONAL_AXES:
            raise UnknownFrame(f"unknown hexagonal x-axis {axis!r}; known: a, a*")
    array = as_floats(q, 4)
    steps = _HEXAGONAL_AXES.index(target) - _HEXAGONAL_AXES.index(source)
    if steps == 0:
        return array.copy()
    return multiply(array, quaternion_from_axis_angle(np.array([0, 0, 1], array.dtype), steps * pi / 6))


@dataclass(frozen=True)
class AzimuthFrame:
    """A relation of two azimuth frames: φ → (−φ if `mirror` else φ) + `turn_deg`, modulo 180°."""

    mirror: bool
    turn_deg: float

    @property
    def name(self) -> str:
        """For messages: "φ + 45°" or "−φ + 90°"."""
        return f"{'−' if self.mirror else ''}φ + {self.turn_deg:g}°"

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(4,) proper rotation with this effect on lines: about the normal, or a half turn about an in-plane axis."""
        half = np.radians(self.turn_deg) / 2
        if self.mirror:
            return np.array([0.0, np.cos(half), np.sin(half), 0.0])
        return np.array([np.cos(half), 0.0, 0.0, np.sin(half)])

    def turn(self, q: ArrayLike) -> FloatArray:
        """Orientations (..., 4) seen from this frame; the tilt stays."""
        array = as_floats(q, 4)
        return multiply(self.rotation.astype(array.dtype), array)

    def after(self, first: AzimuthFrame) -> AzimuthFrame:
        """`first`, then this one."""
        turn = (-first.turn_deg if self.mirror else first.turn_deg) + self.turn_deg
        return AzimuthFrame(self.mirror != first.mirror, turn % 180)


CANDIDATE_FRAMES: tuple[AzimuthFrame, ...] = tuple(
    AzimuthFrame(mirror, turn) for mirror in (False, True) for turn in (0.0, 45.0, 90.0, 135.0)
)
"""The eight that the harmonics 2φ and 4φ tell apart. 0 and 90°, mirrored or not, are what wrong presets cause; 45 and
135° what a polariser at 45° to the image causes."""


def azimuth_effect(preset: str) -> AzimuthFrame:
    """What the Euler-to-map rotation of `preset` does to the azimuth of a line."""
    w, x, y, _ = euler_to_map_rotation(preset)
    if w != 0:
        return AzimuthFrame(False, 0.0)
    return AzimuthFrame(True, float(np.degrees(2 * np.arctan2(y, x)) % 180))


def presets_that_fit(declared: str, found: AzimuthFrame) -> tuple[str, ...]:
    """Presets that explain why data declared as `declared` fits PL in the frame `found`, if PL and map frame agree.

    Several at once: PL cannot tell edax-1 from edax-2, nor edax-3, edax-4, oxford and bruker from each other, which
    differ by a half turn about the normal.
    """
    wanted = found.after(azimuth_effect(declared))
    return tuple(preset for preset in FRAME_PRESETS if azimuth_effect(preset) == wanted)
