"""What pages and docstrings name is there: files that they link, paths that they write, modules that they mention.

Decisions and the list of changes tell of days that are gone: their links must hold, the names in them need not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.house import FOLDERS, ROOT, SHIPPED, modules, pages, told, tree_of

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"(?:{'|'.join((*FOLDERS, 'docs'))})/[\w./-]*\w/?")
DOTTED = re.compile(rf"(?:{'|'.join(FOLDERS)})(?:\.\w+)+(?<!\.py)")
MODULE = re.compile(r"python -m ([\w.]+)")
ENTRY_POINTS = {"grainloop.policies"}
"""Groups of entry points are no modules."""
HISTORY = ("CHANGELOG.md", "docs/decisions/")


def missing_links(page: Path, text: str) -> Iterator[str]:
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            yield link


@cache
def anchors(page: Path) -> frozenset[str]:
    """Of its headings, as GitHub makes them."""
    heads = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)


def missing_names(text: str) -> Iterator[str]:
    """Paths and modules of ours that are written as code and are not there."""
    for code in CODE.findall(text):
        if PATH.fullmatch(code) and not (ROOT / code).exists():
            yield code
        if DOTTED.fullmatch(code) and code not in ENTRY_POINTS and not is_there(code):
            yield code
        for module in MODULE.findall(code):
            if module.split(".")[0] in FOLDERS and module.partition(".")[0] not in SHIPPED[2:] and not is_there(module):
                yield module


@cache
def is_there(dotted: str) -> bool:
    """Whether it is a folder, a module, or a name that its module writes."""
    parts = dotted.removeprefix("grainloop.").split(".") if in_a_room(dotted) else dotted.split(".")
    here = ROOT
    for number, part in enumerate(parts):
        if (here / part).is_dir():
            here /= part
        elif (here / f"{part}.py").is_file():
            return mentions(here / f"{part}.py", parts[number + 1 :])
        else:
            return mentions(here / "__init__.py", parts[number:])
    return True


def in_a_room(dotted: str) -> bool:
    return dotted.startswith("grainloop.") and dotted.split(".")[1] in SHIPPED


def mentions(module: Path, names: list[str]) -> bool:
    return module.is_file() and all(re.search(rf"\b{name}\b", module.read_text(encoding="utf-8")) for name in names)


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("page", pages(), ids=told)
def test_what_a_page_links_and_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert list(missing_links(page, text)) == []
    if not told(page).startswith(HISTORY):
        assert list(missing_names(text)) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_docstrings_name_is_there(folder: str) -> None:
    said = {told(path): "\n".join(docstrings(path)) for path in modules(folder)}
    assert {path: names for path, text in said.items() if (names := list(missing_names(text)))} == {}


@pytest.mark.parametrize(
    "name", ["controller.run.nowhere", "controller/nowhere.py", "grainloop.model.jit.no_such_kernel", "tests.nowhere.x"]
)
def test_the_search_misses_what_is_not_there(name: str) -> None:
    assert list(missing_names(f"See `{name}`.")) == [name]


@pytest.mark.parametrize(
    "name",
    ["controller.run.pump", "controller/run/", "grainloop.model.jit.kernel", "tests.house", "model", "model.org/x"],
)
def test_the_search_finds_what_is_there(name: str) -> None:
    assert list(missing_names(f"See `{name}`.")) == []


def test_a_link_into_a_page_needs_its_heading() -> None:
    text = "[here](CONTRIBUTING.md#style) [there](CONTRIBUTING.md#nowhere) [gone](nowhere.md) [out](https://x.org/#y)"
    assert list(missing_links(ROOT / "README.md", text)) == ["CONTRIBUTING.md#nowhere", "nowhere.md"]
