"""A map format is complete: `read_map` knows it, the page tells of it, and it has tests of its own."""

from __future__ import annotations

from importlib import import_module

import pytest

from grainloop.model import maps
from tests.house import ROOT, modules

FORMATS = [
    path.stem for path in modules("model") if path.parent.name == "maps" and f"def read_{path.stem}" in path.read_text()
]
PAGE = (ROOT / "docs" / "map_files.md").read_text(encoding="utf-8")


def suffixes(name: str) -> set[str]:
    """Of the files that `read_map` hands to the reader of this format."""
    reader = getattr(import_module(f"grainloop.model.maps.{name}"), f"read_{name}")
    return {suffix for suffix, known in maps._READERS.items() if known is reader}


def test_there_are_formats() -> None:
    assert {"ang", "crc", "ctf"} <= set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_read_documented_and_tested(name: str) -> None:
    assert suffixes(name)
    assert [suffix for suffix in suffixes(name) if suffix not in PAGE] == []
    assert (ROOT / "tests" / "model" / "maps" / f"test_{name}.py").is_file()


@pytest.mark.parametrize(
    "name", [name for name in FORMATS if f"def write_{name}" in (ROOT / "model" / "maps" / f"{name}.py").read_text()]
)
def test_a_format_that_can_be_written_comes_back(name: str) -> None:
    assert suffixes(name) & set(maps._WRITERS)
