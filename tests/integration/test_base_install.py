"""The base install is what an old instrument PC gets: small, free of the scientific stack; it says what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from grainloop.cli.extras import EXTRAS
from tests.patience import HANG_S

ROOT = Path(__file__).resolve().parents[2]
LIMIT_MB = 112  # of which numpy is 72; trained models and real maps, 26 MB, are not in it
HEAVY = ["scipy", "torch", "numba", "h5py", "matplotlib", "orix", "skimage", "SimpleITK"]

# Each imports what an instrument PC runs, then reports which heavy packages came along.
IMPORTS = ["import grainloop.protocols", "import grainloop.protocols.driver_service", "import grainloop.cli"]


@pytest.fixture(scope="module")
def base_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "venv"
    venv.create(folder)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", ROOT], check=True, timeout=HANG_S)
    return python


def _site_packages(python: Path) -> Path:
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip())


def _size_mb(site: Path) -> float:
    return sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) / 1e6


def test_base_install_is_small(base_python: Path) -> None:
    assert _size_mb(_site_packages(base_python)) < LIMIT_MB


@pytest.mark.parametrize("statement", IMPORTS)
def test_base_install_imports_nothing_heavy(base_python: Path, statement: str) -> None:
    code = f"{statement}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([base_python, "-c", code], check=True, capture_output=True, text=True, timeout=HANG_S)
    assert done.stdout.strip() == "[]"


def test_base_install_has_no_heavy_packages(base_python: Path) -> None:
    code = f"import importlib.util as u; print([name for name in {HEAVY!r} if u.find_spec(name)])"
    done = subprocess.run([base_python, "-c", code], check=True, capture_output=True, text=True, timeout=HANG_S)
    assert done.stdout.strip() == "[]"


def test_command_line_answers(base_python: Path) -> None:
    command = base_python.with_name("grainloop")
    done = subprocess.run([command, "--version"], check=True, capture_output=True, text=True, timeout=HANG_S)
    assert done.stdout.strip().startswith("grainloop ")


# Every command in one process: exit code and what was said. Arguments that must be there are "missing".
ALL_COMMANDS = """
import contextlib, io, json, typer
from grainloop.cli import main
from grainloop.cli.commands import app

def leaves(command, path=()):
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, (*path, name))
    if not hasattr(command, "commands"):
        yield path, [one for one in command.params if one.param_type_name == "argument" and one.required]

def tried(words):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(words)
    return code, said.getvalue()

found = {" ".join(path): tried([*path, *("missing" for _ in wanted)])
         for path, wanted in leaves(typer.main.get_command(app))}
print(json.dumps(found))
"""


def test_every_command_works_or_says_what_it_lacks(base_python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [base_python, "-c", ALL_COMMANDS],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {" ".join(verb) for verb in EXTRAS}
    for verb, (code, said) in found.items():
        if EXTRAS[tuple(verb.split())] or verb == "serve instrument":
            assert said.startswith(f"grainloop: grainloop {verb}"), said
            assert "not installed here; this installs it" in said
            assert str(ROOT) in said
            assert code == 1
        else:
            assert "not installed" not in said, said
            assert "No module named" not in said.replace("not looked at", ""), said


def test_a_driver_with_a_neighbour_is_served(base_python: Path, tmp_path: Path) -> None:
    """By the console script, which has no working directory on its path."""
    toy = (ROOT / "examples" / "toy_driver.py").read_text(encoding="utf-8")
    (tmp_path / "lab_stage.py").write_text(toy, encoding="utf-8")
    (tmp_path / "my_lab.py").write_text("from lab_stage import ToyDriver as Microscope\n", encoding="utf-8")
    for name in ("my_lab", "my_lab.py"):
        serve = ["serve", "instrument", "--driver", f"{name}:Microscope", "--spool", tmp_path / "spool"]
        done = subprocess.run(
            [base_python.with_name("grainloop"), *serve, "--endpoint", "tcp://127.0.0.1:0", "--until-stdin-ends"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout.startswith("ready instrument"), done.stderr
