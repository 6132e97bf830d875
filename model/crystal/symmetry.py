"""The 11 Laue groups and their proper rotations, with the names and numbers under which file formats know them.

Axes: z along c (and the main rotation axis), x along the first in-plane two-fold axis; the choice of x in hexagonal
crystals (a or a*) is metadata, see `frames`. Operators act on the crystal side: q·s is the same crystal as q.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal.errors import UnknownPointGroup
from grainloop.model.crystal.quaternions import multiply

_TWO_X = (0.0, 1.0, 0.0, 0.0)
_TWO_Y = (0.0, 0.0, 1.0, 0.0)
_TWO_Z = (0.0, 0.0, 0.0, 1.0)
_THREE_111 = (0.5, 0.5, 0.5, 0.5)


def _about_z(fold: int) -> tuple[float, float, float, float]:
    return (cos(pi / fold), 0.0, 0.0, sin(pi / fold))


@dataclass(frozen=True)
class _Row:
    """What distinguishes one Laue group; `uniaxial_fold` is set where ±c are equivalent and c is unique."""

    proper: str
    optic_axes: int
    generators: tuple[tuple[float, float, float, float], ...]
    other_names: tuple[str, ...] = ()
    uniaxial_fold: int = 0


_TABLE: dict[str, _Row] = {
    "-1": _Row("1", 2, ()),
    "2/m": _Row("2", 2, (_TWO_Z,), ("112", "11m", "112/m", "m")),
    "12/m1": _Row("121", 2, (_TWO_Y,), ("1m1",)),
    "mmm": _Row("222", 2, (_TWO_X, _TWO_Z), ("mm2", "2/m2/m2/m")),
    "4/m": _Row("4", 1, (_about_z(4),), ("-4",)),
    "4/mmm": _Row("422", 1, (_about_z(4), _TWO_X), ("4mm", "-42m", "-4m2"), 4),
    "-3": _Row("3", 1, (_about_z(3),)),
    "-3m": _Row("32", 1, (_about_z(3), _TWO_X), ("321", "3m", "3m1", "-3m1"), 3),
    "6/m": _Row("6", 1, (_about_z(6),), ("-6",)),
    "6/mmm": _Row("622", 1, (_about_z(6), _TWO_X), ("6mm", "-6m2", "-62m"), 6),
    "m-3": _Row("23", 0, (_TWO_Z, _THREE_111), ("m3",)),
    "m-3m": _Row("432", 0, (_about_z(4), _THREE_111), ("-43m", "m3m")),
}
_NAMES: dict[str, str] = {alias: name for name, row in _TABLE.items() for alias in (name, row.proper, *row.other_names)}
# EDAX/TSL writes the rotation axes of the proper group; 20 is the monoclinic setting with unique axis b.
_TSL = {1: "-1", 2: "2/m", 20: "12/m1", 22: "mmm", 4: "4/m", 42: "4/mmm", 3: "-3", 32: "-3m", 6: "6/m", 62: "6/mmm"} | {
    23: "m-3",
    43: "m-3m",
}
# HKL/Oxford counts the Laue groups; its monoclinic cells have the unique axis b.
_CTF = ("-1", "12/m1", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")

LAUE_GROUP_NAMES: tuple[str, ...] = tuple(name for name in _TABLE if name != "12/m1")
POINT_GROUP_NAMES: tuple[str, ...] = tuple(_NAMES)
"""Every name that `laue_group` knows."""


@dataclass(frozen=True)
class LaueGroup:
    """One Laue group; compares and hashes by `name`. Get one from `laue_group`."""

    name: str

    @property
    def proper_name(self) -> str:
        """Name of the group of proper rotations, for example 622 for 6/mmm."""
        return _TABLE[self.name].proper

    @property
    def operators(self) -> NDArray[np.float64]:
        """(n, 4) proper rotations, identity first, w ≥ 0; read-only."""
        return _operators(self.name)

    @property
    def is_hexagonal(self) -> bool:
        """Whether this is 6/mmm, the group with the hexagonal closed forms."""
        return self.name == "6/mmm"

    @property
    def is_cubic(self) -> bool:
        """Whether this is m-3m, the group with the cubic closed forms."""
        return self.name == "m-3m"

    @property
    def optic_axes(self) -> int:
        """Directions along which light meets no birefringence: 2 biaxial, 1 uniaxial (c), 0 for isotropic crystals.

        A second-rank tensor that the group leaves alone has three, two or one principal values (Nye, 1957, ch. XIII).
        """
        return _TABLE[self.name].optic_axes

    @property
    def shows_light(self) -> bool:
        """Whether such crystals show PL contrast: all do but cubic ones, which look the same in every direction."""
        return self.optic_axes > 0

    @property
    def uniaxial_fold(self) -> int:
        """Order of the c-axis where c is unique and ±c are equivalent (6/mmm, 4/mmm, -3m), else 0."""
        return _TABLE[self.name].uniaxial_fold


@cache
def _operators(name: str) -> NDArray[np.float64]:
    found = [np.array([1.0, 0.0, 0.0, 0.0])]
    for known in found:  # grows while it is walked: the closure of the generators
        for generator in _TABLE[name].generators:
            product = _canonical(multiply(known, generator))
            if not any(np.allclose(product, other, atol=1e-9) for other in found):
                found.append(product)
    operators = np.stack(found)
    operators.setflags(write=False)
    return operators


def _canonical(q: NDArray[np.floating]) -> NDArray[np.float64]:
    """The exact value and sign of a crystallographic rotation, so that rounding does not build up in products."""
    exact = np.array([0.0, 0.5, sqrt(0.5), sqrt(0.75), 1.0])
    nearest = exact[np.argmin(np.abs(np.abs(q)[:, None] - exact), axis=1)]
    snapped = np.copysign(nearest, q) + 0.0
    leading = snapped[np.flatnonzero(snapped)[0]]
    return snapped if leading > 0 else -snapped + 0.0


def laue_group(name: str | LaueGroup) -> LaueGroup:
    """The Laue group of any of its 32 point groups, in Hermann-Mauguin symbols such as "622", "6/mmm" or "m-3m".

    Monoclinic symbols without an axis mean the unique axis c, as in orix; "12/m1" is the setting with unique axis b.

    Raises:
        UnknownPointGroup: the name is none of those.
    """
    if isinstance(name, LaueGroup):
        return name
    known = _NAMES.get(name.replace(" ", ""))
    if known is None:
        raise UnknownPointGroup(f"unknown point group {name!r}; known: {_listed(_NAMES)}")
    return LaueGroup(known)


def laue_group_from_tsl(number: int) -> LaueGroup:
    """The Laue group of the `Symmetry` line of an EDAX/TSL .ang or .h5 file, for example 43 or 62.

    Raises:
        UnknownPointGroup: the number is not in use.
    """
    if number not in _TSL:
        raise UnknownPointGroup(f"unknown TSL symmetry {number}; known: {_listed(_TSL)}")
    return LaueGroup(_TSL[number])


def laue_group_from_ctf(number: int) -> LaueGroup:
    """The Laue group of a phase line of a .ctf or .cpr file, 1 … 11.

    Raises:
        UnknownPointGroup: the number is out of range.
    """
    if not 1 <= number <= len(_CTF):
        raise UnknownPointGroup(f"unknown .ctf Laue group {number}; known: 1 to {len(_CTF)}")
    return LaueGroup(_CTF[number - 1])


def _listed(names: Iterable[object]) -> str:
    return ", ".join(str(name) for name in names)
