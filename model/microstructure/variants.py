"""Twins and transformation variants: which crystals share a plane with a parent, and which plane.

Every relation is built from lattice geometry, not from a table of angles: a twin is half a turn about the normal of
its K1 plane (type I and compound twins; Christian & Mahajan, Prog. Mater. Sci. 39, 1995), a variant aligns a plane and
a direction of child and parent. Orthonormal crystal frame: x ∥ a = [2-1-10], z ∥ c; cubic: x, y, z ∥ ⟨100⟩.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import quaternion_from_axis_angle
from grainloop.model.microstructure.errors import MicrostructureError
from grainloop.model.microstructure.rotations import unit

Floats = NDArray[np.float64]

HCP_TWINS = {"10-12": (1, 0, 2), "10-11": (1, 0, 1), "11-21": (1, 1, 1), "11-22": (1, 1, 2)}
"""K1 planes by name as (h, k, l): tension {10-12} and {11-21}, compression {10-11} and {11-22}."""


@dataclass(frozen=True)
class Variants:
    """Children of one parent crystal.

    Attributes:
        rotation: (n, 4) quaternions, child crystal → parent crystal.
        habit: (n, 3) unit normals of the habit planes in the parent's crystal frame.
    """

    rotation: Floats
    habit: Floats


def hcp_twins(system: str, c_over_a: float) -> Variants:
    """The six twins of a system of `HCP_TWINS`: about 85° for {10-12}, 57° {10-11}, 35° {11-21}, 64° {11-22}."""
    if system not in HCP_TWINS:
        raise MicrostructureError(f"unknown twin system {system!r}; known are {', '.join(HCP_TWINS)}")
    h, k, along_c = HCP_TWINS[system]
    normal = np.array([h, (h + 2 * k) / np.sqrt(3), along_c / c_over_a])
    turns = np.arange(6) * np.pi / 3
    x = normal[0] * np.cos(turns) - normal[1] * np.sin(turns)
    y = normal[0] * np.sin(turns) + normal[1] * np.cos(turns)
    return _half_turns(unit(np.stack([x, y, np.full(6, normal[2])], axis=-1)))


def cubic_twins() -> Variants:
    """The four Σ3 twins, 60° ⟨111⟩, on {111}."""
    return _half_turns(unit(np.array([[1.0, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])))


def _half_turns(normal: Floats) -> Variants:
    return Variants(np.asarray(quaternion_from_axis_angle(normal, np.full(len(normal), np.pi)), np.float64), normal)


@cache
def burgers_variants() -> Variants:
    """The 12 α variants of a β parent: (0001) ∥ {110}, ⟨11-20⟩ ∥ ⟨111⟩ (Burgers, Physica 1, 1934); habit {11 11 13}."""
    plane, direction = _cubic_pairs((1, 1, 0), (1, 1, 1))
    frame = _frame(plane, direction)
    habit = np.cross(plane, _invariant_lines(plane, direction))
    return Variants(_quaternions(frame), unit(habit))


@cache
def kurdjumov_sachs_variants() -> Variants:
    """The 24 bcc variants of an fcc parent: {011} ∥ {111}, ⟨111⟩ ∥ ⟨110⟩, plates on {575} near the shared plane."""
    plane, direction = _cubic_pairs((1, 1, 1), (1, -1, 0))
    parent = _frame(plane, direction)
    child_plane = unit(np.array([0.0, 1, 1]))
    frames = [parent @ _frame(child_plane, unit(np.array(d))).T for d in ((-1.0, -1, 1), (-1.0, 1, -1))]
    habit = _habit_575(plane, direction)
    return Variants(_quaternions(np.concatenate(frames)), np.concatenate([habit, habit]))


def _frame(plane: Floats, direction: Floats) -> Floats:
    return np.stack([direction, np.cross(plane, direction), plane], axis=-1)


def _habit_575(plane: Floats, direction: Floats) -> Floats:
    """{575} through `direction`, 9.4° from the {111} `plane`."""
    family = unit(np.array(_family((5, 7, 5)), float))
    family = np.concatenate([family, -family])
    fits = np.where(np.abs(direction @ family.T) < 1e-9, plane @ family.T, -1.0)
    return family[np.argmax(fits, axis=1)]


def _cubic_pairs(plane: tuple[int, int, int], direction: tuple[int, int, int]) -> tuple[Floats, Floats]:
    """Unit plane normals (one of ±) and directions (one of ±) of two cubic families, wherever one lies in the other."""
    pairs = [(p, d) for p in _family(plane) for d in _family(direction) if abs(float(np.dot(p, d))) < 1e-9]
    return unit(np.array([p for p, _ in pairs], float)), unit(np.array([d for _, d in pairs], float))


def _family(index: tuple[int, int, int]) -> list[tuple[int, ...]]:
    signed = {
        tuple(s * i for s, i in zip(signs, order, strict=True))
        for order in permutations(index)
        for signs in product((1, -1), repeat=3)
    }
    return sorted(v for v in signed if v > (0, 0, 0))


def _invariant_lines(plane: Floats, direction: Floats) -> Floats:
    """⟨335⟩ of the plane nearest to `direction`: the long axis of an α plate, 14.4° from the shared ⟨111⟩."""
    family = unit(np.array(_family((3, 3, 5)), float))
    family = np.concatenate([family, -family])
    fits = np.where(np.abs(plane @ family.T) < 1e-9, direction @ family.T, -1.0)
    return family[np.argmax(fits, axis=1)]


def _quaternions(matrix: Floats) -> Floats:
    """(n, 4) unit quaternions of (n, 3, 3) rotation matrices, by the dominant eigenvector of Bar-Itzhack's matrix."""
    m = matrix
    k = np.empty((len(m), 4, 4))
    k[:, 0, 0] = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    for i, (a, b) in enumerate(((1, 2), (2, 0), (0, 1)), start=1):
        k[:, 0, i] = k[:, i, 0] = m[:, b, a] - m[:, a, b]
    k[:, 1:, 1:] = m + np.swapaxes(m, 1, 2) - k[:, :1, :1] * np.eye(3)
    return np.linalg.eigh(k)[1][:, :, -1]
