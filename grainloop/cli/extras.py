"""What each command needs beside the base install, and the sentence that says what is missing.

An extra is a list of packages in the metadata of grainloop. Here is looked up whether they are there, without importing
any; what their versions have to be is told by `grainloop check`.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from grainloop.protocols.errors import NotInstalled
from grainloop.protocols.version import install_command

EVERYTHING = ("sim", "controller", "model")
EXTRAS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("demo",): EVERYTHING,
    ("reconstruct",): EVERYTHING,
    ("bench", "reconstruct"): EVERYTHING,
    ("bench", "acquire"): EVERYTHING,
    ("train",): ("controller", "model"),
    ("plan",): EVERYTHING,
    ("check",): (),
    ("logs",): (),
    ("keys", "create"): (),
    ("keys", "authorise"): (),
    ("keys", "revoke"): (),
    ("keys", "list"): (),
    ("serve", "instrument"): (),  # without --driver it asks for "sim" itself
    ("serve", "model"): ("model",),
    ("serve", "controller"): ("controller",),
    ("run",): ("controller",),
    ("watch",): (),
    ("status",): (),
    ("resume",): ("controller",),
    ("pause",): (),
    ("stop",): (),
    ("abort",): (),
    ("replay",): ("controller",),  # with --policy, --model or --budget it asks for "model" itself
    ("diff",): ("controller",),
    ("repair",): ("controller",),
}
"""Command → extras without which it cannot do anything."""

SPARED: dict[tuple[str, ...], tuple[str, ...]] = {("serve", "model"): ("torch", "safetensors")}
"""Command → packages of its extras that it can do without: the classical methods answer then."""

DATA = "grainloop-data"
IN_CHECKOUT = "in the checkout"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?([>=]=)([0-9.]+)(?:.*extra == [\"'](\w+)[\"'])?")
_CPU_TORCH = "https://download.pytorch.org/whl/cpu"


@dataclass(frozen=True)
class Requirement:
    """A package that grainloop asks for."""

    name: str
    least: str
    exact: bool
    extra: str | None

    @property
    def found(self) -> str | None:
        """The version that is installed. The data count where grainloop finds them: a checkout has them by itself."""
        if self.name == DATA and not _data_are_there():
            return None
        try:
            return version(self.name)
        except PackageNotFoundError:
            return IN_CHECKOUT if self.name == DATA else None


def requirements() -> tuple[Requirement, ...]:
    """What the installed grainloop asks for; nothing where a folder is used without being installed."""
    try:
        asked = [match.groups() for line in requires("grainloop") or () if (match := _REQUIREMENT.match(line))]
    except PackageNotFoundError:
        return ()
    return tuple(Requirement(name, least, sign == "==", extra) for name, sign, least, extra in asked)


def require_extras_of(arguments: Sequence[str]) -> None:
    """Refuse a command line whose command lacks packages; one that only asks for help is never refused.

    Raises:
        NotInstalled: with the command that installs them.
    """
    for length in (1, 2):
        verb = tuple(arguments[:length])
        if verb in EXTRAS and "--help" not in arguments:
            require_extras(" ".join(verb), EXTRAS[verb], SPARED.get(verb, ()))


def require_extras(what: str, extras: Sequence[str], spared: Sequence[str] = ()) -> None:
    """Refuse `what` where packages of these extras are missing, other than those spared.

    Raises:
        NotInstalled: with the command that installs them.
    """
    lacking = [one for one in requirements() if one.extra in extras and one.found is None]
    if all(one.name in spared for one in lacking):
        return
    names = ", ".join(dict.fromkeys(one.name for one in lacking))
    asked = ("all",) if set(extras) == set(EVERYTHING) else tuple(extras)
    hint = _hint() if any(one.name == "torch" for one in lacking) else ""
    message = f"grainloop {what} needs {names}, not installed here; this installs it{hint}: {install_command(*asked)}"
    raise NotInstalled(message, field="install", value=names)


def _hint() -> str:
    """On Linux the torch of PyPI brings several GB of CUDA that nothing here uses."""
    wanted = sys.platform == "linux" and platform.machine() == "x86_64"
    return f" (torch without 6 GB of CUDA, first: pip install torch --index-url {_CPU_TORCH})" if wanted else ""


def _data_are_there() -> bool:
    from grainloop.model.weights import FOLDER

    return (FOLDER / "index.json").is_file()
