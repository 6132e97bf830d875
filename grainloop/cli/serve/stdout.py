"""Stdout for this program alone: whatever else writes there, `print` or compiled code, writes to stderr instead.

A parent waits for one line of a service on stdout; drivers and vendor libraries print there what they like.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO

_OUT, _ERR = 1, 2
_C_LIBRARY = "ucrtbase" if sys.platform == "win32" else None


@contextmanager
def own_stdout() -> Generator[TextIO]:
    """The real stdout while the context lasts; descriptor 1 is stderr meanwhile, or nothing without stderr."""
    real = _descriptor(_OUT)
    with os.fdopen(real, "w", encoding="utf-8", errors="backslashreplace") as out:
        aside = _descriptor(_ERR)
        os.dup2(aside, _OUT)
        os.close(aside)
        try:
            with redirect_stdout(sys.stderr):
                yield out
        finally:
            _flush()
            with suppress(OSError):
                os.dup2(real, _OUT)


def _descriptor(number: int) -> int:
    """A copy of a descriptor, or nowhere if it is closed."""
    try:
        return os.dup(number)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _flush() -> None:
    """What Python and the C library hold back was written to descriptor 1 as it is now."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(_C_LIBRARY).fflush(None)
