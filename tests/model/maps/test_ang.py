"""`.ang` files of EDAX, with what varies between writers."""

import numpy as np
import pytest

from grainloop.instrument_sim import specimens
from grainloop.model.crystal import euler_from_quaternion
from grainloop.model.maps import MapFileError, read_map

HEADER = """# TEM_PIXperUM 1.0
#
# Phase 1
# MaterialName  \tNickel
# Formula  \tNi
# Symmetry              43
# LatticeConstants      3.520 3.520 3.520  90.000  90.000  90.000
# NumberFamilies        0
#
# GRID: SqrGrid
# XSTEP: 0.500000
# YSTEP: 0.500000
# NCOLS_ODD: 3
# NCOLS_EVEN: 3
# NROWS: 2
#
"""
POINTS = [(x, y) for y in (0.0, 0.5) for x in (0.0, 0.5, 1.0)]


def row(x, y, euler=(1.0, 0.5, 0.25), ci=0.8, phase=0, tail="  100  0.900"):
    angles = "  ".join(f"{angle:.5f}" for angle in euler)
    return f"  {angles}  {x:.5f}  {y:.5f}  80.0  {ci:.3f}  {phase}{tail}"


@pytest.fixture
def ang(tmp_path):
    def write(rows, header=HEADER, name="map.ang", encoding="utf-8", end="\n"):
        path = tmp_path / name
        path.write_bytes(end.join([*header.splitlines(), *rows, ""]).encode(encoding))
        return path

    return write


def test_plain_file(ang):
    found = read_map(ang([row(x, y) for x, y in POINTS]))
    assert found.shape_px == (2, 3)
    assert found.step_um == pytest.approx(0.5)
    assert found.indexed.all()
    assert found.phases[0].laue_group == "m-3m"
    assert found.phases[0].lattice_angstrom == (3.52, 3.52, 3.52)
    assert found.frame == "identity"
    np.testing.assert_allclose(euler_from_quaternion(found.orientation)[0, 0], (1.0, 0.5, 0.25), atol=1e-6)
    np.testing.assert_allclose(found.confidence, 0.8)
    np.testing.assert_allclose(found.fit_deg, 0.9)
    with pytest.raises(ValueError, match="read-only"):
        found.orientation[0, 0] = 0


def test_rows_in_any_order_are_placed_by_their_coordinates(ang):
    rows = [row(x, y, euler=(x + 1, y, 0.1)) for x, y in POINTS]
    straight = read_map(ang(rows))
    np.testing.assert_array_equal(read_map(ang(rows[::-1])).orientation, straight.orientation)
    by_column = [rows[i] for i in (0, 3, 1, 4, 2, 5)]
    np.testing.assert_array_equal(read_map(ang(by_column)).orientation, straight.orientation)
    np.testing.assert_allclose(euler_from_quaternion(straight.orientation)[1, 2], (2.0, 0.5, 0.1), atol=1e-6)


@pytest.mark.parametrize(("tail", "fit"), [("", np.nan), ("  100", np.nan), ("  100  -0.9  0 0 0 0", 0.9)])
def test_eight_nine_and_fourteen_columns(ang, tail, fit):
    found = read_map(ang([row(x, y, tail=tail) for x, y in POINTS]))
    np.testing.assert_allclose(found.fit_deg, fit)
    np.testing.assert_allclose(found.confidence, 0.8)


@pytest.mark.parametrize(
    "lost",
    [
        {"ci": -1.0},
        {"euler": (12.56637, 12.56637, 12.56637)},
        {"euler": (0.0, 12.56637, 12.56637)},
        {"tail": "  0  180.000"},
        {"tail": "  0  -180.000"},
        {"phase": -1},
    ],
)
def test_signs_of_a_point_that_was_not_indexed(ang, lost):
    found = read_map(ang([row(*POINTS[0], **lost), *(row(x, y) for x, y in POINTS[1:])]))
    assert found.indexed.tolist() == [[False, True, True], [True, True, True]]
    assert found.orientation[0, 0].tolist() == [1, 0, 0, 0]
    assert found.confidence[0, 0] == 0
    assert found.fit_deg[0, 0] == 180


def test_phase_0_means_not_indexed_where_there_are_several_phases(ang):
    second = "# Phase 2\n# MaterialName  Alpha\n# Symmetry 62\n# GRID: SqrGrid\n"
    header = HEADER.replace("# GRID: SqrGrid\n", second)
    found = read_map(ang([row(x, y, phase=i % 3) for i, (x, y) in enumerate(POINTS)], header))
    assert found.phase_id.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert [phase.laue_group for phase in found.phases] == ["m-3m", "6/mmm"]
    assert found.phase(2).name == "Alpha"
    assert found.phase(2).lattice_angstrom is None


def test_windows_line_ends_byte_order_mark_and_latin_names(ang):
    header = HEADER.replace("# Formula", "# OPERATOR: Håkon\n# Formula")
    rows = [row(x, y) for x, y in POINTS]
    plain = read_map(ang(rows))
    for encoding, end in [("utf-8-sig", "\r\n"), ("latin-1", "\n"), ("utf-8", "\r")]:
        np.testing.assert_array_equal(read_map(ang(rows, header, encoding=encoding, end=end)).phase_id, plain.phase_id)


