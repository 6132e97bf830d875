"""Every kind of entry is handled, or named as ignored, by whoever goes through entries; none is forgotten."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, get_args

import pytest

from grainloop.controller.journal import corrected, entries
from grainloop.controller.journal.entries import Entry, LatestMaps, Missing
from grainloop.protocols.values import Value
from tests.controller.journal import test_entries as samples

CONTROLLER = Path(__file__).parents[3] / "controller"
KINDS = {kind.__name__ for kind in get_args(get_args(Entry)[0])}
PLACES = {
    "journal/replay.py": KINDS | {Missing.__name__},
    "session/view.py": KINDS | {LatestMaps.__name__},
    "run/observer.py": KINDS | {LatestMaps.__name__},
    "serve/facts.py": KINDS,
}
"""Who goes through entries, and what else they may meet."""


def named(case: ast.match_case) -> set[str]:
    """The classes that a case names, without the name of their module."""
    patterns = [node.cls for node in ast.walk(case.pattern) if isinstance(node, ast.MatchClass)]
    return {cls.attr if isinstance(cls, ast.Attribute) else cls.id for cls in patterns}  # type: ignore[attr-defined]


def closed_matches(path: Path) -> list[set[str]]:
    """What each match of a module names that refuses everything else."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    matches = [node for node in nodes if isinstance(node, ast.Match) and "assert_never" in ast.unparse(node.cases[-1])]
    return [set().union(*(named(case) for case in match.cases)) for match in matches]


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_is_named_where_entries_are_gone_through(place: str) -> None:
    assert PLACES[place] in closed_matches(CONTROLLER / place), f"a kind of entry is forgotten in controller/{place}"


def test_an_entry_is_told_apart_by_its_kind() -> None:
    kinds = [kind.model_fields["kind"].default for kind in get_args(get_args(Entry)[0])]
    assert len(set(kinds)) == len(kinds) == len(KINDS)


@pytest.mark.parametrize("module", [entries, corrected])
def test_every_kind_that_is_written_is_an_entry(module: Any) -> None:
    values = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Value)]
    own = [one for one in values if one.__module__ == module.__name__ and "kind" in one.model_fields]
    assert {one.__name__ for one in own} - KINDS == set()


def test_every_kind_has_a_sample_that_comes_back() -> None:
    assert {type(entry).__name__ for entry in samples.entries()} == KINDS
