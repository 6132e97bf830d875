"""The command `grainloop`. Importing it stays light: each command imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from protocols.errors import GrainloopError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    Every `GrainloopError` becomes one sentence on stderr and exit code 1; wrong usage is 2.
    """
    from controller.cli.app import app

    try:
        app(args=None if arguments is None else list(arguments), prog_name="grainloop")
    except GrainloopError as error:
        print(f"grainloop: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    return 0
