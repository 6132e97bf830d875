"""What is written comes back, and orix reads the same from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orix import io

from grainloop.instrument_sim import specimens
from grainloop.model import maps
from grainloop.model.crystal import conjugate, disorientation_deg
from grainloop.model.maps import MapFileError, MapPhase, read_map, write_map
from tests.model.maps.conftest import BETA, TITANIUM, random_map

FORMATS = pytest.mark.parametrize("suffix", sorted(maps._WRITERS))


def rotation_angle_deg(a, b):
    return disorientation_deg(a.astype(float), b.astype(float), "-1")


@FORMATS
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 9), st.integers(2, 9)),
    step=st.sampled_from([0.05, 0.4999, 1.0, 1 / 3, 12.5]),
    two_phases=st.booleans(),
    with_flags=st.booleans(),
    frame=st.sampled_from(["identity", "edax-2", "oxford"]),
)
@settings(max_examples=40, deadline=None)
def test_written_maps_come_back(tmp_path_factory, suffix, seed, shape, step, two_phases, with_flags, frame):
    phases = (TITANIUM, BETA) if two_phases else (TITANIUM,)
    original = random_map(seed, shape, phases=phases, step_um=step, with_flags=with_flags, frame=frame)
    path = tmp_path_factory.mktemp("map") / f"map{suffix}"
    write_map(path, original)
    back = read_map(path)
    np.testing.assert_array_equal(back.phase_id, original.phase_id)
    assert rotation_angle_deg(back.orientation, original.orientation).max() < 1.5e-3
    np.testing.assert_allclose(back.confidence, original.confidence, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(back.fit_deg, original.fit_deg, atol=6e-4)
    assert back.step_um == pytest.approx(step, rel=2e-4)
    assert back.phases == original.phases
    assert back.frame == frame
    assert with_flags == (back.measured is not None)
    if with_flags:
        np.testing.assert_array_equal(back.measured, original.measured)


@FORMATS
@pytest.mark.filterwarnings("ignore:.*will be removed:DeprecationWarning")
def test_orix_opens_what_is_written(tmp_path, suffix, capsys):
    original = random_map(3, (20, 30), phases=(TITANIUM, BETA))
    path = tmp_path / f"map{suffix}"
    write_map(path, original)
    xmap = io.load(path)
    capsys.readouterr()
    assert xmap.shape == original.shape_px
    assert (xmap.dx, xmap.dy) == pytest.approx((0.25, 0.25))
    np.testing.assert_array_equal(xmap.is_indexed.reshape(original.shape_px), original.indexed)
    phase_id = np.maximum(xmap.phase_id, 0).reshape(original.shape_px)
    np.testing.assert_array_equal(phase_id, original.phase_id)
    theirs = conjugate(xmap.rotations.data.reshape(*original.shape_px, 4))  # orix keeps sample → crystal
    assert rotation_angle_deg(theirs, original.orientation)[original.indexed].max() < 1.5e-3
    groups = {i: xmap.phases[i].point_group.laue.name for i in (1, 2)}
    assert groups == {1: "6/mmm", 2: "m-3m"}
    np.testing.assert_allclose(xmap.phases[1].structure.lattice.abcABG(), (2.95, 2.95, 4.686, 90, 90, 120), atol=1e-3)


@FORMATS
def test_hexagonal_axis_is_carried_not_converted(tmp_path, suffix):
    path = tmp_path / f"map{suffix}"
    for axis in ("a", "a*"):
        phase = MapPhase(1, "Mg", "6/mmm", (3.2, 3.2, 5.2), (90.0, 90.0, 120.0), axis)
        original = random_map(1, (4, 5), phases=(phase,))
        write_map(path, original)
        back = read_map(path)
        assert back.phases[0].hexagonal_axis == axis
        assert rotation_angle_deg(back.orientation, original.orientation).max() < 1.5e-3


@FORMATS
def test_a_declared_frame_wins_over_the_note(tmp_path, suffix):
    path = tmp_path / f"map{suffix}"
    write_map(path, random_map(1, (4, 5), frame="edax-1"))
    assert read_map(path, frame="bruker").frame == "bruker"


@FORMATS
def test_unknown_fit_is_written_as_zero(tmp_path, suffix):
    original = random_map(1, (4, 5), lost=0)
    original = type(original)(**{**original.__dict__, "fit_deg": np.full((4, 5), np.nan, np.float32)})
    path = tmp_path / f"map{suffix}"
    write_map(path, original)
    assert np.all(read_map(path).fit_deg == 0)


@FORMATS
def test_writing_into_a_missing_folder_is_one_sentence(tmp_path, suffix):
    with pytest.raises(MapFileError, match="cannot be written"):
        write_map(tmp_path / "nowhere" / f"map{suffix}", random_map(1, (3, 3)))


@pytest.mark.parametrize("name", ["map.cpr", "map.crc", "map.h5", "map"])
def test_what_cannot_be_written_is_said_with_what_can(tmp_path, name):
    """Nothing is left of the attempt."""
    with pytest.raises(MapFileError, match=r"of type '(\.cpr|\.crc|\.h5|)' cannot be written; known: \.ang, \.ctf\."):
        write_map(tmp_path / name, random_map(1, (3, 3)))
    assert list(tmp_path.iterdir()) == []


def test_the_case_of_a_suffix_does_not_matter(tmp_path):
    written = random_map(1, (3, 3))
    write_map(str(tmp_path / "map.CTF"), written)
    np.testing.assert_array_equal(read_map(tmp_path / "map.CTF").phase_id, written.phase_id)


def test_formats_refuse_what_they_cannot_hold(tmp_path):
    odd = MapPhase(1, "odd", "7/mmm")
    with pytest.raises(MapFileError, match="no number for the Laue group '7/mmm'"):
        write_map(tmp_path / "a.ang", random_map(1, (3, 3), phases=(odd,)))
    with pytest.raises(MapFileError, match="no number for the Laue group '7/mmm'"):
        write_map(tmp_path / "a.ctf", random_map(1, (3, 3), phases=(odd,)))
    gap = random_map(1, (3, 3), lost=1.0, phases=(MapPhase(4, "beta", "m-3m"),))
    with pytest.raises(MapFileError, match=r"phase 4 stands where the \.ctf format counts phase 1"):
        write_map(tmp_path / "a.ctf", gap)


def test_orix_reads_the_same_from_a_real_file(capsys):
    path = specimens.path_of("ti64")
    with pytest.warns(UserWarning, match="Number of columns, 8"):
        xmap = io.load(path)
    capsys.readouterr()
    ours = read_map(path)
    assert xmap.shape == ours.shape_px
    theirs = conjugate(xmap.rotations.data.reshape(*ours.shape_px, 4))
    assert rotation_angle_deg(theirs, ours.orientation).max() < 0.05
    np.testing.assert_allclose(xmap.prop["unknown2"].reshape(ours.shape_px), ours.confidence, atol=1e-6)
