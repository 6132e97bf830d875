"""Folders as a controller leaves them that died while it wrote the journal."""

from __future__ import annotations

import shutil
from pathlib import Path

from grainloop.controller.journal.reading import journal_files
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.protocols.records import Record, read_records


def record_ends(folder: Path) -> list[int]:
    """Sizes of the journal behind each of its records, of which the header is none."""
    (file,) = journal_files(folder / JOURNAL_NAME)
    return [found.end for found in read_records(file.read_bytes()) if isinstance(found, Record)]


def cut_at(whole: Path, folder: Path, size: int) -> None:
    """Copy the folder of a run, its journal cut to a size."""
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    (file,) = journal_files(folder / JOURNAL_NAME)
    file.write_bytes(file.read_bytes()[:size])
