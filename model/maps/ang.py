"""EDAX/TSL .ang files on square grids: reading what circulates, writing what OIM, MTEX and orix open.

Columns: φ1 Φ φ2 (rad) x y (µm) IQ CI phase [SEM signal [fit (deg) …]]; 8, 10 or 14 of them. Hexagonal
grids are refused.
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
from grainloop.model.crystal.symmetry import laue_group_from_tsl
from grainloop.model.maps._note import note_of, read_note
from grainloop.model.maps._points import DeclaredGrid, PointList, check_phase_column, to_map
from grainloop.model.maps._text import create_regular, read_lines, read_table, to_count, to_name, to_number, to_step
from grainloop.model.maps.errors import MapFileError
from grainloop.model.maps.orientation_map import HEXAGONAL_AXES, MapPhase, OrientationMap

NOT_INDEXED_EULER = 4 * np.pi
TSL_NUMBERS = (1, 2, 20, 22, 4, 42, 3, 32, 6, 62, 23, 43)


def read_ang(path: Path, frame: str | None = None) -> OrientationMap:
    """The map in an .ang file; `frame` declares the Euler frame, which the file does not state.

    Not indexed are points with CI = −1, an Euler angle of 4π, a fit of ±180, or phase 0 in a map of several phases.

    Raises:
        MapFileError: not an .ang on a square grid, or malformed.
    """
    lines = read_lines(path)
    end = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines))
    header = [line.strip().lstrip("#").strip() for line in lines[:end]]
    if not any(header):
        raise MapFileError(path, "is not an .ang file: it has no header of lines that begin with '#'.")
    grid = _grid(path, header)
    note = read_note(header)
    phases = _phases(path, header, note.get("hexagonal_axis", "a"))
    table, numbers = read_table(path, lines[end:], end + 1, 8)
    check_phase_column(path, table[:, 7], numbers)
    points = _points(table, np.array(numbers), phases, has_flags=note.get("measured") == "yes")
    return to_map(path, points, grid, phases, frame or note.get("frame", "identity"))


def _fields(header: list[str]) -> Iterator[tuple[str, str]]:
    """(keyword in lower case, rest of the line) of every header line."""
    for line in header:
        keyword, _, rest = re.sub(r"\s+", " ", line).partition(" ")
        yield keyword.rstrip(":").lower(), rest.strip()


def _grid(path: Path, header: list[str]) -> DeclaredGrid:
    found = dict(reversed(list(_fields(header))))
    kind = found.get("grid", "SqrGrid")
    if kind.lower().startswith("hex"):
        raise MapFileError(path, "is on a hexagonal grid (HexGrid); convert it to a square grid first.")
    return DeclaredGrid(
        columns=to_count(path, "NCOLS_ODD", found.get("ncols_odd") or "0"),
        rows=to_count(path, "NROWS", found.get("nrows") or "0"),
        step_x_um=to_step(path, "XSTEP", found.get("xstep") or "0"),
        step_y_um=to_step(path, "YSTEP", found.get("ystep") or "0"),
    )


def _phases(path: Path, header: list[str], axis: str) -> tuple[MapPhase, ...]:
    blocks: list[dict[str, str]] = []
    for keyword, rest in _fields(header):
        if keyword == "phase" and rest.isdigit():
            blocks.append({"phase": rest})
        elif blocks and keyword in ("materialname", "symmetry", "latticeconstants"):
            blocks[-1].setdefault(keyword, rest)
    if not blocks:
        raise MapFileError(path, "has no phase in its header.")
    phases = tuple(_phase(path, block, axis) for block in blocks)
    return tuple(sorted(phases, key=lambda phase: phase.phase_id))


def _phase(path: Path, block: dict[str, str], axis: str) -> MapPhase:
    number = int(block["phase"])
    if not 1 <= number <= 255:
        raise MapFileError(path, f"Phase {number} is outside 1 to 255.")
    symmetry = block.get("symmetry", "")
    try:
        group = laue_group_from_tsl(int(symmetry)).name
    except (ValueError, UnknownPointGroup):
        raise MapFileError(path, f"Symmetry of phase {number} is {symmetry!r}, not a TSL number.") from None
    words = block.get("latticeconstants", "").split()
    values = [to_number(path, "LatticeConstants", word) for word in words]
    return MapPhase(
        phase_id=number,
        name=to_name(block.get("materialname", ""), number),
        laue_group=group,
        lattice_angstrom=(values[0], values[1], values[2]) if len(values) >= 3 else None,
        lattice_angles_deg=(values[3], values[4], values[5]) if len(values) >= 6 else (90.0, 90.0, 90.0),
        hexagonal_axis=axis if axis in HEXAGONAL_AXES else "a",
    )


def _points(
    table: NDArray[np.float64], line: NDArray[np.int64], phases: tuple[MapPhase, ...], *, has_flags: bool
) -> PointList:
    euler, confidence = table[:, :3], table[:, 6]
    phase_id = np.rint(table[:, 7]).astype(np.int64)
    fit = table[:, 9] if table.shape[1] >= 10 else np.full(len(table), np.nan)
    if len(phases) == 1:
        phase_id[phase_id == 0] = phases[0].phase_id
    no_solution = (confidence == -1) | (euler >= NOT_INDEXED_EULER - 0.01).any(axis=1) | (np.abs(fit) >= 180)
    phase_id[no_solution | (phase_id < 0)] = 0
    measured = table[:, 8] > 0 if has_flags and table.shape[1] >= 9 else None
    return PointList(table[:, 3], table[:, 4], euler, phase_id, confidence, fit, line, measured)


def write_ang(path: Path, map_: OrientationMap) -> None:
    """Write a map as .ang with 10 columns; angles to 1e-5 rad.

    CI holds `confidence`, fit holds `fit_deg` (0 where unknown), IQ holds 100 · `confidence`, and the SEM-signal column
    holds 1 where a point was measured and 0 where its orientation was inferred; the header says so.

    Raises:
        MapFileError: the folder does not exist, or a phase has no number in this format.
    """
    rows, cols = np.indices(map_.shape_px)
    indexed = map_.indexed.ravel()
    euler = euler_from_quaternion(map_.orientation.astype(np.float64)).reshape(-1, 3)
    confidence = np.where(indexed, map_.confidence.ravel(), -1.0)
    measured = np.ones(indexed.shape) if map_.measured is None else map_.measured.ravel()
    columns = [
        np.where(indexed[:, None], euler, NOT_INDEXED_EULER),
        cols.reshape(-1, 1) * map_.step_um,
        rows.reshape(-1, 1) * map_.step_um,
        100 * np.where(indexed, confidence, 0)[:, None],
        confidence[:, None],
        map_.phase_id.reshape(-1, 1),
        measured[:, None],
        np.where(indexed, np.nan_to_num(map_.fit_deg.ravel()), 180.0)[:, None],
    ]
    text = StringIO()
    np.savetxt(text, np.concatenate(columns, axis=1), fmt=_FORMAT)
    save_text(path, "\n".join(_header(path, map_)) + "\n" + text.getvalue())


_FORMAT = "%9.5f %9.5f %9.5f %12.5f %12.5f %6.1f %6.3f %2d %6d %9.3f"


def _header(path: Path, map_: OrientationMap) -> Iterator[str]:
    height, width = map_.shape_px
    yield from (
        "# TEM_PIXperUM          1.000000",
        "# x-star                0.000000",
        "# y-star                0.000000",
    )
    yield from ("# z-star                0.000000", "# WorkingDistance       0.000000", "#")
    for phase in sorted(map_.phases, key=lambda phase: -phase.phase_id):  # OIM expects them in descending order
        yield from _phase_lines(path, phase)
    yield from ("# GRID: SqrGrid", f"# XSTEP: {map_.step_um:.6f}", f"# YSTEP: {map_.step_um:.6f}")
    yield from (f"# NCOLS_ODD: {width}", f"# NCOLS_EVEN: {width}", f"# NROWS: {height}", "#")
    yield from (
        "# OPERATOR: grainloop",
        "#",
        "# SAMPLEID:",
        "#",
        "# SCANID:",
        "#",
        "# NOTES: Start",
        f"# {note_of(map_)}",
    )
    yield "# detector_signal: 1 = measured, 0 = inferred; pattern_fit of inferred points: predicted error in degrees"
    yield from ("# NOTES: End", "#")
    yield (
        "# Column names: phi1, Phi, phi2, x, y, image_quality, confidence_index, phase_id, detector_signal, pattern_fit"
    )
    yield "#"


def _phase_lines(path: Path, phase: MapPhase) -> Iterator[str]:
    numbers = [number for number in TSL_NUMBERS if laue_group_from_tsl(number).name == phase.laue_group]
    if not numbers:
        raise MapFileError(path, f"the .ang format has no number for the Laue group {phase.laue_group!r}.")
    lattice = (*(phase.lattice_angstrom or (1.0, 1.0, 1.0)), *phase.lattice_angles_deg)
    yield from (f"# Phase {phase.phase_id}", f"# MaterialName  \t{phase.name}", f"# Formula  \t{phase.name}", "# Info")
    yield f"# Symmetry              {numbers[0]}"
    yield "# LatticeConstants      " + " ".join(f"{value:.4f}" for value in lattice)
    yield from ("# NumberFamilies        0", "#")


def save_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends.

    Raises:
        MapFileError: it cannot be written.
    """
    try:
        with open(path, "wb", opener=create_regular) as file:
            file.write(text.encode())
    except OSError as error:
        raise MapFileError(path, f"cannot be written ({error.strerror or error}).") from None
