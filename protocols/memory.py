"""Giving memory back to the operating system once a piece of work is done; what is kept is not decided here."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _found() -> Callable[[int], int] | None:
    """`malloc_trim` of the C library, which only glibc has."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


_trim = _found()


def give_back_memory() -> bool:
    """Return what was freed; says whether any was, and costs about a millisecond.

    glibc keeps freed memory for the next request, as much as the largest piece of work so far took. A section of many
    points would so hold its peak until the service ends, on the computer that runs the microscope. Elsewhere nothing is
    done.

    Source: malloc_trim(3), Linux man-pages.
    """
    return _trim is not None and bool(_trim(0))
