"""The house has rooms with faces: who imports what of the controller, which tests stand where, what a module says.

import-linter checks who may import whom (`pyproject.toml`). Here is what it cannot see: that a room is entered by its
face, that tests stand where what they test stands, and that whoever opens a file is told what it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.house import FOLDERS, ROOT, SHIPPED, modules, told, tree_of

ROOMS = {path.parent.name for path in (ROOT / "controller").glob("*/__init__.py")}
PREFIX = "grainloop.controller."
OWN_HOUSE = {"tests/integration", "tests/integration/chaos", "tests/integration/liars"}
"""Tests of several rooms at once."""


def behind_faces(tree: ast.AST, room: str | None) -> Iterator[str]:
    """What is imported from within a room of the controller, by a module of another room or of none."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                asked = [(one.name, "") for one in names]
            case ast.ImportFrom(module=str(module), names=names):
                asked = [(module, one.name) for one in names]
            case _:
                continue
        for module, name in asked:
            if module.startswith(PREFIX) and (parts := module.removeprefix(PREFIX).split("."))[0] in ROOMS - {room}:
                within = (ROOT / "controller" / parts[0] / f"{name}.py").is_file()
                if len(parts) > 1 or (within and name not in face(parts[0])):
                    yield f"{module} {name}".strip()


@cache
def face(room: str) -> frozenset[str]:
    """What the room shows to others."""
    tree = tree_of(ROOT / "controller" / room / "__init__.py")
    return frozenset(*(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)))


def room_of(path: Path) -> str | None:
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "controller" and len(parts) > 2 else None


@pytest.mark.parametrize("folder", SHIPPED)
def test_a_room_of_the_controller_is_entered_by_its_face(folder: str) -> None:
    found = {told(path): list(behind_faces(tree_of(path), room_of(path))) for path in modules(folder)}
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("from grainloop.controller.ledger.orders import Closed", ["grainloop.controller.ledger.orders Closed"]),
        ("import grainloop.controller.journal.reading", ["grainloop.controller.journal.reading"]),
        ("from grainloop.controller.record import recording", ["grainloop.controller.record recording"]),
        ("from grainloop.controller.ledger import Closed", []),
        ("from grainloop.controller.run.pump import Pump", []),
        ("from grainloop.controller.plans import load_plan", []),
    ],
)
def test_the_search_finds_what_goes_around_a_face(source: str, what: list[str]) -> None:
    assert list(behind_faces(ast.parse(source), "run")) == what


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_face_shows_what_it_promises(room: str) -> None:
    tree = tree_of(ROOT / "controller" / room / "__init__.py")
    shown = {one.asname or one.name for node in tree.body if isinstance(node, ast.ImportFrom) for one in node.names}
    assert shown == face(room)


def test_tests_mirror_the_rooms() -> None:
    folders = {path.parent for path in modules("tests") if path.name.startswith("test_")} - {ROOT / "tests"}
    homeless = {told(path) for path in folders if not (ROOT / path.relative_to(ROOT / "tests")).is_dir()}
    assert homeless == OWN_HOUSE


def test_every_room_of_the_controller_has_tests() -> None:
    assert {room for room in ROOMS if not list((ROOT / "tests" / "controller" / room).glob("test_*.py"))} == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_opens_with_a_sentence(folder: str) -> None:
    silent: list[str] = []
    for path in modules(folder):
        opening = (ast.get_docstring(tree_of(path)) or "").split("\n\n")[0]
        if tree_of(path).body and not opening.endswith((".", "?")):
            silent.append(told(path))
    assert silent == []
