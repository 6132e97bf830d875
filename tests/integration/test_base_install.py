"""The base install is what an old instrument PC gets: small, and free of the scientific stack."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_MB = 135  # of which 18 are the weights of two trained models and 6 real maps
HEAVY = ["scipy", "torch", "numba", "h5py", "matplotlib", "orix", "skimage", "SimpleITK"]

# Each imports what an instrument PC runs, then reports which heavy packages came along.
IMPORTS = ["import grainloop.protocols", "import grainloop.protocols.driver_service", "import grainloop.cli"]


@pytest.fixture(scope="module")
def base_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "venv"
    venv.create(folder)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", ROOT], check=True, timeout=300)
    return python


def _site_packages(python: Path) -> Path:
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip())


def _size_mb(site: Path) -> float:
    return sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) / 1e6


@pytest.mark.timeout(400)
def test_base_install_is_small(base_python: Path) -> None:
    assert _size_mb(_site_packages(base_python)) < LIMIT_MB


@pytest.mark.parametrize("statement", IMPORTS)
def test_base_install_imports_nothing_heavy(base_python: Path, statement: str) -> None:
    code = f"{statement}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([base_python, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_base_install_has_no_heavy_packages(base_python: Path) -> None:
    code = f"import importlib.util as u; print([name for name in {HEAVY!r} if u.find_spec(name)])"
    done = subprocess.run([base_python, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_command_line_answers(base_python: Path) -> None:
    command = base_python.with_name("grainloop")
    done = subprocess.run([command, "--version"], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().startswith("grainloop ")
