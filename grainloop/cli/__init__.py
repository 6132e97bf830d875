"""The command `grainloop`. Importing it stays light: each command imports what it needs when it runs."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Sequence

_INTERRUPTED = 130
"""Exit code of what Ctrl-C ended, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    Every `GrainloopError` becomes one sentence on stderr and exit code 1; wrong usage is 2.
    """
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("grainloop: interrupted.", file=sys.stderr)  # noqa: T201
        return _INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    _listen_to_ctrl_c()
    from grainloop.cli.app import app

    # Whoever serves says where lines go; other commands say what matters by themselves.
    logging.getLogger("grainloop").addHandler(logging.NullHandler())
    try:
        _require_extras_of(sys.argv[1:] if arguments is None else arguments)
        app(args=None if arguments is None else list(arguments), prog_name="grainloop")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    except Exception as error:
        if (sentence := _sentence(error)) is None:
            raise
        print(f"grainloop: {sentence}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _sentence(error: Exception) -> str | None:
    """What went wrong in a sentence; nothing where it is a bug of ours."""
    from grainloop.protocols.errors import GrainloopError  # by now it is loaded; help needs no messages
    from grainloop.protocols.sentences import one_line

    if isinstance(error, GrainloopError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this."
    if isinstance(error, OSError):  # a disk, a folder or a file that does not do what was asked of it
        reason = one_line(error.strerror or error).rstrip(".")
        named = error.filename2 or error.filename
        return f"{one_line(named)} cannot be used: {reason}." if named else f"The operating system refuses: {reason}."
    return None


def _require_extras_of(words: Sequence[str]) -> None:
    if words and "--help" not in words:  # help needs nothing, and is not to wait for what is looked up here
        from grainloop.cli.extras import require_extras_of

        require_extras_of(words)


def _listen_to_ctrl_c() -> None:
    """Stay interruptible where a shell that started us in the background handed SIGINT down as ignored."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
