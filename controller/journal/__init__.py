"""The journal of a session: everything that happened, one record after the other, on disk before it counts.

`protocols.records` are bytes, `entries` are what they mean, `writing` and `reading` are the files, `doubts` what older
ones hold that cannot be; `replay` decides again what they hold. It is the truth of a session; `session.h5` is a view of
it.
"""

from grainloop.controller.journal import entries
from grainloop.controller.journal.decisions import answered_entry, batch_of, corrected_entry, decided_entry
from grainloop.controller.journal.doubts import known_reasons
from grainloop.controller.journal.entries import (
    BatchClosed,
    Began,
    Corrected,
    Decided,
    Ended,
    Entry,
    EventTold,
    Item,
    LatestMaps,
    LightStored,
    Missing,
    PointsStored,
    QuestionAnswered,
    QuestionAsked,
    Reconstructed,
    Refused,
    Resumed,
    SoftwareTold,
    Started,
    Stopped,
)
from grainloop.controller.journal.memory import KeepsEntries, MemoryJournal
from grainloop.controller.journal.reading import ADVICE, Found, count_points, first_entry, journal_files, read_journal
from grainloop.controller.journal.replay import Replayed, first_difference, replay, said_of
from grainloop.controller.journal.writing import LOCK, SUFFIX, TORN, Journal, JournalFull, JournalLost, locked

__all__ = [
    "ADVICE",
    "LOCK",
    "SUFFIX",
    "TORN",
    "BatchClosed",
    "Began",
    "Corrected",
    "Decided",
    "Ended",
    "Entry",
    "EventTold",
    "Found",
    "Item",
    "Journal",
    "JournalFull",
    "JournalLost",
    "KeepsEntries",
    "LatestMaps",
    "LightStored",
    "MemoryJournal",
    "Missing",
    "PointsStored",
    "QuestionAnswered",
    "QuestionAsked",
    "Reconstructed",
    "Refused",
    "Replayed",
    "Resumed",
    "SoftwareTold",
    "Started",
    "Stopped",
    "answered_entry",
    "batch_of",
    "corrected_entry",
    "count_points",
    "decided_entry",
    "entries",
    "first_difference",
    "first_entry",
    "journal_files",
    "known_reasons",
    "locked",
    "read_journal",
    "replay",
    "said_of",
]
