"""Numbers that no map has, and files that are none: one sentence, no warning of numpy, no wait, no memory first."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from grainloop.instrument_sim import specimens
from grainloop.model.maps import MapFileError, OrientationMap, read_map, write_map
from tests.model.maps.conftest import BETA, TITANIUM, random_map

EXTREMES = ("1e308", "-1e308", "1e-300", "5e-324", "1e19", "-1e10", "1e5", "-1", "0", "nan", "inf", "4.5")
SIZES = ("100000", "1000000000", "1e18", "1099511627776", "-5", "0.5")
_NUMBER = re.compile(r"(?<![\w.#])-?\d+(\.\d+)?(?![\w.])")


def written(path: Path) -> Path:
    write_map(path, random_map(3, (6, 5), phases=(TITANIUM, BETA)))
    return path


def read_or_refused(path: Path) -> OrientationMap | None:
    """A map, or the one error; a warning fails the test."""
    try:
        found = read_map(path)
    except MapFileError:
        return None
    assert found.step_um > 0
    assert np.isfinite(found.orientation).all()
    return found


@pytest.mark.parametrize("suffix", [".ang", ".ctf"])
@pytest.mark.parametrize("extreme", [*EXTREMES, *SIZES])
def test_each_number_of_a_text_in_turn(tmp_path: Path, suffix: str, extreme: str) -> None:
    path = written(tmp_path / f"map{suffix}")
    text = path.read_text()
    places = list(_NUMBER.finditer(text))
    header = [place for place in places if place.end() < len(text) // 2]
    for place in (*header, *places[-11:]):
        path.write_text(text[: place.start()] + extreme + text[place.end() :])
        read_or_refused(path)


@pytest.mark.parametrize("suffix", [".ang", ".ctf"])
@pytest.mark.parametrize("factor", ["1e-300", "1e-12", "1e12", "1e290"])
def test_positions_of_another_scale_are_refused_or_a_map(tmp_path: Path, suffix: str, factor: str) -> None:
    path = written(tmp_path / f"map{suffix}")
    x, y = (3, 4) if suffix == ".ang" else (1, 2)
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        words = line.split()
        if len(words) in (10, 11) and words[0][:1].isdigit() and ";" not in line:
            words[x], words[y] = (f"{float(words[i]) * float(factor):g}" for i in (x, y))
            lines[number] = "\t".join(words)
    path.write_text("\n".join(lines))
    with pytest.raises(MapFileError):
        read_map(path)


def test_records_and_header_of_a_pair(tmp_path: Path) -> None:
    source = specimens.path_of("mg-twins")
    shutil.copyfile(source, tmp_path / "map.cpr")
    header, records = source.read_text(errors="replace"), source.with_suffix(".crc").read_bytes()
    crc = tmp_path / "map.crc"
    crc.write_bytes(records)
    for extreme in (*EXTREMES, *SIZES):
        for key in ("xCells", "yCells", "GridDistX", "GridDistY", "Count", "LaueGroup", "a"):
            changed = re.sub(rf"(?m)^{key}=.*$", f"{key}={extreme}", header)
            (tmp_path / "map.cpr").write_text(changed)
            read_or_refused(tmp_path / "map.cpr")
    (tmp_path / "map.cpr").write_text(header)
    rng = np.random.default_rng(8)
    for pattern in (b"\xff\xff\x7f\x7f", b"\x00\x00\x80\x7f", b"\x01\x00\xa0\x7f", b"\x01\x00\x00\x00", b"\xff" * 4):
        for at in rng.integers(0, len(records) - 4, 10):
            crc.write_bytes(records[:at] + pattern + records[at + 4 :])
            read_or_refused(crc)


def test_a_grid_beyond_reason_is_refused_before_there_is_memory_for_it(tmp_path: Path) -> None:
    path = written(tmp_path / "map.ang")
    far = path.read_text().replace("      1.00000      1.00000", "  1000000.00000      1.00000")
    assert far != path.read_text()
    path.write_text(far)
    with pytest.raises(MapFileError):
        read_map(path)


def test_a_name_of_a_phase_moves_no_terminal(tmp_path: Path) -> None:
    path = written(tmp_path / "map.ang")
    path.write_text(path.read_text().replace("Titanium beta", "Ti\x1b[31m\tbeta"))
    assert {phase.name for phase in read_map(path).phases} == {"Titanium", "Ti [31m beta"}


@pytest.mark.skipif(os.name != "posix", reason="pipes in folders")
@pytest.mark.parametrize("name", ["map.ang", "map.ctf", "map.cpr", "map.crc"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop", "dangling"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    other = {"map.cpr": "map.crc", "map.crc": "map.cpr"}.get(name)
    if other is not None:
        shutil.copyfile(specimens.path_of("mg-twins").with_suffix(f".{other[-3:]}"), tmp_path / other)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path)
        case _:
            path.symlink_to(tmp_path / "nothing")
    with pytest.raises(MapFileError):
        read_map(path)
    if path.suffix in (".ang", ".ctf") and kind in ("pipe", "device", "folder"):
        with pytest.raises(MapFileError, match="cannot be written"):
            write_map(path, random_map(3, (6, 5)))


def test_a_file_of_a_terabyte_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "map.ang"
    with path.open("wb") as file:
        try:
            file.truncate(2**40)
        except OSError:
            pytest.skip("this file system has no room for holes")
    with pytest.raises(MapFileError, match="it holds more than"):
        read_map(path)
