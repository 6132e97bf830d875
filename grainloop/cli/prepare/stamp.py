"""The note beside compiled code that says what it was compiled from, so that nobody prepares what is prepared.

Code is of use to the same Python, numba and processor, as long as no file with kernels changed; numba itself sees to
that file by file. Several machines with one home directory have a note each.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from grainloop.protocols.files import read_text, write_text

_MARK = b"grainloop.model.jit import"
_ASKED = ("scipy", "skimage", "SimpleITK", "torch", "safetensors")
"""Packages without which less is rehearsed."""


@dataclass(frozen=True)
class Stamp:
    """A note, written or not.

    Attributes:
        path: of the note.
        text: what it says where everything is compiled.
    """

    path: Path
    text: str

    @property
    def lock(self) -> Path:
        """Held by the process that prepares."""
        return self.path.with_suffix(".lock")

    @property
    def holds(self) -> bool:
        """Whether everything was compiled here, from the files that there are now."""
        try:
            return read_text(self.path) == self.text
        except (OSError, ValueError):
            return False

    def write(self) -> None:
        """Say that everything is compiled.

        Raises:
            OSError: the folder cannot be written.
        """
        write_text(self.path, self.text)


def stamp_here() -> Stamp | None:
    """The note of this installation; None where there is nothing to compile with, or nowhere to keep it."""
    try:
        from grainloop.model.crystal import _grain_kernels as kernels
        from grainloop.model.jit import cache_folder
    except ImportError:
        return None
    folder = cache_folder(kernels.label)
    if folder is None:
        return None
    text = json.dumps({"of": _surroundings(), "files": _files()}, indent=1)
    key = sha256(json.dumps(_surroundings()).encode()).hexdigest()[:12]
    return Stamp(folder / f"grainloop-prepared-{key}.json", text)


def _surroundings() -> dict[str, Any]:
    from llvmlite import binding

    return {
        "python": platform.python_version(),
        "numba": version("numba"),
        "llvmlite": version("llvmlite"),
        "processor": binding.get_host_cpu_name(),
        "features": binding.get_host_cpu_features().flatten(),
        "packages": [name for name in _ASKED if _is_there(name)],
        "settings": sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_")),
    }


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # its import is blocked
        return False


def _files() -> dict[str, tuple[int, int]]:
    """Time of the last change (ns) and size of each file with kernels."""
    from grainloop import controller, model

    roots = [Path(str(package.__file__)).parent for package in (controller, model)]
    found = {f"{root.name}/{path.relative_to(root).as_posix()}": path for root in roots for path in root.rglob("*.py")}
    stats = {name: path.stat() for name, path in sorted(found.items()) if _MARK in path.read_bytes()}
    return {name: (one.st_mtime_ns, one.st_size) for name, one in stats.items()}
