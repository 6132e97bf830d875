"""The command line as a whole: light to import, one sentence for every fault, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from grainloop.cli import commands, main
from grainloop.cli.app import COMMANDS

HEAVY = ("scipy", "torch", "h5py", "numba", "matplotlib", "orix", "skimage", "SimpleITK")


@pytest.mark.parametrize("module", ["grainloop.cli", "grainloop.cli.app", "grainloop.cli.commands"])
def test_importing_the_command_line_stays_light(module: str) -> None:
    code = f"import sys, json, {module}; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_help_loads_no_messages(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor arrays: it is what people wait for most often."""
    code = """
import sys
from grainloop.cli import main
main(["--help"])
print([name for name in ("numpy", "pydantic", "zmq", "grainloop.protocols") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_is_told_of_commands_is_what_they_say_themselves() -> None:
    group = typer.main.get_command(commands.app)
    said = {name: " ".join(one.help.split("\n\n")[0].split()) for name, one in group.commands.items()}
    assert said == COMMANDS
    assert list(said) == list(COMMANDS)


def test_a_mistyped_command_is_named_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demoo"]) == 2
    assert "Did you mean 'demo'?" in capsys.readouterr().err


def test_serving_your_own_driver_needs_nothing_heavy() -> None:
    code = f"""
import sys, json
from grainloop.cli.serve import service
from grainloop.protocols.hosting.loading import load_driver
try:
    service.host(load_driver("no_such_module:driver"), None, 0.0)
except Exception as error:
    print(type(error).__name__)
print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("grainloop ")


@pytest.mark.parametrize(
    "arguments", [["demo", "--budget", "much"], ["nonsense"], ["serve", "coffee"], ["demo", "--seed", "-1"]]
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--budget", "0"], "--budget 0 cannot be used: give the share of the pixels to measure, above 0 up to 1."),
        (["--budget", "1.5"], "--budget 1.5 cannot be used"),
        (["--budget", "nan"], "--budget nan cannot be used"),
        (["--speed-up", "0"], "--speed-up 0 cannot be used"),
        (["--map", "nowhere.ang"], "There is no map file nowhere.ang, and no specimen of that name (known: ti64"),
    ],
)
def test_bad_input_of_the_demo_is_one_sentence(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["demo", "--out", str(out), "--json", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"grainloop: {told}")
    assert captured.err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(("name", "content"), [("bad.ang", "# nothing\n1 2 3\n"), ("bad.ctf", "?"), ("bad.tif", "x")])
def test_a_malformed_map_is_named(name: str, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert main(["demo", "--out", str(tmp_path / "out"), "--map", str(path)]) == 1
    error = capsys.readouterr().err
    assert f"The map {path}" in error
    assert error.count("\n") == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--out", str(tmp_path / "file" / "out")]) == 1
    assert "cannot be made: Not a directory" in capsys.readouterr().err


def test_what_is_no_demo_session_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = tmp_path / "session.h5"
    precious.write_text("precious")
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert "cannot be read as HDF5" in capsys.readouterr().err
    assert precious.read_text() == "precious"


def test_a_plan_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--plan", str(tmp_path / "plan.toml")]) == 1
    assert "plan.toml cannot be read" in capsys.readouterr().err
