"""The process that prepares: does the rehearsals, and says on stdout what it compiles. Started by `preparing`.

`python -m grainloop.cli.prepare.work --list` writes `kernels.json` instead: what of it a run calls, with which types.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grainloop.cli.prepare.rehearsals import REHEARSALS
from grainloop.protocols.files import write_text

LIST = Path(__file__).with_name("kernels.json")
OWN = "grainloop."


def rehearse(say: Callable[[dict[str, Any]], None]) -> None:
    """Do all rehearsals; `say` is told of each, of each kernel that is compiled, and of packages that are missing."""
    from numba.core import event

    class Compiling(event.Listener):
        """Tells of our own kernels, not of what numba compiles for itself."""

        def on_start(self, event: Any) -> None:
            function = event.data["dispatcher"].py_func
            if function.__module__.startswith(OWN):
                say({"compiles": function.__qualname__})

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Compiling()):
        for rehearsal in REHEARSALS:
            say({"rehearses": rehearsal.what})
            try:
                rehearsal.work()
            except ImportError as error:
                say({"missing": error.name or str(error), "for": rehearsal.what})


def compiled_types() -> dict[str, list[str]]:
    """Kernel → types of arguments, of everything of ours that this process has compiled or loaded by calling it."""
    from numba.core.registry import CPUDispatcher

    found: dict[str, list[str]] = {}
    for one in gc.get_objects():
        if type(one) is CPUDispatcher and one.signatures and one.py_func.__module__.startswith(OWN):
            name = f"{one.py_func.__module__}.{one.py_func.__qualname__}"
            found[name] = sorted(", ".join(map(_short, types)) for types in one.signatures)
    return dict(sorted(found.items()))


def _short(kind: Any) -> str:
    """A type without what all of ours have in common."""
    return str(kind).replace(", aligned=True", "")


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Rehearse, then write the list if asked."""
    rehearse(_tell)
    if "--list" in arguments:
        write_text(LIST, json.dumps(compiled_types(), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
