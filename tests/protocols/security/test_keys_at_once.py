"""Several who change the list of allowed keys at the same time: it is as if they had done so one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grainloop.protocols.errors import BadInput
from grainloop.protocols.security import KeyFolder, Role
from grainloop.protocols.security import folder as folder_module
from grainloop.protocols.security.allow_list import AllowList, Listing, write_listing
from grainloop.protocols.security.keys import make_key

NAMES = ("anna", "bert", "cora")
KEYS = {name: make_key(name).public for name in NAMES}
ACTORS = 4
LIMIT_S = 120.0

Command = tuple[str, ...]
Known = dict[str, tuple[str, str]]
"""Key → role and name."""

commands = st.one_of(
    st.tuples(st.just("authorise"), st.sampled_from(NAMES), st.sampled_from([str(role) for role in Role])),
    st.tuples(st.just("authorise"), st.sampled_from(NAMES), st.just("viewer"), st.sampled_from(NAMES)),
    st.tuples(st.just("revoke"), st.sampled_from(NAMES)),
)
begun = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([str(role) for role in Role]))


def alone(known: Known, command: Command) -> tuple[bool, Known]:
    """What one command says and leaves, if nobody else does anything."""
    match command:
        case ("revoke", name):
            left = {key: told for key, told in known.items() if told[1] != name}
            return len(left) < len(known), left
        case (_, owner, role, *called):
            name = called[0] if called else owner
            if any(told[1] == name and key != KEYS[owner] for key, told in known.items()):
                return False, known
            return True, known | {KEYS[owner]: (role, name)}
        case _:
            raise AssertionError(command)


def possible(known: Known, told: dict[int, tuple[Command, bool]]) -> list[Known]:
    """What may be left if the commands, with what they said, were done in some order."""
    left = list[Known]()
    for order in permutations(told):
        now, true = known, True
        for actor in order:
            said, now = alone(now, told[actor][0])
            true &= said == told[actor][1]
        if true:
            left.append(now)
    return left


ACTOR = """
import json, sys
from grainloop.cli import main
for line in sys.stdin:
    print(json.dumps(main(json.loads(line))), flush=True)
"""


class Actor:
    """A process that runs commands of `grainloop keys`, told one per line."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ACTOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def ask(self, arguments: list[str]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(arguments)}\n".encode())
        self._process.stdin.flush()

    def said(self) -> bool:
        """Whether the command ended well."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip().isdigit():
                return line.strip() == b"0"
        raise AssertionError("it died")

    def leave(self) -> None:
        self._process.communicate(timeout=LIMIT_S)


@pytest.fixture(scope="module")
def actors() -> Iterator[list[Actor]]:
    started = [Actor() for _ in range(ACTORS)]
    yield started
    for actor in started:
        actor.leave()


def arguments_of(command: Command, path: Path) -> list[str]:
    if command[0] == "revoke":
        return ["keys", "revoke", command[1], "--keys", str(path)]
    _, owner, role, *called = command
    return ["keys", "authorise", KEYS[owner], "--role", role, "--name", (called or [owner])[0], "--keys", str(path)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(before=begun, asked=st.lists(commands, min_size=2, max_size=ACTORS))
def test_commands_at_once_are_as_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, actors: list[Actor], before: dict[str, str], asked: list[Command]
) -> None:
    folder = KeyFolder(tmp_path_factory.mktemp("lab") / "keys")
    folder.create("own")
    for name, role in before.items():
        folder.authorise(KEYS[name], Role(role), name)
    for actor, command in zip(actors, asked, strict=False):
        actor.ask(arguments_of(command, folder.path))
    told = {number: (command, actors[number].said()) for number, command in enumerate(asked)}
    left = {entry.key: (str(entry.role), entry.name) for entry in folder.entries()}
    assert left in possible({KEYS[name]: (role, name) for name, role in before.items()}, told), (before, told, left)


def at_once(work: list[Callable[[], object]]) -> None:
    """Run all, begun together; what one raises is raised here."""
    begin, failed = threading.Barrier(len(work)), list[BaseException]()

    def run(one: Callable[[], object]) -> None:
        begin.wait(LIMIT_S)
        try:
            one()
        except BaseException as error:  # noqa: BLE001  # told below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert failed == []


def test_eight_at_once_are_all_on_the_list(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    keys = {f"k{number}": make_key("x").public for number in range(8)}
    at_once([lambda n=name, k=key: KeyFolder(folder.path).authorise(k, Role.VIEWER, n) for name, key in keys.items()])
    assert {entry.name: entry.key for entry in folder.entries()} == keys


def test_a_revocation_stays_while_others_are_let_in(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    for _ in range(5):
        folder.authorise(KEYS["anna"], Role.VIEWER, "anna")
        others = {f"k{number}": make_key("x").public for number in range(4)}
        work: list[Callable[[], object]] = [lambda: KeyFolder(folder.path).revoke("anna")]
        work += [lambda n=n, k=k: KeyFolder(folder.path).authorise(k, Role.VIEWER, n) for n, k in others.items()]
        at_once(work)
        assert {entry.name for entry in folder.entries()} == set(others)
        for name in others:
            folder.revoke(name)


def test_two_names_of_one_list_are_one_list(tmp_path: Path) -> None:
    real, linked = KeyFolder(tmp_path / "real"), KeyFolder(tmp_path / "linked")
    real.authorise(KEYS["anna"], Role.VIEWER, "anna")
    linked.create("own")
    linked.allowed_path.symlink_to(real.allowed_path)
    linked.revoke("anna")
    assert linked.allowed_path.is_symlink()
    assert real.entries() == ()


def test_success_is_told_only_of_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.authorise(KEYS["anna"], Role.VIEWER, "anna")
    old = folder.allowed_path.read_text()

    def overwritten(path: Path, listing: Listing) -> None:
        from grainloop.protocols.security import allow_list

        with monkeypatch.context() as patched:
            patched.setattr(allow_list, "replace_private", lambda path, _text: path.write_text(old))
            write_listing(path, listing)

    monkeypatch.setattr(folder_module, "write_listing", overwritten)
    for change in (lambda: folder.revoke("anna"), lambda: folder.authorise(KEYS["bert"], Role.VIEWER, "bert")):
        with pytest.raises(BadInput, match="does not hold what was just written"):
            change()


def test_changes_in_a_row_are_each_seen_by_a_running_service(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.authorise(KEYS["anna"], Role.VIEWER, "anna")
    service = AllowList(folder.allowed_path)
    for round_ in range(50):
        role = list(Role)[round_ % 2]
        folder.authorise(KEYS["anna"], role, "anna")
        assert service.caller(KEYS["anna"]).role is role


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.create("own")
    (folder.path / ".allowed.lock").mkdir()
    with pytest.raises(BadInput, match=r"allowed cannot be changed: .*\.allowed\.lock cannot be locked"):
        folder.authorise(KEYS["anna"], Role.VIEWER, "anna")
