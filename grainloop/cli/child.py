"""How a process of ours starts another: the same Python, the same grainloop, whatever lies in the working directory."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def command_of(module: str) -> list[str]:
    """Run a module. Without `-P` the files of the folder where we are would stand before the standard library."""
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """A child finds grainloop where this process found it; what is installed it finds without being told."""
    if str(_ROOT) in _installed():
        return dict(os.environ)
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _installed() -> set[str]:
    """Folders of installed packages. Named by PYTHONPATH they would stand before the standard library."""
    return {str(Path(folder).resolve()) for folder in (*site.getsitepackages(), site.getusersitepackages())}
