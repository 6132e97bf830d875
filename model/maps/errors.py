"""The one error of the map readers and writers."""

from __future__ import annotations

from pathlib import Path

_PREDICATES = ("is ", "has ", "holds ", "cannot ", "announces ", "declares ")
"""What goes on a sentence that the file begins."""


class MapFileError(ValueError):
    """A map file that cannot be read or written; the sentence names the file, the line or field, and the value."""

    def __init__(self, path: Path, problem: str) -> None:
        between = " " if problem.startswith(_PREDICATES) else ": "
        super().__init__(f"{path}{between}{problem}")
        self.path = path
        self.problem = problem
