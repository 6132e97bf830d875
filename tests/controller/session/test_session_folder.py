"""Where whose sessions may be stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from grainloop.controller.serve.service import session_folder
from grainloop.protocols.errors import BadInput, NotPermitted
from grainloop.protocols.security import LOCAL, Caller, Role

OPERATOR = Caller("k", "anna", Role.OPERATOR)
OWNER = Caller("k", "olga", Role.OWNER)


@pytest.mark.parametrize("named", ["first", "monday/first", "./a/../b", "."])
def test_everybody_stores_within_the_folder_of_sessions(tmp_path: Path, named: str) -> None:
    assert session_folder(named, tmp_path, OPERATOR) == (tmp_path / named).resolve()
    assert session_folder(str(tmp_path / named), tmp_path, OPERATOR) == (tmp_path / named).resolve()


@pytest.mark.parametrize("named", ["../other", "/etc", "a/../../b", "way-out/x"])
def test_an_owner_alone_stores_elsewhere(tmp_path: Path, named: str) -> None:
    sessions = tmp_path / "sessions"
    sessions.mkdir()
    (sessions / "way-out").symlink_to(tmp_path)
    with pytest.raises(NotPermitted, match=r"Only an owner may store a session in .*; anna may within"):
        session_folder(named, sessions, OPERATOR)
    for caller in (OWNER, LOCAL):
        assert session_folder(named, sessions, caller) == (sessions / named).resolve()


@pytest.mark.parametrize("named", ["a\0b", "\x1b[31mred", "two\nlines", "caf\udce9"])
@pytest.mark.parametrize("caller", [OPERATOR, OWNER, LOCAL])
def test_a_name_that_a_terminal_obeys_is_nobodys_session(tmp_path: Path, named: str, caller: Caller) -> None:
    with pytest.raises(BadInput, match="A session cannot be called '") as caught:
        session_folder(named, tmp_path, caller)
    assert str(caught.value).isprintable()
    assert not list(tmp_path.iterdir())
