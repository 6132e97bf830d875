"""Text files of any origin: encodings, line ends, and tables of numbers with the number of the bad line."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from grainloop.model.maps.errors import MapFileError

MOST_BYTES: Final = 2**33
"""Of a map file: 8 GiB, a hundred times what a million points take."""
MOST: Final = 1e12
"""No number in the header of a map is larger."""
STEPS_UM: Final = 1e-6, 1e9
"""Smallest and largest step of a map."""


def read_lines(path: Path) -> list[str]:
    """Lines of a text file: UTF-8 with or without byte order mark, else Latin-1; any line end.

    Raises:
        MapFileError: the file cannot be read, is empty, or is not text.
    """
    raw = read_raw(path)
    if b"\0" in raw[:4096]:
        raise MapFileError(path, "is not a text file.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_raw(path: Path) -> bytes:
    """Content of a file that must not be empty.

    Raises:
        MapFileError: it is no regular file, holds nothing or too much, or cannot be read.
    """
    try:
        with open(path, "rb", opener=_open_regular) as file:
            raw = file.read()
    except FileNotFoundError:
        raise MapFileError(path, "there is no such file.") from None
    except OSError as error:
        raise MapFileError(path, f"cannot be read ({error.strerror or error}).") from None
    except MemoryError:
        raise MapFileError(path, "cannot be read (there is no memory for it).") from None
    if not raw.strip():
        raise MapFileError(path, "is empty.")
    return raw


def create_regular(path: str, flags: int) -> int:
    """An opener of files to write, which may not be there."""
    return _open_regular(path, flags) if os.path.exists(path) else os.open(path, flags, 0o666)


def _open_regular(path: str, flags: int) -> int:
    """A pipe that nobody writes to would wait for ever, a device would never end."""
    _require_regular(os.stat(path))
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        _require_regular(os.fstat(descriptor))  # it may have been put there meanwhile
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if found.st_size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it holds more than {MOST_BYTES} bytes")


def read_table(
    path: Path, lines: list[str], first_line: int, min_columns: int
) -> tuple[NDArray[np.float64], list[int]]:
    """Numbers (N, C) of the non-empty `lines`, and the line number of each row; `first_line` numbers the first.

    Raises:
        MapFileError: a word that is no number, or rows of different or too small length.
    """
    numbers = [i for i, line in enumerate(lines, first_line) if line and not line.isspace()]
    rows = [lines[i - first_line] for i in numbers]
    if not rows:
        raise MapFileError(path, "holds no scan points.")
    try:
        table = np.loadtxt(rows, dtype=np.float64, comments=None, ndmin=2)
    except ValueError:
        raise MapFileError(path, _first_fault(rows, numbers)) from None
    if table.shape[1] < min_columns:
        raise MapFileError(path, f"line {numbers[0]}: {table.shape[1]} columns, at least {min_columns} are needed.")
    return table, numbers


def _first_fault(rows: list[str], numbers: list[int]) -> str:
    width = len(rows[0].split())
    for row, number in zip(rows, numbers, strict=True):
        words = row.split()
        if len(words) != width:
            return f"line {number}: {len(words)} columns, {width} in the lines before."
        for column, word in enumerate(words, 1):
            if not _is_number(word):
                return f"line {number}, column {column}: {word[:40]!r} is not a number."
    return "the table of scan points cannot be read."


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def to_number(path: Path, field: str, text: str) -> float:
    """A header value as a number, with decimal point or comma.

    Raises:
        MapFileError: it is none, or not finite.
    """
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise MapFileError(path, f"{field} is {text.strip()[:40]!r}, not a number.")
    if abs(value) > MOST:
        raise MapFileError(path, f"{field} is {text.strip()[:40]!r}, larger than in any map.")
    return value


def to_step(path: Path, field: str, text: str) -> float:
    """A header value as a step in µm; 0 where it is not known.

    Raises:
        MapFileError: it is none, or none that a map can have.
    """
    value, (least, most) = to_number(path, field, text), STEPS_UM
    if value != 0 and not least <= value <= most:
        raise MapFileError(path, f"{field} is {text.strip()[:40]!r}; a step lies between {least:g} and {most:g} µm.")
    return value


def to_name(text: str, number: int) -> str:
    """The name of a phase without what a terminal would obey; its number where it has none."""
    legible = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(legible.split()) or f"phase {number}"


def to_count(path: Path, field: str, text: str) -> int:
    """A header value as a whole number ≥ 0.

    Raises:
        MapFileError: it is none.
    """
    value = to_number(path, field, text)
    if value < 0 or value != round(value):
        raise MapFileError(path, f"{field} is {text.strip()[:40]!r}, not a count.")
    return round(value)
