"""`grainloop keys` as a new user meets it, the wrong ways too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grainloop.cli import main
from grainloop.protocols.security import KeyFolder


class Desk:
    """Runs commands against one folder of keys."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = main(["keys", *arguments, "--keys", str(self.folder)])
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path / "keys", capsys)


def test_create_list_authorise_revoke(desk: Desk) -> None:
    code, out, _ = desk("create", "anna")
    public = KeyFolder(desk.folder).key("anna").public
    assert (code, public in out, "give anna.pub" in out) == (0, True, True)
    assert desk("authorise", "anna", "--role", "operator")[1] == "anna is operator now.\n"
    assert desk("authorise", str(desk.folder / "anna.pub"))[1] == "anna is viewer now; it was operator as anna.\n"
    told = json.loads(desk("list", "--json")[1])
    assert told["own"] == [{"name": "anna", "public": public}]
    assert told["allowed"] == [{"role": "viewer", "key": public, "name": "anna"}]
    assert f"{public}  viewer    anna" in desk("list")[1]
    assert desk("revoke", "anna")[1] == "anna was viewer and is refused now.\n"
    assert "Nobody may ask the services here yet." in desk("list")[1]


def test_no_command_shows_a_secret(desk: Desk) -> None:
    desk("create", "anna")
    secret = KeyFolder(desk.folder).key("anna").secret
    said = [desk("list"), desk("list", "--json"), desk("create", "anna"), desk("authorise", "anna")]
    said.append(desk("authorise", str(desk.folder / "anna.key")))
    assert secret not in str(said)


@pytest.mark.parametrize("key", ["-0" * 20, "--" * 20])
def test_a_key_may_begin_with_a_dash(desk: Desk, key: str) -> None:
    assert desk("authorise", key, "--name", "dash")[:2] == (0, "dash is viewer now.\n")
    assert desk("revoke", key)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "../x"), "'../x' cannot name a key"),
        (("authorise", "nobody"), "nobody is no public key, and there is no file"),
        (("authorise", "0" * 40), "A public key alone does not say whose it is: give --name."),
        (("revoke", "nobody"), "nobody is not on the list"),
        (("list",), "There is no folder of keys"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(desk: Desk, arguments: tuple[str, ...], words: str) -> None:
    if arguments[0] == "revoke":
        desk("create", "x")
    code, out, err = desk(*arguments)
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_folder_that_others_can_open_is_refused(desk: Desk) -> None:
    desk("create", "x")
    desk.folder.chmod(0o755)
    code, _, err = desk("list")
    assert code == 1
    assert f"The folder {desk.folder} has mode 0755" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("serve", "instrument", "--endpoint", "tcp://0.0.0.0:1"),
            "refuses to listen on tcp://0.0.0.0:1: without keys",
        ),
        (("serve", "model", "--endpoint", "tcp://10.0.0.9:1"), "refuses to listen on tcp://10.0.0.9:1: without keys"),
        (("serve", "controller", "--local", "--key", "x", "--endpoint", "tcp://*:1"), "without keys only 127.0.0.1"),
        (("serve", "instrument", "--key", "x", "--endpoint", "5701"), "is not an endpoint such as"),
        (("serve", "instrument", "--key", "x"), "There is no key"),
        (("serve", "controller", "--instrument-key", "0" * 40), "--instrument-key needs --key too"),
        (("serve", "controller", "--model", "tcp://gpu:5702"), "tcp://gpu:5702 is on another machine"),
        (("status", "--key", "x"), "--key needs --server-key too"),
        (("status", "--server-key", "x"), "--server-key needs --key too"),
        (("status", "--controller", "tcp://10.0.0.9:5703"), "tcp://10.0.0.9:5703 is on another machine"),
        (("run", "--key", "x", "--server-key", "0" * 40), "There is no key"),
    ],
)
def test_services_and_commands_say_what_their_keys_lack(
    options: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRAINLOOP_KEYS", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)
    assert main(list(options)) == 1
    assert words in capsys.readouterr().err
