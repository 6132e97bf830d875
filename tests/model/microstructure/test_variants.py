"""Twins and variants against published angles and against the geometry that defines them."""

import numpy as np
import pytest

from grainloop.model.crystal import conjugate, disorientation_deg, multiply, rotate_vectors
from grainloop.model.microstructure import MicrostructureError
from grainloop.model.microstructure.variants import (
    HCP_TWINS,
    burgers_variants,
    cubic_twins,
    hcp_twins,
    kurdjumov_sachs_variants,
)

IDENTITY = np.array([1.0, 0, 0, 0])
TITANIUM, ZIRCONIUM, MAGNESIUM = 1.587, 1.593, 1.624

# Angle and axis of the common descriptions, e.g. Christian & Mahajan 1995 and the EBSD literature on Zr, Ti and Mg.
PUBLISHED = [
    ("10-12", ZIRCONIUM, 85.2, "a"),
    ("11-22", TITANIUM, 64.4, "m"),
    ("10-11", MAGNESIUM, 56.2, "a"),
    ("11-21", ZIRCONIUM, 34.8, "m"),
    ("10-12", MAGNESIUM, 86.3, "a"),
    ("10-11", TITANIUM, 57.2, "a"),
]


@pytest.mark.parametrize(("system", "ratio", "angle", "axis"), PUBLISHED)
def test_hcp_twins_have_the_published_angle_and_axis(system: str, ratio: float, angle: float, axis: str) -> None:
    twins = hcp_twins(system, ratio)
    assert disorientation_deg(twins.rotation, IDENTITY, "6/mmm") == pytest.approx(angle, abs=0.1)
    direction = np.array([1.0, 0, 0]) if axis == "a" else np.array([0.0, 1, 0])
    sixfold = [np.array([np.cos(t / 2), 0, 0, np.sin(t / 2)]) for t in np.arange(6) * np.pi / 3]
    about = [rotate_vectors(turn, direction) for turn in sixfold]
    rotations = [np.concatenate([[np.cos(np.radians(angle) / 2)], np.sin(np.radians(angle) / 2) * d]) for d in about]
    for twin in twins.rotation:
        assert min(disorientation_deg(twin, rotation, "6/mmm") for rotation in rotations) < 0.2


@pytest.mark.parametrize("system", list(HCP_TWINS))
def test_hcp_twins_share_their_habit_plane_and_are_six(system: str) -> None:
    twins = hcp_twins(system, TITANIUM)
    assert np.abs(np.sum(rotate_vectors(twins.rotation, twins.habit) * twins.habit, axis=-1)) == pytest.approx(1.0)
    h, k, along_c = HCP_TWINS[system]
    a, b, c = np.array([1.0, 0, 0]), np.array([-0.5, np.sqrt(3) / 2, 0]), np.array([0, 0, TITANIUM])
    normal = h * np.cross(b, c) + k * np.cross(c, a) + along_c * np.cross(a, b)
    expected = np.degrees(np.arccos(normal[2] / np.linalg.norm(normal)))
    assert np.degrees(np.arccos(twins.habit[:, 2])) == pytest.approx(expected)
    assert np.max(np.abs(twins.habit @ (normal / np.linalg.norm(normal)))) == pytest.approx(1.0)
    assert len(np.unique(np.round(twins.habit, 6), axis=0)) == 6


def test_an_unknown_twin_system_is_named() -> None:
    with pytest.raises(MicrostructureError, match="10-19"):
        hcp_twins("10-19", TITANIUM)


def test_annealing_twins_are_sigma_3() -> None:
    twins = cubic_twins()
    assert disorientation_deg(twins.rotation, IDENTITY, "m-3m") == pytest.approx(60.0)
    between = disorientation_deg(twins.rotation[:1], twins.rotation[1:], "m-3m")
    assert between == pytest.approx(38.94, abs=0.01)  # Σ9


def unique_angles(variants: np.ndarray, group: str) -> np.ndarray:
    angles = np.asarray(disorientation_deg(variants[:, None], variants[None], group))
    return np.unique(np.round(angles[~np.eye(len(variants), dtype=bool)], 1))


def test_burgers_variants_have_the_five_known_disorientations() -> None:
    # Relative rotations between α variants of one β grain: Gey & Humbert, Acta Mater. 50 (2002) 277, for ideal c/a.
    variants = burgers_variants()
    assert len(variants.rotation) == 12
    assert unique_angles(variants.rotation, "6/mmm") == pytest.approx([10.5, 60.0, 60.8, 63.3, 90.0], abs=0.1)


def test_burgers_variants_align_plane_and_direction_and_have_their_habit() -> None:
    variants = burgers_variants()
    basal = np.sort(np.abs(rotate_vectors(variants.rotation, np.array([0.0, 0, 1]))), axis=1)
    close_packed = np.abs(rotate_vectors(variants.rotation, np.array([1.0, 0, 0])))
    assert basal == pytest.approx(np.tile([0, 0.5**0.5, 0.5**0.5], (12, 1)))
    assert close_packed == pytest.approx(np.full((12, 3), 3**-0.5))
    habit = np.sort(np.abs(variants.habit), axis=1)
    expected = np.array([11.0, 11, 13]) / np.linalg.norm([11, 11, 13])
    assert np.degrees(np.arccos(np.minimum(habit @ expected, 1))).max() < 1.2


def test_kurdjumov_sachs_variants() -> None:
    # Disorientations between V1 … V24: Morito et al., Acta Mater. 51 (2003) 1789, table 1.
    variants = kurdjumov_sachs_variants()
    known = [10.5, 14.9, 20.6, 21.1, 47.1, 49.5, 50.5, 51.7, 57.2, 60.0]
    assert len(variants.rotation) == 24
    assert unique_angles(variants.rotation, "m-3m") == pytest.approx(known, abs=0.15)
    assert disorientation_deg(variants.rotation, IDENTITY, "m-3m") == pytest.approx(42.85, abs=0.01)
    habit = np.sort(np.abs(variants.habit), axis=1)
    assert habit == pytest.approx(np.tile(np.array([5.0, 5, 7]) / np.sqrt(99), (24, 1)))
    shared = rotate_vectors(variants.rotation, np.array([0.0, 1, 1]) / np.sqrt(2))
    assert np.degrees(np.arccos(np.abs(np.sum(shared * variants.habit, axis=1)))) == pytest.approx(9.45, abs=0.01)


def test_rotations_are_child_to_parent() -> None:
    variants = burgers_variants()
    parent = np.array([0.5, 0.5, -0.5, 0.5])
    child = multiply(parent, variants.rotation)
    assert multiply(child, conjugate(variants.rotation)) == pytest.approx(np.tile(parent, (12, 1)))
