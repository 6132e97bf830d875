"""Text files of any origin: encodings, line ends, and tables of numbers with the number of the bad line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainloop.model.maps.errors import MapFileError


def read_lines(path: Path) -> list[str]:
    """Lines of a text file: UTF-8 with or without byte order mark, else Latin-1; any line end.

    Raises:
        MapFileError: the file cannot be read, is empty, or is not text.
    """
    raw = read_bytes(path)
    if b"\0" in raw[:4096]:
        raise MapFileError(path, "is not a text file.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_bytes(path: Path) -> bytes:
    """Content of a file that must not be empty.

    Raises:
        MapFileError: it cannot be read or holds nothing.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise MapFileError(path, "there is no such file.") from None
    except OSError as error:
        raise MapFileError(path, f"cannot be read ({error.strerror or error}).") from None
    if not raw.strip():
        raise MapFileError(path, "is empty.")
    return raw


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
    return value


def to_count(path: Path, field: str, text: str) -> int:
    """A header value as a whole number ≥ 0.

    Raises:
        MapFileError: it is none.
    """
    value = to_number(path, field, text)
    if value < 0 or value != round(value):
        raise MapFileError(path, f"{field} is {text.strip()[:40]!r}, not a count.")
    return round(value)
