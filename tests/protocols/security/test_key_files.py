"""Key files and the list of allowed keys: private, checked on every load, whole at every moment."""

from __future__ import annotations

import os
import stat
import string
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from grainloop.protocols.errors import BadInput, GrainloopError, NotPermitted
from grainloop.protocols.security import AllowedKey, AllowList, KeyFolder, KeyPair, Role
from grainloop.protocols.security.allow_list import read_allow_list, write_allow_list
from grainloop.protocols.security.folder import default_folder
from grainloop.protocols.security.keys import is_key, load_key, load_public, make_key
from tests.protocols.security.conftest import Lab

KEYS = [make_key(f"k{n}") for n in range(6)]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


# --- key pairs -------------------------------------------------------------------------------------------------------
def test_a_key_pair_comes_back_and_its_files_are_private(folder: KeyFolder) -> None:
    pair = folder.create("anna")
    assert folder.key("anna") == pair
    assert folder.public("anna") == pair.public == zmq.curve_public(pair.secret.encode()).decode()
    assert mode(folder.path) == 0o700
    assert mode(folder.path / "anna.key") == 0o600
    assert folder.public(str(folder.path / "anna.pub")) == folder.public(pair.public) == pair.public


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_whatever_the_umask_nobody_else_can_open_them(folder: KeyFolder, mask: int) -> None:
    before = os.umask(mask)
    try:
        folder.create("anna")
        folder.authorise(KEYS[0].public, Role.VIEWER, "v")
    finally:
        os.umask(before)
    assert [mode(folder.path), mode(folder.path / "anna.key"), mode(folder.allowed_path)] == [0o700, 0o600, 0o600]


def test_the_secret_is_never_shown(folder: KeyFolder) -> None:
    pair = folder.create("anna")
    assert pair.secret not in repr(pair)
    (folder.path / "anna.key").write_text(f"{pair.secret}\n{pair.public}\n")
    with pytest.raises(BadInput, match="holds no key pair") as caught:
        folder.key("anna")
    assert pair.secret not in str(caught.value) + str(caught.value.value)


def test_a_key_is_never_overwritten(folder: KeyFolder) -> None:
    pair = folder.create("anna")
    with pytest.raises(BadInput, match=r"anna\.key exists already"):
        folder.create("anna")
    assert folder.key("anna") == pair


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610, 0o601])
def test_a_key_file_that_others_can_open_is_refused_by_name_and_mode(folder: KeyFolder, bits: int) -> None:
    folder.create("anna")
    path = folder.path / "anna.key"
    path.chmod(bits)
    with pytest.raises(NotPermitted, match=f"file {path} has mode {bits:04o}.* until it has 0600"):
        folder.key("anna")
    path.chmod(0o400)
    assert folder.key("anna").name == "anna"


@pytest.mark.parametrize("bits", [0o750, 0o705, 0o755, 0o777, 0o710])
def test_a_folder_that_others_can_open_is_refused(folder: KeyFolder, bits: int) -> None:
    folder.create("anna")
    folder.path.chmod(bits)
    uses: list[Callable[[], object]] = [
        lambda: folder.key("anna"),
        lambda: folder.create("bert"),
        folder.pairs,
        folder.entries,
        lambda: folder.authorise(KEYS[0].public, Role.VIEWER, "v"),
        lambda: folder.access("anna"),
    ]
    for use in uses:
        with pytest.raises(NotPermitted, match=f"folder {folder.path} has mode {bits:04o}"):
            use()


