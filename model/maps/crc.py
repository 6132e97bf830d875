"""Oxford/HKL Channel 5 .cpr/.crc pairs: an ini-like header and one binary record per scan point, rows first to last.

A record is one byte for the phase (0 = not indexed; its angles are then arbitrary), then the declared fields.
"""

from __future__ import annotations

from configparser import ConfigParser, Error
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal.errors import UnknownPointGroup
from grainloop.model.crystal.symmetry import laue_group_from_ctf
from grainloop.model.maps._points import DeclaredGrid, PointList, to_map
from grainloop.model.maps._text import read_lines, read_raw, to_count, to_name, to_number, to_step
from grainloop.model.maps.ctf import confidence_from_mad
from grainloop.model.maps.errors import MapFileError
from grainloop.model.maps.orientation_map import MapPhase, OrientationMap

_FIELDS = ("x", "y", "euler1", "euler2", "euler3", "mad", "bc", "bs", "unknown", "bands", "error", "reliability")
FIELD_NAMES = dict(enumerate(_FIELDS, 1))
BYTE_FIELDS = (7, 8, 9, 10, 11)
_LAST_SPACE_GROUP = (2, 15, 74, 88, 142, 148, 167, 176, 194, 206, 230)
"""Last space group of each Laue group, in the order in which HKL counts these."""

Header = dict[str, dict[str, str]]


def read_crc(path: Path, frame: str | None = None) -> OrientationMap:
    """The map in a .cpr/.crc pair; `path` names either. `frame` declares the Euler frame, which the files do not state.

    Raises:
        MapFileError: one of the two is missing or malformed, or they do not fit each other.
    """
    cpr, crc = (_partner(path, suffix) for suffix in (".cpr", ".crc"))
    header = _read_header(cpr)
    job, general = header.get("job", {}), header.get("general", {})
    if "interactive" in general.get("jobmode", "").lower():
        raise MapFileError(cpr, "is a list of points (JobMode Interactive), not a map.")
    grid = DeclaredGrid(
        columns=to_count(cpr, "xCells", job.get("xcells", "0")),
        rows=to_count(cpr, "yCells", job.get("ycells", "0")),
        step_x_um=to_step(cpr, "GridDistX", job.get("griddistx", "0")),
        step_y_um=to_step(cpr, "GridDistY", job.get("griddisty", "0")),
    )
    records = _records(cpr, crc, header.get("fields", {}), grid.rows * grid.columns)
    phases = _phases(cpr, header)
    return to_map(crc, _points(records, grid), grid, phases, frame or "identity")


def _partner(path: Path, suffix: str) -> Path:
    """The file with this suffix beside `path`, in whatever case the suffix is written."""
    if path.suffix.lower() == suffix:
        return path
    spellings = (suffix, suffix.upper(), suffix.capitalize())
    found = [path.with_suffix(spelling) for spelling in spellings if path.with_suffix(spelling).exists()]
    if not found:
        raise MapFileError(path.with_suffix(suffix), "there is no such file; a .cpr and a .crc belong together.")
    return found[0]


def _read_header(path: Path) -> Header:
    """Sections and keys in lower case; spaces in section names vary between writers and are dropped."""
    parser = ConfigParser(interpolation=None, strict=False, allow_no_value=True, delimiters=("=",))
    try:
        parser.read_string("\n".join(line.strip() for line in read_lines(path)))
    except Error as error:
        raise MapFileError(path, f"is not a .cpr header ({str(error).splitlines()[0]}).") from None
    return {
        section.lower().replace(" ", ""): {key: value or "" for key, value in parser.items(section)}
        for section in parser.sections()
    }


def _records(cpr: Path, crc: Path, fields: dict[str, str], count: int) -> NDArray[np.void]:
    if count == 0:
        raise MapFileError(cpr, "declares no grid (xCells and yCells in [Job]).")
    codes = [
        to_count(cpr, f"Field{i}", fields.get(f"field{i}", ""))
        for i in range(1, to_count(cpr, "Count", fields.get("count", "0")) + 1)
    ]
    if missing := [name for code, name in FIELD_NAMES.items() if code in (3, 4, 5) and code not in codes]:
        raise MapFileError(cpr, f"the records hold no {missing[0]}; fields: {codes}.")
    raw = read_raw(crc)
    layout = np.dtype([("phase", "u1"), *_field_layout(cpr, codes, len(raw), count)])
    if len(raw) != count * layout.itemsize:
        wanted = f"{count} records of {layout.itemsize} bytes ({count * layout.itemsize})"
        raise MapFileError(crc, f"holds {len(raw)} bytes, the header announces {wanted}.")
    return np.frombuffer(raw, layout)


