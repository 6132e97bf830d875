"""The version of grainloop that runs, as services report it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def grainloop_version() -> str:
    """The installed version, or `0+unknown` when the folder is used without being installed."""
    try:
        return version("grainloop")
    except PackageNotFoundError:
        return "0+unknown"
