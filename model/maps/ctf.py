"""Oxford/Bruker .ctf (Channel Text File) maps: reading what circulates, writing what AZtecCrystal, MTEX and orix open.

Angles are degrees, positions µm from 0. Decimal commas, any line end, a byte order mark, spaces instead of tabs,
missing rows and column-major order all occur.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal.errors import UnknownPointGroup
from grainloop.model.crystal.quaternions import euler_from_quaternion
from grainloop.model.crystal.symmetry import laue_group_from_ctf
from grainloop.model.maps._note import note_of, read_note
from grainloop.model.maps._points import DeclaredGrid, PointList, check_phase_column, to_map
from grainloop.model.maps._text import read_lines, read_table, to_count, to_name, to_number, to_step
from grainloop.model.maps.ang import save_text
from grainloop.model.maps.errors import MapFileError
from grainloop.model.maps.orientation_map import HEXAGONAL_AXES, MapPhase, OrientationMap

NEEDED = ("phase", "x", "y", "euler1", "euler2", "euler3")
MAD_OF_NO_CONFIDENCE_DEG = 2.0
"""Where a file holds no confidence, it is taken as 1 − MAD / 2°, not below 0."""


def read_ctf(path: Path, frame: str | None = None) -> OrientationMap:
    """The map in a .ctf file; `frame` declares the Euler frame, which the file does not state.

    Raises:
        MapFileError: not a .ctf on a square grid, or malformed.
    """
    lines = read_lines(path)
    end = next((i for i, line in enumerate(lines) if re.match(r"\s*Phase\s+X\s+Y\s", line)), None)
    if end is None:
        raise MapFileError(path, "is not a .ctf file: there is no line 'Phase X Y …' above the scan points.")
    header = lines[:end]
    found = {words[0].lower(): words[1] for words in map(str.split, header) if len(words) >= 2}
    if found.get("jobmode", "Grid").lower() == "interactive":
        raise MapFileError(path, "is a list of points (JobMode Interactive), not a map.")
    note = read_note(header)
    phases = _phases(path, header, note.get("hexagonal_axis", "a*"))
    body = [line.replace(",", ".") for line in lines[end + 1 :]]
    table, numbers = read_table(path, body, end + 2, len(NEEDED))
    columns = _columns(path, lines[end].split(), table)
    check_phase_column(path, columns["phase"], numbers)
    points = _points(columns, np.array(numbers), note)
    return to_map(path, points, _grid(path, found), phases, frame or note.get("frame", "identity"))


def _grid(path: Path, found: dict[str, str]) -> DeclaredGrid:
    return DeclaredGrid(
        columns=to_count(path, "XCells", found.get("xcells", "0")),
        rows=to_count(path, "YCells", found.get("ycells", "0")),
        step_x_um=to_step(path, "XStep", found.get("xstep", "0")),
        step_y_um=to_step(path, "YStep", found.get("ystep", "0")),
    )


def _columns(path: Path, names: list[str], table: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    columns = dict(zip(map(str.lower, names), table.T, strict=False))
    if missing := [name for name in NEEDED if name not in columns]:
        raise MapFileError(path, f"has no column {missing[0]!r}; columns: {' '.join(names)}.")
    return columns


_TABBED_PHASE = re.compile(r"\s*([^\t;]+;[^\t;]+;[^\t;]+)\t+([^\t;]+;[^\t;]+;[^\t;]+)\t([^\t]*)\t\s*(\d+)\s*(?:\t|$)")
_SPACED_PHASE = re.compile(r"\s*(\S+;\S+;\S+)\s+(\S+;\S+;\S+)\s+(.*?)\s*\b(\d{1,2})(?:\s+\d{1,3})?\s*$")
"""a;b;c, alpha;beta;gamma, name, Laue group[, space group, …]"""


def _phases(path: Path, header: list[str], axis: str) -> tuple[MapPhase, ...]:
    start = next((i for i, line in enumerate(header) if re.match(r"\s*Phases\s", line)), None)
    if start is None:
        raise MapFileError(path, "has no line 'Phases' in its header.")
    count = to_count(path, "Phases", header[start].split()[1])
    lines = header[start + 1 : start + 1 + count]
    if not 1 <= len(lines) == count <= 255:
        phases = "1 phase" if count == 1 else f"{count} phases"
        raise MapFileError(path, f"announces {phases} and describes {len(lines)}.")
    return tuple(_phase(path, number, line, axis) for number, line in enumerate(lines, 1))


def _phase(path: Path, number: int, line: str, axis: str) -> MapPhase:
    match = _TABBED_PHASE.match(line) or _SPACED_PHASE.match(line)
    if match is None:
        raise MapFileError(path, f"phase {number} cannot be read: {line.strip()[:60]!r}.")
    a, b, c = (to_number(path, f"lattice of phase {number}", text) for text in match[1].split(";"))
    alpha, beta, gamma = (to_number(path, f"angles of phase {number}", text) for text in match[2].split(";"))
    try:
        group = laue_group_from_ctf(int(match[4])).name
    except UnknownPointGroup:
        raise MapFileError(path, f"Laue group of phase {number} is {match[4]}, not 1 to 11.") from None
    return MapPhase(
        phase_id=number,
        name=to_name(match[3], number),
        laue_group=group,
        lattice_angstrom=(a, b, c),
        lattice_angles_deg=(alpha, beta, gamma),
        hexagonal_axis=axis if axis in HEXAGONAL_AXES else "a*",
    )


def _points(columns: dict[str, NDArray[np.float64]], line: NDArray[np.int64], note: dict[str, str]) -> PointList:
    missing = np.full(len(line), np.nan)
    mad = columns.get("mad", missing)
    flags = columns.get("bs") if note.get("measured") == "yes" else None
    ours = note and "bc" in columns
    return PointList(
        x_um=columns["x"],
        y_um=columns["y"],
        euler_rad=np.deg2rad(np.stack([columns["euler1"], columns["euler2"], columns["euler3"]], axis=1)),
        phase_id=np.rint(columns["phase"]).astype(np.int64),
        confidence=columns["bc"] / 255 if ours else confidence_from_mad(mad),
        fit_deg=mad,
        line=line,
        measured=None if flags is None else flags > 0,
    )


def confidence_from_mad(mad_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """A falling image of the mean angular deviation in 0 … 1; 1 where no MAD is given."""
    return np.clip(1 - np.nan_to_num(mad_deg) / MAD_OF_NO_CONFIDENCE_DEG, 0.0, 1.0)


def write_ctf(path: Path, map_: OrientationMap) -> None:
    """Write a map as .ctf with 11 columns; angles to 1e-4°.

    MAD holds `fit_deg` (0 where unknown), BC holds 255 · `confidence`, and BS holds 255 where a point was measured and
    0 where its orientation was inferred; the author field says so.

    Raises:
        MapFileError: the folder does not exist, a Laue group has no number, or phases are not numbered 1 … n.
    """
    rows, cols = np.indices(map_.shape_px)
    indexed = map_.indexed.ravel()
    euler = np.rad2deg(euler_from_quaternion(map_.orientation.astype(np.float64))).reshape(-1, 3)
    measured = np.ones(indexed.shape) if map_.measured is None else map_.measured.ravel()
    columns = [
        map_.phase_id.reshape(-1, 1),
        cols.reshape(-1, 1) * map_.step_um,
        rows.reshape(-1, 1) * map_.step_um,
        np.where(indexed, 8, 0)[:, None],
        np.where(indexed, 0, 3)[:, None],
        np.where(indexed[:, None], euler, 0.0),
        np.where(indexed, np.nan_to_num(map_.fit_deg.ravel()), 0.0)[:, None],
        np.rint(255 * np.where(indexed, map_.confidence.ravel(), 0))[:, None],
        255 * measured[:, None],
    ]
    text = StringIO()
    fmt = "%d\t%.4f\t%.4f\t%d\t%d\t%.4f\t%.4f\t%.4f\t%.4f\t%d\t%d"
    np.savetxt(text, np.concatenate(columns, axis=1), fmt=fmt)
    save_text(path, "\n".join(_header(path, map_)) + "\n" + text.getvalue())


def _header(path: Path, map_: OrientationMap) -> Iterator[str]:
    height, width = map_.shape_px
    yield from ("Channel Text File", f"Prj\t{map_.source.stem if map_.source else 'map'}")
    yield f"Author\t{note_of(map_)}; BC = 255 x confidence; BS = 255 measured, 0 inferred; MAD = fit or predicted error"
    yield from ("JobMode\tGrid", f"XCells\t{width}", f"YCells\t{height}")
    yield from (f"XStep\t{map_.step_um:.6g}", f"YStep\t{map_.step_um:.6g}", "AcqE1\t0", "AcqE2\t0", "AcqE3\t0")
    acquisition = "Mag	0	Coverage	100	Device	0	KV	0	TiltAngle	70	TiltAxis	0"
    yield f"Euler angles refer to Sample Coordinate system (CS0)!	{acquisition}"
    yield f"Phases\t{len(map_.phases)}"
    for number, phase in enumerate(map_.phases, 1):
        yield _phase_line(path, number, phase)
    yield "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS"


def _phase_line(path: Path, number: int, phase: MapPhase) -> str:
    groups = [i for i in range(1, 12) if laue_group_from_ctf(i).name == phase.laue_group]
    if not groups:
        raise MapFileError(path, f"the .ctf format has no number for the Laue group {phase.laue_group!r}.")
    if phase.phase_id != number:
        raise MapFileError(path, f"phase {phase.phase_id} stands where the .ctf format counts phase {number}.")
    lattice = ";".join(f"{value:.4f}" for value in phase.lattice_angstrom or (1.0, 1.0, 1.0))
    angles = ";".join(f"{value:.3f}" for value in phase.lattice_angles_deg)
    return f"{lattice}\t{angles}\t{phase.name}\t{groups[0]}\t0\t\t\t"
