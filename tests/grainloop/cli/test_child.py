"""Children find the grainloop of their parent, and nothing that lies in the working directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grainloop.cli import child

ROOT = Path(__file__).parents[3]


def test_a_child_is_not_broken_by_the_folder_where_it_starts(tmp_path: Path) -> None:
    for name in ("typing.py", "queue.py", "model.py", "numpy.py"):
        (tmp_path / name).write_text("raise SystemExit('of the laboratory')", encoding="utf-8")
    command = [*child.command_of("grainloop"), "--version"]
    done = subprocess.run(
        command, cwd=tmp_path, env=child.environment(), capture_output=True, text=True, timeout=110, check=False
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "grainloop")


def test_folders_of_installed_packages_never_stand_before_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    monkeypatch.setattr(child, "_ROOT", tmp_path.resolve())
    assert child.environment()["PYTHONPATH"] == f"{tmp_path.resolve()}{os.pathsep}mine"
    monkeypatch.setattr(child.site, "getsitepackages", lambda: [str(tmp_path)])
    assert child.environment()["PYTHONPATH"] == "mine"


def test_every_process_of_ours_is_started_this_way() -> None:
    started = re.compile(r"sys\.executable,\s*\"-")
    folders = ("grainloop", "controller", "model", "instrument_sim", "protocols")
    files = {path.resolve() for folder in folders for path in (ROOT / folder).rglob("*.py")}
    found = [path for path in files if started.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in found] == ["child.py"]
    assert child.command_of("x")[0] == sys.executable
