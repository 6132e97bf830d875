"""The project's own files, as tests of its order read them: source as syntax trees, pages as text."""

from __future__ import annotations

import ast
import os
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED = ("controller", "grainloop", "instrument_sim", "model", "protocols")
"""Folders of an installation."""
FOLDERS = (*SHIPPED, "benchmarks", "data", "examples", "tests")


@cache
def modules(folder: str) -> tuple[Path, ...]:
    """Files of source in a folder and below it; not through links, which would count a file twice."""
    return tuple(sorted(path for path in _below(ROOT / folder) if path.suffix == ".py"))


@cache
def pages() -> tuple[Path, ...]:
    """Pages of documentation: at the top of the repository, in `docs` and beside the source."""
    below = [path for folder in (*FOLDERS, "docs") for path in _below(ROOT / folder)]
    return tuple(sorted(path for path in (*ROOT.iterdir(), *below) if path.suffix == ".md"))


@cache
def tree_of(path: Path) -> ast.Module:
    """Its syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), path)


def told(path: Path) -> str:
    """The path as people say it."""
    return path.relative_to(ROOT).as_posix()


def _below(folder: Path) -> list[Path]:
    return [Path(here) / name for here, _, names in os.walk(folder) for name in names]
