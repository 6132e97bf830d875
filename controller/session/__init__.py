"""`session.h5`, a view of the journal for people and their programs: written as a run goes on, read back, made again.

What is where in it is told in `layout`. Nothing here decides, and nothing in it is the only copy of a point.
"""

from grainloop.controller.session.held import HeldPoints, held_points
from grainloop.controller.session.layout import INFERRED_MAPS
from grainloop.controller.session.reader import Inferred, Requested, Session, load_session
from grainloop.controller.session.software import now_text, software_versions
from grainloop.controller.session.view import SessionView, remake, replace_view
from grainloop.controller.session.writer import CannotStore, ReopenedSessionFile, SessionFile

__all__ = [
    "INFERRED_MAPS",
    "CannotStore",
    "HeldPoints",
    "Inferred",
    "ReopenedSessionFile",
    "Requested",
    "Session",
    "SessionFile",
    "SessionView",
    "held_points",
    "load_session",
    "now_text",
    "remake",
    "replace_view",
    "software_versions",
]
