"""IPF colours: one for symmetric equivalents, and those of the key at its corners."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from orix.plot.direction_color_keys import DirectionColorKeyTSL
from orix.quaternion import symmetry
from orix.vector import Vector3d

from grainloop.model.crystal import (
    LAUE_GROUP_NAMES,
    BadOrientation,
    UnknownFrame,
    add_ipf_key,
    convert_hexagonal_axis,
    ipf_colours,
    ipf_key_figure,
    laue_group,
    multiply,
    quaternion_from_axis_angle,
    quaternion_from_euler,
    random_quaternions,
)
from grainloop.model.crystal.ipf_sectors import direction_colours, sector

RED, GREEN, BLUE = np.eye(3)
SCHOENFLIES = {"-1": "Ci", "2/m": "C2h", "mmm": "D2h", "4/m": "C4h", "4/mmm": "D4h", "-3": "S6", "-3m": "D3d"} | {
    "6/m": "C6h",
    "6/mmm": "D6h",
    "m-3": "Th",
    "m-3m": "Oh",
}
KEYS = ["6/mmm", "m-3m", "mmm", "-3m", "-1"]


@pytest.mark.parametrize("name", [*LAUE_GROUP_NAMES, "12/m1"])
def test_symmetric_equivalents_have_one_colour(name, rng):
    q = random_quaternions(20, rng)
    equivalents = multiply(q[:, None], laue_group(name).operators)
    colours = ipf_colours(equivalents, name)
    assert np.abs(colours - ipf_colours(q, name)[:, None]).max() < 1e-9
    assert colours.min() >= 0
    assert colours.max() <= 1


def test_corners_of_the_hexagonal_key():
    """[0001] is red, [2-1-10] = a green, [10-10] = a* blue: read along z, then x, from the active convention."""
    identity = np.array([1.0, 0, 0, 0])
    a_up = quaternion_from_axis_angle([0, 1, 0], -np.pi / 2)  # carries x to z
    assert np.allclose(ipf_colours(identity, "6/mmm"), RED, atol=0.02)
    assert np.allclose(ipf_colours(a_up, "6/mmm"), GREEN, atol=0.02)
    assert np.allclose(ipf_colours(identity, "6/mmm", "x"), GREEN, atol=0.02)
    assert np.allclose(ipf_colours(identity, "6/mmm", "y"), BLUE, atol=0.02)


@pytest.mark.parametrize("name", LAUE_GROUP_NAMES)
def test_colours_are_those_of_orix(name, rng):
    """Within what its rounding of angles leaves; where all directions differ, since orix leaves some of m-3 outside."""
    directions = rng.normal(size=(20000, 3))
    directions = directions[(directions @ sector(name).normals.T > 0).all(axis=1)]
    theirs = DirectionColorKeyTSL(getattr(symmetry, SCHOENFLIES[name])).direction2color(Vector3d(directions))
    assert np.abs(direction_colours(directions, name) - np.clip(theirs, 0, 1)).max() < 2e-4


@pytest.mark.parametrize("name", LAUE_GROUP_NAMES)
def test_sectors_are_those_of_orix(name):
    ours, theirs = sector(name), getattr(symmetry, SCHOENFLIES[name]).fundamental_sector
    assert np.allclose(ours.centre, theirs.center.unit.data, atol=1e-6)
    assert np.allclose(sorted(ours.normals.round(6).tolist()), sorted(theirs.unit.data.round(6).tolist()))
    if theirs.vertices.size:
        of_corners = set(map(tuple, (ours.vertices.round(6) + 0.0).tolist()))
        assert of_corners == set(map(tuple, (theirs.vertices.data.round(6) + 0.0).tolist()))


def test_the_direction_is_one_of_the_sample(rng):
    q = random_quaternions(50, rng)
    z_to_x = quaternion_from_axis_angle([0, 1, 0], np.pi / 2)
    assert np.allclose(ipf_colours(multiply(z_to_x, q), "m-3m", "x"), ipf_colours(q, "m-3m", "z"), atol=1e-9)


def test_prism_colours_depend_on_the_hexagonal_axis(rng):
    q = random_quaternions(50, rng)
    star = convert_hexagonal_axis(q, "a", "a*")
    assert np.allclose(ipf_colours(star, "6/mmm", hexagonal_axis="a*"), ipf_colours(q, "6/mmm"), atol=1e-9)
    assert np.abs(ipf_colours(star, "6/mmm") - ipf_colours(q, "6/mmm")).max() > 0.3


def test_maps_keep_their_shape(rng):
    q = random_quaternions(6, rng).reshape(2, 3, 4).astype(np.float32)
    assert ipf_colours(q, "622").shape == (2, 3, 3)


def test_bad_input_is_refused():
    with pytest.raises(UnknownFrame, match="direction"):
        ipf_colours([1, 0, 0, 0], "622", "w")
    with pytest.raises(BadOrientation):
        ipf_colours([1, 1, 0, 0], "622")


@pytest.fixture(scope="module")
def keys():
    """Keys, drawn before any test, because matplotlib keeps the font files open that it once read."""
    figures = {name: ipf_key_figure(name, "y") for name in KEYS}
    figures["several"] = Figure(figsize=(4, 3))
    figures["several"].add_axes((0.05, 0.1, 0.5, 0.8))
    add_ipf_key(figures["several"], (0.7, 0.6, 0.25, 0.25), "m-3m", font_size=7)
    for figure in figures.values():
        FigureCanvasAgg(figure).draw()
    return figures


@pytest.mark.parametrize("name", KEYS)
def test_the_key_shows_the_colours_and_says_what_it_is(keys, name):
    (axes,) = keys[name].axes
    assert axes.get_title(loc="left") == f"IPF-Y  {name}"
    pixels = np.asarray(keys[name].canvas.buffer_rgba())[..., :3].reshape(-1, 3) / 255
    for colour in (RED, GREEN, BLUE):
        assert np.abs(pixels - colour).max(axis=1).min() < 0.1


def test_the_key_is_painted_with_the_colours_of_the_map(keys):
    """Directions of the 6/mmm sector, read off the picture at their stereographic place."""
    axes = keys["6/mmm"].axes[0]
    pixels = np.asarray(keys["6/mmm"].canvas.buffer_rgba())[..., :3] / 255
    for tilt, azimuth in [(20, 10), (45, 15), (60, 5), (60, 25), (80, 15)]:
        radius = np.tan(np.radians(tilt) / 2)
        place = axes.transData.transform(radius * np.array([np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))]))
        painted = pixels[pixels.shape[0] - 1 - round(place[1]), round(place[0])]
        # The crystal direction (tilt, azimuth) lies along the sample's z when φ2 = 90° − azimuth, Φ = tilt.
        q = quaternion_from_euler(np.radians([0, tilt, 90 - azimuth]))
        assert np.abs(painted - ipf_colours(q, "6/mmm")).max() < 0.06


def test_a_key_fits_into_a_figure_of_others(keys):
    axes = keys["several"].axes[1]
    assert {text.get_fontsize() for text in axes.texts} == {7}
    assert axes.get_title(loc="left") == "IPF-Z  m-3m"


def test_importing_the_package_loads_neither_numba_nor_orix():
    heavy = ("numba", "orix", "scipy", "matplotlib")
    code = f"import sys, grainloop.model.crystal; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
