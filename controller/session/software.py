"""Which software writes a session, and when."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version


def now_text() -> str:
    """The time, as files of a session state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def software_versions() -> dict[str, str]:
    """Versions of Python, grainloop and what touches the data."""
    names = ("grainloop", "numpy", "h5py", "scipy", "numba", "pyzmq", "pydantic")
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
