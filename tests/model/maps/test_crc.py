"""`.crc` and `.cpr` pairs of Oxford, with what varies between writers."""

import numpy as np
import pytest

from grainloop.instrument_sim import specimens
from grainloop.model.crystal import euler_from_quaternion
from grainloop.model.maps import MapFileError, read_map

LAYOUT = [("phase", "u1"), ("e1", "<f4"), ("e2", "<f4"), ("e3", "<f4"), ("mad", "<f4")]
LAYOUT += [("bc", "u1"), ("bs", "u1"), ("bands", "u1"), ("error", "u1"), ("ri", "<f4")]
CODES = (3, 4, 5, 6, 7, 8, 10, 11, 12)


def header(codes=CODES, columns=3, rows=2, laue="9", space="0", section="[Phase1]", a="2.95", mode="RegularGrid"):
    fields = "\n".join(f"Field{i}={code}" for i, code in enumerate(codes, 1))
    return f"""[General]
Version=5.0
JobMode={mode}
Notes=100 % fine

Duration=0:5:0
[Job]
GridDistX=0.25
GridDistY=0.25
xCells={columns}
yCells={rows}
[Acquisition Surface]
Euler1=0.0
[Fields]
Count={len(codes)}
{fields}
[Phases]
Count=1
{section}
StructureName=Titanium
a={a}
b=2.95
c=4.68
alpha=90
beta=90
gamma=120
LaueGroup={laue}
SpaceGroup={space}
"""


def records(layout=LAYOUT, count=6):
    data = np.zeros(count, layout)
    data["phase"] = 1
    data["e1"], data["e2"], data["e3"] = 0.1 * np.arange(count), 0.5, 0.25
    if "mad" in data.dtype.names:
        data["mad"] = 0.5
    return data


@pytest.fixture
def pair(tmp_path):
    def write(text=None, data=None, suffixes=(".cpr", ".crc")):
        cpr, crc = (tmp_path / f"map{suffix}" for suffix in suffixes)
        cpr.write_text(header() if text is None else text, encoding="utf-8")
        crc.write_bytes((records() if data is None else data).tobytes())
        return cpr

    return write


def test_plain_pair(pair):
    path = pair()
    found = read_map(path)
    assert found.shape_px == (2, 3)
    assert found.step_um == 0.25
    euler = euler_from_quaternion(found.orientation.astype(float))
    np.testing.assert_allclose(euler[1, 1], (0.4, 0.5, 0.25), atol=1e-6)
    np.testing.assert_allclose(found.fit_deg, 0.5)
    assert found.phases[0].laue_group == "6/mmm"
    assert found.phases[0].hexagonal_axis == "a*"
    np.testing.assert_array_equal(read_map(path.with_suffix(".crc")).orientation, found.orientation)


def test_only_the_phase_byte_tells_what_is_not_indexed(pair):
    data = records()
    data["phase"][2] = 0
    data["e1"][2] = np.nan
    data["error"][3] = 3
    found = read_map(pair(data=data))
    assert found.indexed.tolist() == [[True, True, False], [True, True, True]]
    assert found.orientation[0, 2].tolist() == [1, 0, 0, 0]


def test_eight_fields_and_fields_of_unknown_code(pair):
    eight = [field for field in LAYOUT if field[0] != "ri"]
    plain = read_map(pair())
    found = read_map(pair(header(CODES[:-1]), records(eight)))
    np.testing.assert_array_equal(found.orientation, plain.orientation)
    extra = [*LAYOUT, ("edx1", "<f8"), ("edx2", "<f8")]
    found = read_map(pair(header((*CODES, 101, 102)), records(extra)))
    np.testing.assert_array_equal(found.orientation, plain.orientation)


@pytest.mark.parametrize(
    ("space", "group"), [("194", "6/mmm"), ("225", "m-3m"), ("214", "m-3m"), ("2", "-1"), ("63", "mmm"), ("166", "-3m")]
)
def test_empty_laue_group_falls_back_to_the_space_group(pair, space, group):
    assert read_map(pair(header(laue="", space=space))).phases[0].laue_group == group


def test_hexagonal_a_is_taken_from_b(pair):
    text = header(a="2.555")
    assert read_map(pair(text)).phases[0].lattice_angstrom == (2.95, 2.95, 4.68)
    text = header(a="2.555", laue="3")
    assert read_map(pair(text)).phases[0].lattice_angstrom == (2.555, 2.95, 4.68)


def test_section_names_and_suffixes_are_spelt_in_several_ways(pair):
    text = header(section="[ phase1]").replace("[Acquisition Surface]", "[AcquisitionSurface]")
    found = read_map(pair(text, suffixes=(".CPR", ".CRC")))
    assert found.shape_px == (2, 3)


FAULTS = {
    "bytes missing": (
        {"data": records(count=5)},
        r"holds 125 bytes, the header announces 6 records of 25 bytes \(150\)",
    ),
    "no grid": ({"text": header(columns=0)}, "declares no grid"),
    "no angles": ({"text": header((6, 7, 8))}, "the records hold no euler1"),
    "twice": ({"text": header((3, 4, 5, 3))}, "a field occurs twice"),
    "unknown code": ({"text": header((*CODES, 101))}, "field code 101 is unknown"),
    "no field code": ({"text": header().replace("Field4=6\n", "")}, "Field4 is ''"),
    "no phase": ({"text": header(section="[Other]")}, r"no section \[Phase1\]"),
    "no group": ({"text": header(laue="", space="0")}, "LaueGroup 0 and SpaceGroup 0; neither is known"),
    "no header": ({"text": "hello"}, "is not a .cpr header"),
    "point list": ({"text": header(mode="Interactive")}, "JobMode Interactive"),
    "phase unknown": ({"data": np.array([(9, 0, 0, 0, 0, 0, 0, 0, 0, 0)] * 6, LAYOUT)}, "line 1: phase 9"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_pairs_are_told_in_one_sentence(pair, fault):
    changes, message = FAULTS[fault]
    path = pair(**changes)
    with pytest.raises(MapFileError, match=message) as error:
        read_map(path)
    assert str(path.parent) in str(error.value)


def test_the_other_file_is_missing(pair):
    path = pair()
    path.with_suffix(".crc").unlink()
    with pytest.raises(MapFileError, match=r"map\.crc: there is no such file; a \.cpr and a \.crc belong together"):
        read_map(path)


def test_real_pair_survives_conversion_to_the_text_formats(tmp_path):
    from grainloop.model.crystal import disorientation_deg
    from grainloop.model.maps import write_map

    original = specimens.load("mg-twins")
    for suffix in (".ang", ".ctf"):
        path = tmp_path / f"mg{suffix}"
        write_map(path, original)
        back = read_map(path)
        np.testing.assert_array_equal(back.phase_id, original.phase_id)
        assert disorientation_deg(back.orientation, original.orientation, "-1").max() < 0.05
        assert back.phases == original.phases
