"""`.ctf` files of Oxford, with what varies between writers."""

import numpy as np
import pytest

from grainloop.model.crystal import euler_from_quaternion
from grainloop.model.maps import MapFileError, read_map

HEADER = [
    "Channel Text File",
    "Prj\tmap",
    "Author\t[Somebody]",
    "JobMode\tGrid",
    "XCells\t3",
    "YCells\t2",
    "XStep\t0.5",
    "YStep\t0.5",
    "AcqE1\t0",
    "AcqE2\t0",
    "AcqE3\t0",
    "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t300\tCoverage\t100\tDevice\t0\tKV\t20",
    "Phases\t2",
    "2.95;2.95;4.68\t90;90;120\tTi alpha 2\t9\t194\t\t\tsome source",
    "3.19;3.19;3.19\t90;90;90\tBeta\t11\t229",
]
COLUMNS = "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS"
ROWS = [
    f"{1 + i % 2}\t{0.5 * (i % 3)}\t{0.5 * (i // 3)}\t8\t0\t{10 + i}.5\t45.25\t30.0\t0.5\t120\t200" for i in range(6)
]


@pytest.fixture
def ctf(tmp_path):
    def write(rows=ROWS, header=HEADER, columns=COLUMNS, end="\n", encoding="utf-8"):
        path = tmp_path / "map.ctf"
        path.write_bytes((end.join([*header, columns, *rows]) + end).encode(encoding))
        return path

    return write


def same(found, other):
    for name in ("orientation", "phase_id", "confidence", "fit_deg"):
        np.testing.assert_array_equal(getattr(found, name), getattr(other, name), err_msg=name)
    assert found.phases == other.phases
    assert found.step_um == other.step_um
    return True


def test_plain_file(ctf):
    found = read_map(ctf())
    assert found.shape_px == (2, 3)
    assert found.phase_id.tolist() == [[1, 2, 1], [2, 1, 2]]
    assert [(p.name, p.laue_group) for p in found.phases] == [("Ti alpha 2", "6/mmm"), ("Beta", "m-3m")]
    assert found.phases[0].lattice_angstrom == (2.95, 2.95, 4.68)
    assert found.phases[0].lattice_angles_deg == (90, 90, 120)
    assert found.phases[0].hexagonal_axis == "a*"
    euler = np.rad2deg(euler_from_quaternion(found.orientation.astype(float)))
    np.testing.assert_allclose(euler[1, 1], (14.5, 45.25, 30.0), atol=1e-4)
    np.testing.assert_allclose(found.fit_deg, 0.5)
    np.testing.assert_allclose(found.confidence, 0.75)


def test_decimal_commas_line_ends_byte_order_mark_and_spaces(ctf):
    plain = read_map(ctf())
    commas = {"rows": [row.replace(".", ",") for row in ROWS], "header": [line.replace(".", ",") for line in HEADER]}
    spaces = {"rows": [" " + row.replace("\t", "   ") for row in ROWS], "columns": COLUMNS.replace("\t", " ")}
    for variant in (commas, spaces, {"end": "\r\n"}, {"encoding": "utf-8-sig"}, {**commas, "end": "\r\n"}):
        assert same(read_map(ctf(**variant)), plain)


def test_column_major_order_is_not_transposed(ctf):
    assert same(read_map(ctf(rows=[ROWS[i] for i in (0, 3, 1, 4, 2, 5)])), read_map(ctf()))


def test_missing_rows_are_not_indexed(ctf):
    header = [line.replace("YCells\t2", "YCells\t3") for line in HEADER]
    found = read_map(ctf(header=header))
    assert found.indexed.tolist() == [[True] * 3, [True] * 3, [False] * 3]
    late = [row.replace("\t0.5\t8", "\t1.0\t8").replace("\t0.0\t8", "\t0.5\t8") for row in ROWS]
    found = read_map(ctf(rows=late, header=header))
    assert found.indexed.tolist() == [[False] * 3, [True] * 3, [True] * 3]


def test_phase_0_is_not_indexed_whatever_its_angles(ctf):
    found = read_map(ctf(rows=["0" + ROWS[0][1:], *ROWS[1:]]))
    assert not found.indexed[0, 0]
    assert found.orientation[0, 0].tolist() == [1, 0, 0, 0]


def test_columns_are_found_by_name(ctf):
    swapped = COLUMNS.replace("Bands\tError", "Error\tBands").replace("\tMAD\tBC\tBS", "")
    found = read_map(ctf(columns=swapped, rows=[row.rsplit("\t", 3)[0] for row in ROWS]))
    assert np.isnan(found.fit_deg).all()
    assert np.all(found.confidence == 1)


FAULTS = {
    "no column line": ({"columns": "nothing"}, "no line 'Phase X Y"),
    "no phases": ({"header": [line for line in HEADER if "Phases" not in line]}, "no line 'Phases'"),
    "too few phases": ({"header": HEADER[:-2]}, "announces 2 phases and describes 0"),
    "odd phase": ({"header": [*HEADER[:-1], "beta"]}, "phase 2 cannot be read: 'beta'"),
    "odd lattice": (
        {"header": [*HEADER[:-1], HEADER[-1].replace("3.19;", "wide;", 1)]},
        "lattice of phase 2 is 'wide'",
    ),
    "odd Laue group": (
        {"header": [*HEADER[:-1], HEADER[-1].replace("\t11\t", "\t12\t")]},
        "Laue group of phase 2 is 12",
    ),
    "point list": ({"header": [line.replace("Grid", "Interactive") for line in HEADER]}, "JobMode Interactive"),
    "no angles": ({"columns": COLUMNS.replace("Euler3", "Other")}, "no column 'euler3'"),
    "a word": ({"rows": [*ROWS[:5], ROWS[5].replace("45.25", "steep")]}, "line 22, column 7: 'steep' is not a number"),
    "unknown phase": ({"rows": [*ROWS[:5], "7" + ROWS[5][1:]]}, "line 22: phase 7 is not among"),
    "no rows": ({"rows": []}, "no scan points"),
    "huge grid": (
        {"header": [line.replace("XCells\t3", "XCells\t-3") for line in HEADER]},
        "XCells is '-3', not a count",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_files_are_told_in_one_sentence(ctf, fault):
    changes, message = FAULTS[fault]
    path = ctf(**changes)
    with pytest.raises(MapFileError, match=message) as error:
        read_map(path)
    assert str(path) in str(error.value)


def test_an_absurd_header_allocates_nothing(ctf):
    header = [line.replace("XCells\t3", "XCells\t2000000000") for line in HEADER]
    assert read_map(ctf(header=header)).shape_px == (2, 3)
