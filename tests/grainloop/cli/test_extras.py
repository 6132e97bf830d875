"""Each command says in one sentence what it lacks, and lacks nothing when it has what its table says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from grainloop.cli import extras, main
from grainloop.cli.commands import app
from grainloop.cli.extras import EXTRAS, Requirement, require_extras_of, requirements
from grainloop.cli.serve.processes import free_endpoints
from grainloop.protocols import version
from grainloop.protocols.errors import NotInstalled
from grainloop.protocols.version import install_command


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, and what it is called by."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, below in command.commands.items():
        yield from verbs(below, (*path, name))


VERBS = dict(verbs(typer.main.get_command(app)))
LACKING = [verb for verb, needs in EXTRAS.items() if needs]


def test_the_table_holds_every_command_and_no_other() -> None:
    assert set(EXTRAS) == set(VERBS)
    assert {extra for needs in EXTRAS.values() for extra in needs} <= {one.extra for one in requirements()}


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing but the base install were there."""

    def found(one: Requirement) -> str | None:
        return one.least if one.extra is None else None

    monkeypatch.setattr(Requirement, "found", property(found))


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize("verb", LACKING, ids=" ".join)
def test_what_is_missing_is_one_sentence_with_the_way_out(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb, "--seed", "1"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"grainloop: grainloop {' '.join(verb)} needs ")
    wanted = ("all",) if len(EXTRAS[verb]) == 3 else EXTRAS[verb]
    assert told.strip().endswith(install_command(*wanted))
    assert told.count("\n") == 1


@pytest.mark.usefixtures("base")
def test_help_is_never_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert main([*verb, "--help"]) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize(
    ("arguments", "needs"),
    [
        (["serve", "instrument"], "without --driver needs"),
        (["replay", "x", "--policy", "spread"], "replay"),
    ],
)
def test_what_only_some_options_need_is_told_too(
    arguments: list[str], needs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert needs in capsys.readouterr().err


def test_nothing_is_refused_where_all_is_there() -> None:
    for verb in VERBS:
        require_extras_of(verb)


def test_data_that_are_nowhere_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["numpy>=1.26", "grainloop-data==0.1.0; extra == 'sim'"]
    monkeypatch.setattr(extras, "requires", lambda _name: asked)
    require_extras_of(["demo"])
    monkeypatch.setattr(extras, "_data_are_there", lambda: False)
    with pytest.raises(NotInstalled, match="grainloop demo needs grainloop-data, not installed here"):
        require_extras_of(["demo"])


# Hides what belongs to extras that a command does not ask for, then runs it.
HIDING = """
import sys
from grainloop.cli import main

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *more):
        return None if name.partition(".")[0] in {names!r} else self.finder.find_spec(name, *more)

sys.meta_path[:] = map(Without, sys.meta_path)
sys.exit(main({arguments!r}))
"""
MODULES = {"scikit-image": "skimage", "simpleitk": "SimpleITK"}


def modules_of_others(needs: tuple[str, ...]) -> set[str]:
    """Top-level modules that are there only for extras beside these."""
    there = {one.name for one in requirements() if one.extra in (None, *needs)}
    others = {one.name for one in requirements() if one.extra in ("sim", "controller", "model")} - there
    return {MODULES.get(name, name.replace("-", "_")) for name in others}


@pytest.mark.parametrize(
    "verb", [verb for verb, needs in EXTRAS.items() if set(needs) != set(extras.EVERYTHING)], ids=" ".join
)
def test_the_extras_of_a_command_are_enough(verb: tuple[str, ...], tmp_path: Path) -> None:
    """It gets as far as its own first complaint; none does anything with a file that is not there."""
    wanted = [part for part in VERBS[verb].params if part.param_type_name == "argument" and part.required]
    arguments = [*verb, *("missing" for _ in wanted)]
    served = ["--endpoint", *free_endpoints(1), "--until-stdin-ends"]
    arguments += {"train": ["--config", "missing"], "serve": served}.get(verb[0], [])
    arguments += ["--driver", "missing:Missing"] if verb == ("serve", "instrument") else []
    code = HIDING.format(names=modules_of_others(EXTRAS[verb]), arguments=arguments)
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    told = (done.stdout + done.stderr).replace("No module named 'missing'", "")  # the driver, which is not there
    assert "No module named" not in told
    assert "Traceback" not in done.stderr


ORIGINS: dict[str, tuple[Any, str]] = {
    "an index": (None, 'install "grainloop[sim,model]"'),
    "a folder": (
        {"url": "file:///lab/my%20loop", "dir_info": {}},
        'install "/lab/my loop[sim,model]" "/lab/my loop/data"',
    ),
    "an editable folder": (
        {"url": "file:///lab/loop", "dir_info": {"editable": True}},
        'install -e "/lab/loop[sim,model]" "/lab/loop/data"',
    ),
    "git": (
        {"url": "https://git.example/loop.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
        'install "grainloop[sim,model] @ git+https://git.example/loop.git@abc" '
        '"grainloop-data @ git+https://git.example/loop.git@abc#subdirectory=data"',
    ),
    "a wheel": (
        {"url": "file:///lab/grainloop-0.1.0-py3-none-any.whl", "archive_info": {}},
        'install --find-links "/lab" "/lab/grainloop-0.1.0-py3-none-any.whl[sim,model]"',
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="paths of another system")
@pytest.mark.parametrize(("origin", "command"), ORIGINS.values(), ids=ORIGINS.keys())
def test_more_is_installed_from_where_the_rest_came(origin: Any, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return None if origin is None else json.dumps(origin)

    monkeypatch.setattr(version, "distribution", lambda _name: Installed())
    assert install_command("sim", "model").endswith(command)


def test_pip_is_named_so_that_a_shell_finds_that_of_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = str(Path(sys.executable).with_name("pip"))
    monkeypatch.setattr(version.shutil, "which", lambda _name: beside)
    assert install_command().startswith("pip install ")
    monkeypatch.setattr(version.shutil, "which", lambda _name: "/elsewhere/pip")
    assert install_command().startswith(f"{sys.executable} -m pip install ")


def test_the_model_service_starts_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its classical methods need none; who asks for the trained one is told."""

    def found(one: Requirement) -> str | None:
        return None if one.name in ("torch", "safetensors") else one.least

    monkeypatch.setattr(Requirement, "found", property(found))
    require_extras_of(["serve", "model"])
    with pytest.raises(NotInstalled, match="torch"):
        require_extras_of(["demo"])
