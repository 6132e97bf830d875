"""docs/security.md names tests and roles that exist."""

from __future__ import annotations

import re
from pathlib import Path

from grainloop.protocols.security import Role

PAGE = Path(__file__).parents[1] / "docs" / "security.md"


def test_every_file_that_the_page_links_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(links) > 10
    assert [link for link in links if not (PAGE.parent / link).is_file()] == []


def test_every_test_file_that_the_page_names_is_linked_once() -> None:
    text = PAGE.read_text(encoding="utf-8")
    linked = {Path(link).name for link in re.findall(r"\]\(([^)#]+\.py)\)", text)}
    assert set(re.findall(r"`(test_\w+\.py)`", text)) == {name for name in linked if name.startswith("test_")}


def test_the_page_tells_every_role() -> None:
    rows = re.findall(r"^\| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row in list(Role)] == list(Role)
