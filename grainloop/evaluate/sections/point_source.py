"""The points that `grainloop reconstruct` starts from: a share of the pixels of a map, or those listed in a CSV file.

Rows of a file are `row,column`, whose orientations are taken from the map, or `row,column,phi1,Phi,phi2` with Bunge
angles in degrees in the Euler frame of the map, and the phase after them where the map has several. Angles left empty
are points that were not indexed. A first line of names and lines that begin with # are allowed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainloop.evaluate.sections.scenes import Layout, draw_points, measure
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.model.crystal import quaternion_from_euler
from grainloop.model.maps import OrientationMap
from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import read_text
from grainloop.protocols.sentences import counted
from grainloop.protocols.values import PointBlock, PointStatus

MOST_BYTES_OF_POINTS = 2**28
"""Of a file of points: 256 MiB are some five million of them."""
COLUMNS = ("row", "column", "phi1", "phi", "phi2", "phase")
_PIXELS, _ANGLES, _PHASE = 2, 5, 6
"""Columns of each kind of row."""
_ROWS = "rows are row,column or row,column,phi1,Phi,phi2[,phase]"


@dataclass(frozen=True)
class Row:
    """A row of a file: where it stands, and its numbers, NaN where left empty."""

    line: int
    values: tuple[float, ...]

    @property
    def pixel(self) -> tuple[int, int]:
        """Row and column of the map."""
        return int(self.values[0]), int(self.values[1])

    @property
    def indexed(self) -> bool:
        """Whether the row holds an orientation."""
        return not math.isnan(self.values[_PIXELS])


def load_points(said: str, specimen: OrientationMap, instrument: SimulatedInstrument, seed: int) -> PointBlock:
    """Points as `--points` says: `grid:SHARE`, `random:SHARE`, or a CSV file.

    Those that are taken from the map carry its confidence and fit; the instrument may add noise.

    Raises:
        BadInput: a share out of range, a file that cannot be read, or a row of it that cannot be used.
    """
    layout, colon, share = said.partition(":")
    if colon and layout in list(Layout):
        return _taken(specimen, instrument, draw_points(specimen.shape_px, _share(share, said), Layout(layout), seed))
    path = Path(said)
    rows = read_rows(path, specimen.shape_px)
    if len(rows[0].values) == _PIXELS:
        return _taken(specimen, instrument, np.array([row.pixel for row in rows], np.int32))
    return _own(path, rows, specimen)


def _share(text: str, said: str) -> float:
    try:
        return float(text)
    except ValueError:
        message = f"--points {said} cannot be used: {text!r} is not a share of the pixels."
        raise BadInput(message, field="points", value=said) from None


def _taken(specimen: OrientationMap, instrument: SimulatedInstrument, position: NDArray[np.int32]) -> PointBlock:
    points, at = measure(instrument, position), tuple(position.T)
    kept = {"confidence": specimen.confidence[at], "fit_deg": np.nan_to_num(specimen.fit_deg[at])}
    return points.model_copy(update=kept)


def _own(path: Path, rows: list[Row], specimen: OrientationMap) -> PointBlock:
    """Measured orientations of a file."""
    count = len(rows)
    indexed = np.array([row.indexed for row in rows])
    euler = np.deg2rad(np.nan_to_num([row.values[_PIXELS:_ANGLES] for row in rows]))
    euler[~indexed] = 0
    phase = [_phase(path, row, specimen) if row.indexed else 0 for row in rows]
    return PointBlock(
        point_id=np.arange(count, dtype=np.int64),
        position_px=np.array([row.pixel for row in rows], np.int32),
        status=np.where(indexed, PointStatus.INDEXED, PointStatus.NOT_INDEXED).astype(np.uint8),
        phase_id=np.array(phase, np.uint8),
        orientation=quaternion_from_euler(euler).astype(np.float32),
        confidence=indexed.astype(np.float32),
        fit_deg=np.zeros(count, np.float32),
        time_s=np.zeros(count),
        dwell_s=np.zeros(count, np.float32),
    )


def _phase(path: Path, row: Row, specimen: OrientationMap) -> int:
    known = [phase.phase_id for phase in specimen.phases]
    if len(row.values) < _PHASE and len(known) == 1:
        return known[0]
    number = row.values[-1] if len(row.values) == _PHASE else math.nan
    if number not in known:
        said = "no phase" if math.isnan(number) else f"phase {number:g}"
        raise _bad(path, row.line, f"{said}; the map has the phases {', '.join(map(str, known))}")
    return int(number)


def read_rows(path: Path, shape_px: tuple[int, int]) -> list[Row]:
    """The rows of a file, checked against the grid.

    Raises:
        BadInput: the file cannot be read, or a row of it cannot be used; the sentence names the line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(_text(path).splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and _is_header(path, *lines[0]):
        lines = lines[1:]
    if not lines:
        raise BadInput(f"The file of points {path} holds no points.", field="points", value=path)
    if len(lines) > (most := math.prod(shape_px)):
        message = (
            f"The file of points {path} holds {counted(len(lines), 'point')}, and the map {counted(most, 'pixel')}."
        )
        raise BadInput(message, field="points", value=path)
    rows = [_row(path, number, line) for number, line in lines]
    for row in rows:
        _check_row(path, row, len(rows[0].values), shape_px)
    return rows


def _text(path: Path) -> str:
    try:
        return read_text(path, MOST_BYTES_OF_POINTS, "utf-8-sig")
    except FileNotFoundError:
        message = f"There is no file of points {path}; --points takes grid:SHARE, random:SHARE or a CSV file."
        raise BadInput(message, field="points", value=path) from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise BadInput(f"The file of points {path} cannot be read: {why}.", field="points", value=path) from error


def _is_header(path: Path, number: int, line: str) -> bool:
    names = tuple(word.strip().strip('"').lower() for word in line.split(","))
    if not names[0].isalpha():
        return False
    if names not in (COLUMNS[:_PIXELS], COLUMNS[:_ANGLES], COLUMNS):
        raise _bad(path, number, f"the columns are {','.join(names)}; {_ROWS}")
    return True


def _row(path: Path, number: int, line: str) -> Row:
    words = [word.strip() for word in line.split(",")]
    if len(words) not in (_PIXELS, _ANGLES, _PHASE):
        raise _bad(path, number, f"{len(words)} columns; {_ROWS}")
    return Row(number, tuple(_number(path, number, word) for word in words))


def _number(path: Path, number: int, word: str) -> float:
    try:
        value = float(word) if word else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value) or (word and math.isnan(value)):
        raise _bad(path, number, f"{word[:40]!r} is not a number")
    return value


def _check_row(path: Path, row: Row, columns: int, shape_px: tuple[int, int]) -> None:
    if len(row.values) != columns:
        raise _bad(path, row.line, f"{len(row.values)} columns, {columns} in the first row")
    place, angles = row.values[:_PIXELS], row.values[_PIXELS:_ANGLES]
    if any(math.isnan(value) or value != round(value) for value in place):
        raise _bad(path, row.line, f"row and column are whole numbers, not {place[0]:g}, {place[1]:g}")
    if not all(0 <= value < size for value, size in zip(place, shape_px, strict=True)):
        where = f"the pixel ({place[0]:g}, {place[1]:g})"
        raise _bad(path, row.line, f"{where} lies outside the map of {shape_px[0]}×{shape_px[1]} px")
    if 0 < sum(map(math.isnan, angles)) < len(angles):
        raise _bad(path, row.line, "an Euler angle is missing; leave out all three where a point was not indexed")


def _bad(path: Path, line: int, what: str) -> BadInput:
    return BadInput(f"The file of points {path}, line {line}: {what}.", field="points", value=f"line {line}")
