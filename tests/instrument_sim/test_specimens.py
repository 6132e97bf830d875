"""The maps that ship: as published, with licences and the statistics they should have."""

import hashlib

import numpy as np
import pytest

from grainloop.instrument_sim import specimens
from grainloop.model.crystal import (
    disorientation_deg,
    laue_group,
    neighbour_disorientation_deg,
    segment_grains,
    tilt_deg,
)


@pytest.mark.parametrize("name", specimens.ALL)
def test_files_are_byte_identical_to_the_published_ones(name):
    readme = (specimens.FOLDER / "README.md").read_text(encoding="utf-8")
    for file in specimens.FOLDER.glob(specimens.path_of(name).stem + ".*"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in readme


@pytest.mark.parametrize("name", specimens.ALL)
def test_those_that_are_said_to_show_light_do(name):
    group = laue_group(specimens.load(name).main_phase.laue_group)
    assert group.shows_light == (name in specimens.FILES) == (name not in specimens.CUBIC)


def test_each_source_has_its_licence():
    texts = [file.read_text(encoding="utf-8") for file in (specimens.FOLDER / "licences").iterdir()]
    assert len(texts) == 3
    for holder in ("Henry Proudhon", "Azdiar Gazder"):
        assert any(holder in text and "MIT License" in text for text in texts)
    assert any("Apache License" in text for text in texts)


@pytest.mark.parametrize(
    ("name", "group", "shape", "step", "indexed", "grains", "tilts"),
    [
        ("ti64", "6/mmm", (200, 200), 0.4999, 1.0, 355, (11, 35, 74)),
        ("mg-twins", "6/mmm", (137, 167), 0.3, 0.998, 83, (25, 58, 80)),
        ("ni", "m-3m", (243, 359), 0.12, 1.0, 115, None),
    ],
)
def test_maps_have_the_published_statistics(name, group, shape, step, indexed, grains, tilts):
    section = specimens.load(name)
    assert section.shape_px == shape
    assert section.step_um == pytest.approx(step)
    assert section.indexed.mean() == pytest.approx(indexed, abs=5e-4)
    assert [phase.laue_group for phase in section.phases] == [group]
    labels = segment_grains(section.orientation, group, valid=section.indexed, min_size_px=5)
    assert labels.max() == pytest.approx(grains, abs=1)
    if tilts is None:
        return
    found = np.percentile(tilt_deg(section.orientation[section.indexed]), [10, 50, 90])
    np.testing.assert_allclose(found, tilts, atol=0.6)


def test_magnesium_map_holds_extension_twins_and_the_right_lattice():
    section = specimens.load("mg-twins")
    right, _ = neighbour_disorientation_deg(section.orientation, "6/mmm")
    both = section.indexed[:, :-1] & section.indexed[:, 1:]
    assert np.sum(both & (right >= 84) & (right <= 88)) == 662
    assert section.phases[0].lattice_angstrom == (3.2089, 3.2089, 5.2101)
    assert section.phases[0].hexagonal_axis == "a*"


def test_not_indexed_points_hold_the_identity():
    section = specimens.load("mg-twins")
    lost = section.orientation[~section.indexed]
    assert len(lost) == 46
    assert np.all(disorientation_deg(lost, np.array([1.0, 0, 0, 0]), "6/mmm") == 0)


def test_unknown_specimen_is_refused():
    with pytest.raises(ValueError, match="unknown specimen 'steel'"):
        specimens.load("steel")