def test_cropped_map_need_not_begin_at_zero(ang):
    found = read_map(ang([row(x + 7.5, y + 2.0) for x, y in POINTS]))
    assert found.shape_px == (2, 3)


def test_missing_points_are_not_indexed(ang):
    found = read_map(ang([row(x, y) for x, y in POINTS[:4]]))
    assert found.indexed.tolist() == [[True, True, True], [True, False, False]]


def test_rounded_step_in_the_header_does_not_shift_columns(ang):
    header = (
        HEADER.replace("0.500000", "0.33").replace("NCOLS_ODD: 3", "NCOLS_ODD: 120").replace("NROWS: 2", "NROWS: 1")
    )
    found = read_map(ang([row(i / 3, 0.0, euler=(i / 100, 0.5, 0.5)) for i in range(120)], header))
    assert found.shape_px == (1, 120)
    assert found.step_um == pytest.approx(1 / 3, rel=1e-3)
    np.testing.assert_allclose(euler_from_quaternion(found.orientation)[0, :, 0], np.arange(120) / 100, atol=1e-5)


GOOD = [row(x, y) for x, y in POINTS]
HEX = HEADER.replace("SqrGrid", "HexGrid")
FAULTS = {
    "hexagonal grid": (GOOD, HEX, r"hexagonal grid \(HexGrid\)"),
    "no header": (GOOD, "", "no header"),
    "no phase": (GOOD, HEADER.replace("# Phase 1\n", ""), "no phase"),
    "no points": ([], HEADER, "no scan points"),
    "bad symmetry": (GOOD, HEADER.replace("43", "44"), "Symmetry of phase 1 is '44'"),
    "bad step": (GOOD, HEADER.replace("XSTEP: 0.500000", "XSTEP: wide"), "XSTEP is 'wide'"),
    "bad count": (GOOD, HEADER.replace("NROWS: 2", "NROWS: 2.5"), "NROWS is '2.5', not a count"),
    "a word": ([*GOOD[:3], GOOD[3].replace("0.800", "good"), *GOOD[4:]], HEADER, r"line 20, column 7: 'good'"),
    "a short row": ([*GOOD[:4], GOOD[4][:40], GOOD[5]], HEADER, r"line 21: \d columns, 10 in the lines before"),
    "too few columns": ([" 1 2 3 4 5"] * 6, HEADER, "line 17: 5 columns, at least 8"),
    "not a number": ([row(0, 0, euler=(float("nan"), 1, 1)), *GOOD[1:]], HEADER, "line 17: a position or Euler angle"),
    "phase not a number": (
        [GOOD[0], row(0.5, 0, phase="nan"), *GOOD[2:]],
        HEADER,
        "line 18: the phase is not a number",
    ),
    "unknown phase": ([*GOOD[:5], row(1.0, 0.5, phase=3)], HEADER, "line 22: phase 3 is not among the phases"),
    "twice": ([*GOOD, row(0.5, 0.5)], HEADER, "line 23: the position x = 0.5, y = 0.5 occurs twice"),
    "off grid": ([*GOOD[:4], row(0.73, 0.5), GOOD[5]], HEADER, "line 21: x = 0.73 is not on a square grid"),
    "oblong pixels": ([row(x, 2 * y) for x, y in POINTS], HEADER.replace("YSTEP: 0.5", "YSTEP: 1.0"), "square pixels"),
    "point list": ([row(100 * x, 100 * y) for x, y in POINTS], HEADER, "6 points do not fill a grid"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_files_are_told_in_one_sentence(ang, fault):
    rows, header, message = FAULTS[fault]
    path = ang(rows, header)
    with pytest.raises(MapFileError, match=message) as error:
        read_map(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_empty_binary_and_foreign_files(tmp_path):
    (tmp_path / "empty.ang").write_bytes(b"")
    (tmp_path / "binary.ang").write_bytes(bytes(100))
    (tmp_path / "folder.ang").mkdir()
    cases = {"none.ang": "no such file", "empty.ang": "is empty", "binary.ang": "not a text file"}
    cases |= {"folder.ang": "cannot be read", "map.h5": "type '.h5' cannot be read"}
    for name, message in cases.items():
        with pytest.raises(MapFileError, match=message):
            read_map(tmp_path / name)


def test_truncated_real_map_is_an_error_or_a_map_with_a_hole(tmp_path):
    whole = specimens.path_of("ti64").read_bytes()
    path = tmp_path / "cut.ang"
    for cut, message in [(100, "has no phase"), (1000, "columns"), (100_000, "columns")]:
        path.write_bytes(whole[:cut])
        with pytest.raises(MapFileError, match=message):
            read_map(path)
    path.write_bytes(whole[: whole.rindex(b"\n", 0, 1_000_000)])
    found = read_map(path)
    assert found.shape_px == (200, 200)
    assert 0.3 < found.indexed.mean() < 0.4


def test_every_second_column_missing(ang):
    header = HEADER.replace("NCOLS_ODD: 3", "NCOLS_ODD: 5")
    found = read_map(ang([row(2 * x, y) for x, y in POINTS], header))
    assert found.indexed.tolist() == [[True, False, True, False, True]] * 2
