"""What a run leaves behind: the journal first, then its view; and journals that lost records, mended from that view."""

from grainloop.controller.record.first_view import Trouble, nobody
from grainloop.controller.record.mending import mend, repair
from grainloop.controller.record.recording import (
    JOURNAL_NAME,
    SESSION_NAME,
    Recording,
    folder_of,
    recorded_beginning,
)
from grainloop.controller.record.union import Apart, apart, held_in
from grainloop.controller.record.views import EventsTo, Heard, View, Views

__all__ = [
    "JOURNAL_NAME",
    "SESSION_NAME",
    "Apart",
    "EventsTo",
    "Heard",
    "Recording",
    "Trouble",
    "View",
    "Views",
    "apart",
    "folder_of",
    "held_in",
    "mend",
    "nobody",
    "recorded_beginning",
    "repair",
]
