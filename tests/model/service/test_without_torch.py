"""The model service where torch is not installed: importing it works, the classical methods answer, the trained one
says what to install.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LEFT_OUT = ("torch", "functorch", "nvidia", "triton", "safetensors", "__pycache__")

SERVES = """
import asyncio, sys
from grainloop.model.service import ModelService
from grainloop.protocols.errors import GrainloopError
from grainloop.protocols.messages import CheckHealth, DescribeModel
from tests.model.service.runs import asking, connection, opening, section, serving

HANGS_S = 600

async def ask():
    _, points = section()
    async with serving() as endpoint, connection(endpoint) as model:
        said = await model.request(DescribeModel(), deadline_s=HANGS_S)
        health = await model.request(CheckHealth(), deadline_s=HANGS_S)
        await model.request(opening(), deadline_s=HANGS_S)
        found = await model.request(asking(points, propose=5), deadline_s=HANGS_S)
        try:
            await model.request(asking(points, method="joint"), deadline_s=HANGS_S)
            refused = "not refused"
        except GrainloopError as error:
            refused = str(error)
    print(said.default_method, "joint" in said.methods, health.ok, found.method, len(found.proposals.position_px))
    print(refused)

asyncio.run(ask())
print("torch" in sys.modules and sys.modules["torch"] is not None)
"""
BLOCKED = "import sys; sys.modules['torch'] = None\n"
IMPORTED = """
import sys
import grainloop.model.service.service, grainloop.model.service.methods as known
assert known.default_method() == "joint", known.default_method()
print(list(known.methods()), "torch" in sys.modules)
"""


def said_by(code: str, python: Path | str = sys.executable) -> list[str]:
    """The lines that a fresh interpreter prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real environment with everything that is installed here except torch and what comes with it."""
    folder = tmp_path_factory.mktemp("lean") / "venv"
    venv.create(folder, symlinks=True)
    there = next(folder.glob("lib/python*/site-packages"))
    for installed in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not installed.name.startswith(LEFT_OUT):
            (there / installed.name).symlink_to(installed)
    return folder / "bin" / "python"


def test_importing_the_service_imports_no_torch() -> None:
    assert said_by(IMPORTED) == ["['joint', 'pl_candidates', 'pl_watershed', 'nn'] False"]


def check_lean(lines: list[str], lacking: str) -> None:
    assert lines[0] == "pl_candidates True True pl_candidates 5"
    assert lines[1].startswith(
        f"The trained method 'joint' needs {lacking}, which this model service does not have: "
        "ask for the method 'pl_candidates', or install it there: "
    )
    assert "pip install" in lines[1]
    assert lines[2] == "False"


def test_the_classical_methods_answer_where_importing_torch_is_blocked() -> None:
    check_lean(said_by(BLOCKED + SERVES), "torch")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there that few users have")
def test_the_classical_methods_answer_in_an_environment_without_torch(without_torch: Path) -> None:
    check_lean(said_by(SERVES, without_torch), "torch and safetensors")