def _field_layout(path: Path, codes: list[int], size: int, count: int) -> list[tuple[str, str]]:
    """Names and types of the fields; fields of unknown code are skipped, sharing what the known ones leave."""
    strangers = [code for code in codes if code not in FIELD_NAMES]
    known = 1 + sum(1 if code in BYTE_FIELDS else 4 for code in codes if code in FIELD_NAMES)
    width, rest = divmod(size - known * count, count * max(len(strangers), 1))
    if strangers and (rest or width < 1):
        raise MapFileError(path, f"field code {strangers[0]} is unknown and its size cannot be told.")
    types = {code: "u1" if code in BYTE_FIELDS else "<f4" for code in FIELD_NAMES}
    named = [(FIELD_NAMES.get(code, f"field{i}"), types.get(code, f"V{width}")) for i, code in enumerate(codes)]
    if len({name for name, _ in named}) < len(named):
        raise MapFileError(path, f"a field occurs twice: {codes}.")
    return named


def _points(records: NDArray[np.void], grid: DeclaredGrid) -> PointList:
    rows, cols = np.divmod(np.arange(len(records)), grid.columns)
    missing = np.full(len(records), np.nan)
    with np.errstate(invalid="ignore"):  # bytes may be such that numpy warns of them; no number is checked later
        mad = records["mad"].astype(np.float64) if "mad" in (records.dtype.names or ()) else missing
        euler = np.stack([records[name] for name in ("euler1", "euler2", "euler3")], axis=1).astype(np.float64)
    return PointList(
        x_um=cols * grid.step_x_um,
        y_um=rows * grid.step_y_um,
        euler_rad=euler,
        phase_id=records["phase"].astype(np.int64),
        confidence=confidence_from_mad(mad),
        fit_deg=mad,
        line=np.arange(1, len(records) + 1),
    )


def _phases(path: Path, header: Header) -> tuple[MapPhase, ...]:
    count = to_count(path, "Count in [Phases]", header.get("phases", {}).get("count", "0"))
    if not 1 <= count <= 255:
        raise MapFileError(path, f"declares {count} phases, not 1 to 255.")
    missing = [i for i in range(1, count + 1) if f"phase{i}" not in header]
    if missing:
        raise MapFileError(path, f"has no section [Phase{missing[0]}].")
    return tuple(_phase(path, i, header[f"phase{i}"]) for i in range(1, count + 1))


def _phase(path: Path, number: int, section: dict[str, str]) -> MapPhase:
    group = _laue_group(path, number, section)
    a, b, c, *angles = (
        to_number(path, f"{key} of phase {number}", section.get(key) or "0")
        for key in ("a", "b", "c", "alpha", "beta", "gamma")
    )
    if group in ("4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm"):
        a = b  # MTEX writes the x-component of a, which is shorter by cos 30° in hexagonal cells
    return MapPhase(
        phase_id=number,
        name=to_name(section.get("structurename", ""), number),
        laue_group=group,
        lattice_angstrom=(a, b, c) if min(a, b, c) > 0 else None,
        lattice_angles_deg=(angles[0], angles[1], angles[2]),
        hexagonal_axis="a*",
    )


def _laue_group(path: Path, number: int, section: dict[str, str]) -> str:
    """From the Laue number, or where that is empty from the space group."""
    laue = to_count(path, f"LaueGroup of phase {number}", section.get("lauegroup") or "0")
    space = to_count(path, f"SpaceGroup of phase {number}", section.get("spacegroup") or "0")
    if laue == 0 and 1 <= space <= 230:
        laue = 1 + int(np.searchsorted(_LAST_SPACE_GROUP, space))
    try:
        return laue_group_from_ctf(laue).name
    except UnknownPointGroup:
        raise MapFileError(
            path, f"phase {number} has LaueGroup {laue} and SpaceGroup {space}; neither is known."
        ) from None
