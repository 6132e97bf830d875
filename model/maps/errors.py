"""The one error of the map readers and writers."""

from __future__ import annotations

from pathlib import Path


class MapFileError(ValueError):
    """A map file that cannot be read or written; the sentence names the file, the line or field, and the value."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
