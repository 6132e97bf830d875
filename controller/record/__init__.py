"""What a run leaves behind: the journal first, then its view; and journals that lost records, mended from that view."""

from grainloop.controller.record.first_view import Trouble, nobody
from grainloop.controller.record.mending import mend
from grainloop.controller.record.recording import (
    JOURNAL_NAME,
    LOST,
    SESSION_NAME,
    Recording,
    folder_of,
    recorded_beginning,
)
from grainloop.controller.record.views import EventsTo, Heard, View, Views

__all__ = [
    "JOURNAL_NAME",
    "LOST",
    "SESSION_NAME",
    "EventsTo",
    "Heard",
    "Recording",
    "Trouble",
    "View",
    "Views",
    "folder_of",
    "mend",
    "nobody",
    "recorded_beginning",
]
