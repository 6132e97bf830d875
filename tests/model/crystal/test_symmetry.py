"""Laue groups and their operators against orix."""

import numpy as np
import pytest
from orix.quaternion import symmetry as orix_symmetry

from grainloop.model.crystal import (
    LAUE_GROUP_NAMES,
    POINT_GROUP_NAMES,
    LaueGroup,
    UnknownPointGroup,
    laue_group,
    laue_group_from_ctf,
    laue_group_from_tsl,
    matrix_from_quaternion,
    multiply,
)

ORIX = {
    "-1": orix_symmetry.C1,
    "2/m": orix_symmetry.C2,
    "12/m1": orix_symmetry.C2y,
    "mmm": orix_symmetry.D2,
    "4/m": orix_symmetry.C4,
    "4/mmm": orix_symmetry.D4,
    "-3": orix_symmetry.C3,
    "-3m": orix_symmetry.D3,
    "6/m": orix_symmetry.C6,
    "6/mmm": orix_symmetry.D6,
    "m-3": orix_symmetry.T,
    "m-3m": orix_symmetry.O,
}


def contains(operators, q):
    return np.abs(operators @ q).max(axis=0) > 1 - 1e-12


@pytest.mark.parametrize("name", ORIX)
def test_operators_are_those_of_orix(name):
    ours, theirs = laue_group(name).operators, ORIX[name].data
    assert len(ours) == len(theirs)
    assert contains(ours, theirs.T).all()


@pytest.mark.parametrize("name", ORIX)
def test_operators_form_a_group_with_the_identity_first(name):
    operators = laue_group(name).operators
    assert np.array_equal(operators[0], [1, 0, 0, 0])
    products = multiply(operators[:, None], operators[None]).reshape(-1, 4)
    assert contains(operators, products.T).all()
    overlaps = np.abs(operators @ operators.T) - np.eye(len(operators))
    assert overlaps.max() < 0.99


def test_there_are_eleven_laue_groups():
    assert len(LAUE_GROUP_NAMES) == 11
    assert sorted(len(laue_group(name).operators) for name in LAUE_GROUP_NAMES) == [1, 2, 3, 4, 4, 6, 6, 8, 12, 12, 24]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("622", "6/mmm"),
        ("6mm", "6/mmm"),
        ("6 / m m m", "6/mmm"),
        ("-6", "6/m"),
        ("32", "-3m"),
        ("432", "m-3m"),
        ("m3m", "m-3m"),
        ("-43m", "m-3m"),
        ("23", "m-3"),
        ("422", "4/mmm"),
        ("2", "2/m"),
        ("121", "12/m1"),
        ("1", "-1"),
    ],
)
def test_point_groups_lead_to_their_laue_group(given, name):
    assert laue_group(given) == LaueGroup(name) == laue_group(laue_group(given))


def test_every_point_group_of_orix_has_the_same_laue_group():
    singled_out = {"211", "m11", "312"}  # settings with other axes
    groups = {group.name: group.laue.name for group in orix_symmetry._groups if group.name not in singled_out}
    settings = {"121": "12/m1", "1m1": "12/m1"}
    assert len(groups) >= 32
    assert {name: laue_group(name).name for name in groups} == groups | settings


def test_vendor_numbers():
    assert laue_group_from_tsl(43).name == "m-3m"
    assert laue_group_from_tsl(62).name == "6/mmm"
    assert laue_group_from_tsl(32).name == "-3m"
    assert [laue_group_from_ctf(n).name for n in (5, 7, 9, 11)] == ["4/mmm", "-3m", "6/mmm", "m-3m"]
    assert len({laue_group_from_ctf(n) for n in range(1, 12)}) == 11


@pytest.mark.parametrize("name", POINT_GROUP_NAMES)
def test_a_crystal_shows_light_unless_its_permittivity_is_the_same_in_all_directions(name):
    """Of a second-rank tensor, a group leaves the part that is the same after each of its rotations."""
    group = laue_group(name)
    turns = matrix_from_quaternion(group.operators)
    drawn = np.random.default_rng(3).standard_normal((3, 3))
    left = np.mean(turns @ (drawn + drawn.T) @ np.swapaxes(turns, 1, 2), axis=0)
    values = np.unique(np.linalg.eigvalsh(left).round(9))
    assert group.optic_axes == len(values) - 1
    assert group.shows_light == (len(values) > 1)
    assert group.shows_light != (group.name in ("m-3", "m-3m"))
    assert group.optic_axes == 1 or not group.uniaxial_fold


@pytest.mark.parametrize("name", ["", "7", "6/mm", "m-3m2", "312"])
def test_unknown_names_are_refused(name):
    with pytest.raises(UnknownPointGroup, match="unknown point group"):
        laue_group(name)


def test_unknown_numbers_are_refused():
    for number in (0, 12, -1):
        with pytest.raises(UnknownPointGroup):
            laue_group_from_ctf(number)
    with pytest.raises(UnknownPointGroup):
        laue_group_from_tsl(61)


def test_groups_are_values():
    assert {laue_group("622"): 1}[laue_group("6/mmm")] == 1
    assert laue_group("622").is_hexagonal
    assert not laue_group("622").is_cubic
    assert laue_group("432").is_cubic
    assert laue_group("432").proper_name == "432"
    with pytest.raises(ValueError, match="read-only"):
        laue_group("622").operators[0, 0] = 2
