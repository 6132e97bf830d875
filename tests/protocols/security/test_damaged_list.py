"""A damaged list of keys: its line is named and allows nobody, the others hold, and the commands for keys mend it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grainloop.cli import main
from grainloop.protocols.errors import BadInput, GrainloopError, NotPermitted
from grainloop.protocols.security import AllowList, KeyFolder, Role
from grainloop.protocols.security.keys import fingerprint, is_key, load_public, make_key
from tests.protocols.security.conftest import Lab

HUGE = "#" * 40
"""Forty letters of Z85 whose groups are beyond 2^32."""
strange_text = st.text(
    st.one_of(st.characters(), st.characters(categories=["Cs"]), st.sampled_from("\0#0\u0301é ")),
    min_size=40,
    max_size=40,
)


@given(st.one_of(strange_text, st.text("0123456789#$%@}{.-:+=^!/*?&<>()[]", min_size=40, max_size=40)))
@example(HUGE)
@example("0" * 35 + "%nSc1")
@example("0" * 35 + "%nSc0")
@example("\0" * 40)
@example("\udce9" * 40)
@example("e\u0301" * 20)
@example("x" * 10**6)
def test_whatever_is_asked_whether_it_is_a_key_is_answered(text: str) -> None:
    from zmq.utils import z85

    try:
        expected = len(text) == 40 and len(z85.decode(text)) == 32
    except Exception:  # noqa: BLE001  # whatever the reference raises, it is no key
        expected = False
    assert is_key(text) is expected


@pytest.mark.parametrize("text", [HUGE, "\0" * 40, "é" * 40, "a" * 10**6, "caf\udce9", "x/" * 30_000, ""])
def test_no_public_key_is_one_sentence(tmp_path: Path, text: str) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.create("own")
    with pytest.raises(GrainloopError) as caught:
        folder.public(text)
    assert len(caught.value.message) < 1000
    assert caught.value.message.isprintable()
    caught.value.envelope("x")


@pytest.mark.parametrize("content", [HUGE.encode(), b"\xff\x00" * 20, b"x" * 2**21, b""])
def test_files_without_a_key(tmp_path: Path, content: bytes) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.create("own")
    (folder.path / "bad.pub").write_bytes(content)
    (folder.path / "bad.key").write_bytes(content + b"\n" + content)
    (folder.path / "bad.key").chmod(0o600)
    for use in (lambda: load_public(folder.path / "bad.pub"), lambda: folder.key("bad")):
        with pytest.raises(GrainloopError, match=r"bad\."):
            use()


BAD_LINES = [f"owner {HUGE} eve", "owner", f"owner {'é' * 40} eve", "\0\0\0", "operator \x1b[31m eve", "x" * 5000]


@pytest.mark.parametrize("bad", BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_wrong_line_allows_nobody_and_the_others_hold(lab: Lab, bad: str, caplog: pytest.LogCaptureFixture) -> None:
    running = lab.access.allowed
    assert running.caller(lab.people["owner"].public).role is Role.OWNER
    path = lab.folder.allowed_path
    path.write_text(path.read_text() + bad + "\n")
    number = len(path.read_text().split("\n")) - 1
    for allowed in (running, AllowList(path)):
        assert allowed.caller(lab.people["owner"].public).role is Role.OWNER
        assert allowed.caller(HUGE).role is None
        assert allowed.broken is None
    assert "allow nobody" in caplog.text
    with pytest.raises(BadInput, match=f"Line {number} of {path}"):
        lab.folder.entries()


def test_lines_that_contradict_each_other_allow_nobody(lab: Lab) -> None:
    path, key = lab.folder.allowed_path, lab.people["viewer"].public
    path.write_text(path.read_text() + f"owner {key} second\n")
    allowed = AllowList(path)
    assert allowed.caller(key).role is None
    assert allowed.caller(lab.people["owner"].public).role is Role.OWNER


def test_whatever_reading_raises_a_running_service_answers(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = lab.access.allowed

    def fails(_path: Path) -> object:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("grainloop.protocols.security.allow_list.read_listing", fails)
    lab.folder.allowed_path.write_text("")
    assert allowed.caller(lab.people["owner"].public).role is None
    assert isinstance(allowed.broken, GrainloopError)


@pytest.mark.parametrize("bad", BAD_LINES, ids=range(len(BAD_LINES)))
@pytest.mark.parametrize("command", ["authorise", "revoke"])
def test_the_commands_mend_it_and_say_so(lab: Lab, bad: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    path, new = lab.folder.allowed_path, make_key("new").public
    path.write_text(f"# a remark\n{bad}\n" + path.read_text())
    keys = ["--keys", str(lab.folder.path)]
    assert main(["keys", "list", *keys]) == 0
    assert f"Line 2 of {path} is not" in capsys.readouterr().err
    what = ["authorise", new, "--name", "new"] if command == "authorise" else ["revoke", "viewer"]
    assert main(["keys", *what, *keys]) == 0
    told = capsys.readouterr().err
    assert f"Line 2 of {path} is not" in told
    assert "left out" in told
    assert "\x1b" not in told
    names = {entry.name for entry in lab.folder.entries()}
    assert names == ({*Role, "new"} if command == "authorise" else {*Role} - {"viewer"})
    assert "# a remark" in path.read_text()


def test_who_is_on_a_wrong_line_alone_can_be_revoked(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = lab.folder.allowed_path
    path.write_text(path.read_text() + f"owner {HUGE} eve\n")
    assert main(["keys", "revoke", "eve", "--keys", str(lab.folder.path)]) == 0
    assert "eve was on such a line alone, and is refused." in capsys.readouterr().out
    assert "eve" not in path.read_text()


def test_a_list_beyond_its_size_is_refused_whole(lab: Lab) -> None:
    """Reading only its beginning would take half a line for a whole one, and forget the rest at the next change."""
    path = lab.folder.allowed_path
    path.write_text(path.read_text() + "# x\n" * 2**19)
    with pytest.raises(BadInput, match="holds more than"):
        lab.folder.authorise(make_key("x").public, Role.VIEWER, "x")
    assert path.stat().st_size > 2**20


@pytest.mark.skipif(os.name != "posix", reason="pipes in folders")
@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
def test_what_is_no_file_in_the_place_of_one_is_told(lab: Lab, what: str) -> None:
    running = lab.access.allowed
    make: Callable[[Path], object] = {
        "pipe": os.mkfifo,
        "device": lambda path: path.symlink_to("/dev/zero"),
        "folder": lambda path: path.mkdir(),
    }[what]
    for name in ("allowed", "service.key", "service.pub"):
        (lab.folder.path / name).unlink()
        make(lab.folder.path / name)
    assert running.caller(lab.people["owner"].public).role is None
    uses: list[Callable[[], object]] = [
        lab.folder.entries,
        lambda: lab.folder.key("service"),
        lambda: lab.folder.public("service"),
        lambda: lab.folder.authorise(make_key("x").public, Role.VIEWER, "x"),
        lambda: lab.folder.revoke("owner"),
        lambda: AllowList(lab.folder.allowed_path),
    ]
    for use in uses:
        with pytest.raises((NotPermitted, BadInput), match="only a regular file is used"):
            use()


def test_a_key_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.create("own")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(BadInput, match="No space left"):
            folder.create("anna")
    assert folder.create("anna").name == "anna"


def test_fingerprints_tell_keys_apart() -> None:
    keys = [make_key("x").public for _ in range(100)]
    assert len({fingerprint(key) for key in keys}) == 100
    assert fingerprint("0" * 40) == "7e62-2ab9-9de9-2927-3fb4-ca07"  # what people have written down stays true
