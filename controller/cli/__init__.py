"""The command `grainloop`. Importing it stays light: each command imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from protocols.errors import GrainloopError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    Every `GrainloopError` becomes one sentence on stderr and exit code 1; wrong usage is 2, Ctrl-C is 130.
    """
    import click

    from controller.cli.app import app

    try:
        result = app(args=None if arguments is None else list(arguments), prog_name="grainloop", standalone_mode=False)
    except GrainloopError as error:
        print(f"grainloop: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("grainloop: interrupted.", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    return result if isinstance(result, int) else 0