def test_keys_of_somebody_else_are_refused(folder: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.create("anna")
    if os.geteuid() == 0:  # what belongs to root is believed
        os.chown(folder.path, 4343, -1)
    owner = folder.path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(NotPermitted, match=f"belongs to the user with id {owner}, not to you"):
        folder.key("anna")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-dash", "a b", "x" * 65, "a\n", "é"])
def test_names_that_files_and_lists_cannot_carry(folder: KeyFolder, name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a key"):
        folder.create(name)
    with pytest.raises(BadInput, match="cannot name a key"):
        folder.authorise(KEYS[0].public, Role.VIEWER, name)


@pytest.mark.parametrize(
    "text",
    ["", "x", "a" * 40, "é" * 40, f"{KEYS[0].public}\n{KEYS[1].secret}\n", "\0" * 81],
    ids=["empty", "short", "one key", "no ASCII", "keys of two", "zeros"],
)
def test_a_file_without_a_key_pair(folder: KeyFolder, text: str) -> None:
    folder.create("anna")
    path = folder.path / "anna.key"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"anna\.key holds"):
        load_key(path)


def test_missing_keys_are_told_with_the_way_to_make_them(folder: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BadInput, match=f"There is no key .*; make it with: grainloop keys create x --keys {folder.path}"
    ):
        folder.key("x")
    monkeypatch.setenv("GRAINLOOP_KEYS", str(folder.path))
    assert default_folder() == folder.path
    with pytest.raises(BadInput, match=r"grainloop keys create x\.$"):
        KeyFolder().key("x")
    with pytest.raises(BadInput, match=r"copy the \.pub file"):
        folder.public("x")
    with pytest.raises(BadInput, match="begin it with: grainloop keys authorise"):
        KeyFolder(folder.create("x") and folder.path).access("x")


def test_a_secret_file_is_not_taken_for_a_public_key(folder: KeyFolder) -> None:
    pair = folder.create("anna")
    with pytest.raises(BadInput, match=r"only the \.pub file") as caught:
        folder.public(str(folder.path / "anna.key"))
    assert pair.secret not in str(caught.value)
    (folder.path / "no.pub").write_text("nothing")
    with pytest.raises(BadInput, match="holds no public key"):
        load_public(folder.path / "no.pub")


@given(st.text(max_size=50))
def test_anything_may_be_asked_whether_it_is_a_key(text: str) -> None:
    assert is_key(text) in (True, False)


# --- the list of allowed keys ----------------------------------------------------------------------------------------
names = st.text(string.ascii_letters + string.digits + "._@-", min_size=1, max_size=64).filter(
    lambda name: name[0] not in "._@-"
)
entries = st.lists(
    st.builds(AllowedKey, st.sampled_from(Role), st.sampled_from([pair.public for pair in KEYS]), names),
    unique_by=(lambda entry: entry.key, lambda entry: entry.name),
    max_size=6,
)


@given(entries)
def test_a_list_comes_back(tmp_path_factory: pytest.TempPathFactory, told: list[AllowedKey]) -> None:
    path = tmp_path_factory.mktemp("list") / "allowed"
    write_allow_list(path, told)
    assert list(read_allow_list(path)) == told


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("operator anna", "Line 2"),
        (f"admin {KEYS[0].public} anna", "Line 2"),
        (f"operator {KEYS[0].public[:-1]} anna", "Line 2"),
        (f"operator {KEYS[0].public} anna bert", "Line 2"),
        (f"operator {KEYS[0].public} ../x", "Line 2"),
        (f"viewer {KEYS[0].public} a\nowner {KEYS[0].public} b", "names the key"),
        (f"viewer {KEYS[0].public} a\nowner {KEYS[1].public} a", "names the name a twice"),
    ],
    ids=["no key", "no role", "short key", "two names", "no name", "a key twice", "a name twice"],
)
def test_a_wrong_line_is_told_by_file_and_number(folder: KeyFolder, line: str, fault: str) -> None:
    folder.authorise(KEYS[2].public, Role.VIEWER, "v")
    folder.allowed_path.write_text(f"# a remark\n{line}\n")
    with pytest.raises(BadInput, match=fault):
        folder.entries()


def test_authorise_changes_a_role_and_never_gives_a_name_to_two_keys(folder: KeyFolder) -> None:
    assert folder.authorise(KEYS[0].public, Role.VIEWER, "anna") is None
    assert folder.authorise(KEYS[0].public, Role.OWNER, "anna") == AllowedKey(Role.VIEWER, KEYS[0].public, "anna")
    with pytest.raises(BadInput, match="anna is another key on the list"):
        folder.authorise(KEYS[1].public, Role.VIEWER, "anna")
    assert folder.entries() == (AllowedKey(Role.OWNER, KEYS[0].public, "anna"),)
    assert folder.revoke(KEYS[0].public).name == "anna"
    assert folder.entries() == ()
    with pytest.raises(BadInput, match="anna is not on the list"):
        folder.revoke("anna")


def test_a_running_service_sees_changes_without_being_told(lab: Lab) -> None:
    allowed, key = lab.access.allowed, lab.people["viewer"].public
    assert allowed.caller(key).role is Role.VIEWER
    lab.folder.authorise(key, Role.OPERATOR, "viewer")
    assert allowed.caller(key).role is Role.OPERATOR
    lab.revoke("viewer")
    assert allowed.caller(key).role is None
    assert len(allowed) == 2


def spoil(what: str) -> Callable[[Path], object]:
    return {
        "others can read it": lambda path: path.chmod(0o644),
        "others can change it": lambda path: path.chmod(0o620),
        "it is gone": lambda path: path.unlink(),
        "a line is wrong": lambda path: path.write_text("owner everybody\n"),
        "it is no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    }[what]


@pytest.mark.parametrize(
    "what", ["others can read it", "others can change it", "it is gone", "a line is wrong", "it is no text"]
)
def test_a_list_that_cannot_be_believed_allows_nobody(lab: Lab, what: str, caplog: pytest.LogCaptureFixture) -> None:
    allowed, key = lab.access.allowed, lab.people["owner"].public
    assert allowed.caller(key).role is Role.OWNER
    text = lab.folder.allowed_path.read_text()
    spoil(what)(lab.folder.allowed_path)
    assert allowed.caller(key).role is None
    assert isinstance(allowed.broken, GrainloopError)
    assert "so nobody is allowed" in caplog.text
    with pytest.raises(GrainloopError):
        AllowList(lab.folder.allowed_path)
    lab.folder.allowed_path.unlink(missing_ok=True)
    lab.folder.allowed_path.touch(0o600)
    lab.folder.allowed_path.write_text(text)
    assert allowed.caller(key).role is Role.OWNER


def test_making_a_pair_gives_what_curve_accepts() -> None:
    pair = make_key("x")
    assert isinstance(pair, KeyPair)
    assert is_key(pair.public)
    assert is_key(pair.secret)
