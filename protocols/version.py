"""The version of grainloop that runs, as services report it, and the command that installs more of it."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

_DATA = "grainloop-data"
_DATA_FOLDER = "data"  # of a checkout


def grainloop_version() -> str:
    """The installed version, or `0+unknown` when the folder is used without being installed."""
    try:
        return version("grainloop")
    except PackageNotFoundError:
        return "0+unknown"


def install_command(*extras: str) -> str:
    """What to type to add `extras` to this installation, from where it came.

    An installation knows its origin (`direct_url.json`, PEP 610): a folder, a git repository, or a wheel beside which
    that of the data lies. Without one it came from an index.
    """
    return f"{_pip()} install {_source(_origin(), '[' + ','.join(extras) + ']' if extras else '')}"


def _pip() -> str:
    """The pip of this interpreter, by its short name where that is the one a shell would find."""
    found = shutil.which("pip")
    return "pip" if found and Path(found).parent == Path(sys.executable).parent else f"{sys.executable} -m pip"


def _origin() -> dict[str, Any]:
    try:
        told = distribution("grainloop").read_text("direct_url.json")
        return json.loads(told) if told else {}
    except (PackageNotFoundError, ValueError):
        return {}


def _source(origin: dict[str, Any], extras: str) -> str:
    match origin:
        case {"url": str(url), "dir_info": dict(folder)}:
            path = _path(url)
            editable = "-e " if folder.get("editable") else ""
            return f'{editable}"{path}{extras}" "{path / _DATA_FOLDER}"'
        case {"url": str(url), "vcs_info": {"vcs": str(vcs), "commit_id": str(commit)}}:
            git = f"{vcs}+{url}@{commit}"
            return f'"grainloop{extras} @ {git}" "{_DATA} @ {git}#subdirectory={_DATA_FOLDER}"'
        case {"url": str(url)} if url.startswith("file:"):
            path = _path(url)
            return f'--find-links "{path.parent}" "{path}{extras}"'
        case _:
            return f'"grainloop{extras}"'


def _path(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))
