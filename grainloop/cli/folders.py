"""Folders that commands write into."""

from __future__ import annotations

from pathlib import Path

from grainloop.protocols.errors import BadInput


def make_folder(out: Path | None) -> None:
    """Make the folder for files, if one is wanted.

    Raises:
        BadInput: it cannot be made.
    """
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {out} cannot be made: {error.strerror}.", field="out", value=out) from error
