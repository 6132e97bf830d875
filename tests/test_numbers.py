"""The numbers that CONTRIBUTING.md promises: how long files and functions are, and how full a folder is."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.house import FOLDERS, ROOT, modules, told, tree_of

FILE_LINES = 300
MEDIAN_LINES, NINE_IN_TEN_LINES, MOST_LINES = 8, 28, 80
"""Of a function, from `def` to its end, with its docstring and without its decorators."""
ROOM_FILES, FOLDER_FILES = 14, 20
"""In a folder of `controller/` and `grainloop/`, and of everything else; the face, `__init__.py`, counts."""
Function = tuple[int, str]


def functions(folder: str) -> Iterator[Function]:
    for path in modules(folder):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{told(path)}:{node.lineno} {node.name}"


def too_full(files: Counter[str]) -> dict[str, int]:
    rooms = ("controller/", "grainloop/")
    limits = {folder: ROOM_FILES if f"{folder}/".startswith(rooms) else FOLDER_FILES for folder in files}
    return {folder: count for folder, count in files.items() if count > limits[folder]}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_long(folder: str) -> None:
    lines = {told(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules(folder)}
    assert lines
    assert {path: count for path, count in lines.items() if count > FILE_LINES} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_functions_are_short(folder: str) -> None:
    found = sorted(functions(folder), reverse=True)
    lengths = [length for length, _ in found]
    assert [one for one in found if one[0] > MOST_LINES] == []
    assert lengths[len(lengths) // 10] <= NINE_IN_TEN_LINES
    if folder not in ("data", "examples"):  # scripts that are read from top to bottom
        assert statistics.median(lengths) <= MEDIAN_LINES


def test_no_folder_is_full() -> None:
    assert too_full(Counter(told(path.parent) for folder in FOLDERS for path in modules(folder))) == {}


def test_a_room_of_the_controller_is_full_before_another_folder() -> None:
    files = Counter({"controller/run": 14, "controller/decide": 15, "grainloop/cli": 15, "model": 20, "tests": 21})
    assert too_full(files) == {"controller/decide": 15, "grainloop/cli": 15, "tests": 21}


def test_contributing_tells_these_numbers() -> None:
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    assert f"median ≤ {MEDIAN_LINES} lines, nine in ten ≤ {NINE_IN_TEN_LINES}, none above {MOST_LINES}" in text
    assert f"files ≤ {FILE_LINES} lines" in text
    assert f"at most {ROOM_FILES} files in a folder of `controller/` or `grainloop/`, {FOLDER_FILES} elsewhere" in text
