"""A disk whose power may fail: of each file only those bytes are left that were there when it was synced last.

A file whose name was not on disk is not there at all: its folder must have been synced since it was made.
"""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """Stands in for `fsync` and `fdatasync`, and knows what they were asked for.

    Attributes:
        syncs: how often.
    """

    def __init__(self) -> None:
        self.syncs = 0
        self._sizes: dict[int, int] = {}
        self._names: set[Path] = set()
        self._held: list[int] = []

    def sync(self, descriptor: int) -> None:
        """In the place of `os.fsync`."""
        self.syncs += 1
        found = os.fstat(descriptor)
        if found.st_ino not in self._sizes:
            self._held.append(os.dup(descriptor))  # as long as it is open no other file gets its number
        self._sizes[found.st_ino] = found.st_size

    def sync_folder(self, folder: Path) -> None:
        """In the place of `sync_folder`: the names in it now are on disk."""
        self._names |= {path.resolve() for path in folder.iterdir()}

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in self._held:
            os.close(descriptor)

    def copy_survivors(self, folder: Path, into: Path, pattern: str) -> Path:
        """What a power failure now would leave of the files of a folder; returns `into`."""
        into.mkdir(exist_ok=True)
        for path in folder.glob(pattern):
            if path.resolve() not in self._names:
                continue
            (into / path.name).write_bytes(path.read_bytes()[: self._sizes.get(path.stat().st_ino, 0)])
        return into
