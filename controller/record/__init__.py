"""What a run leaves behind: the journal first, then its view; and journals that lost records, mended from that view."""

from grainloop.controller.record.mending import mend
from grainloop.controller.record.recording import (
    JOURNAL_NAME,
    LOST,
    SESSION_NAME,
    OnEntry,
    Recording,
    folder_of,
    ignore,
    recorded_beginning,
)

__all__ = [
    "JOURNAL_NAME",
    "LOST",
    "SESSION_NAME",
    "OnEntry",
    "Recording",
    "folder_of",
    "ignore",
    "mend",
    "recorded_beginning",
]
