"""Folders that commands write into: proven before the work begins, whose results would have nowhere to go."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from grainloop.protocols.errors import BadInput, GrainloopError
from grainloop.protocols.files import require_legible

_PROBE_BYTES: Final = 2**16
"""That a folder must have room for: less than any result takes."""


def make_folder(out: Path | None) -> None:
    """Make the folder for files, if one is wanted, and see that files can be made in it.

    Raises:
        BadInput: it cannot be made or written, or its name holds what a terminal would obey.
    """
    if out is None:
        return
    require_legible(str(out), "out", "The folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = "it is no folder" if isinstance(error, FileExistsError) else told(error)
        raise BadInput(f"The folder {out} cannot be made: {reason}.", field="out", value=out) from error
    try:
        with TemporaryFile(dir=out) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
    except OSError as error:
        raise BadInput(f"The folder {out} cannot be written: {told(error)}.", field="out", value=out) from error


@contextmanager
def drawing(out: Path, session: Path) -> Generator[None]:
    """While figures of a run are made that is over: what hinders them is told, and the run stays what it is."""
    try:
        yield
    except (OSError, MemoryError, GrainloopError) as error:
        why = f"grainloop: The figures in {out} cannot be written: {told(error)}. The run itself is whole: {session}."
        print(why, file=sys.stderr)  # noqa: T201


def told(error: BaseException) -> str:
    """What an error says, as the end of a sentence."""
    if isinstance(error, OSError):
        return error.strerror or os.strerror(error.errno or 0)
    return str(error).rstrip(".") or type(error).__name__
