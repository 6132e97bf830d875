"""The journal shown as `session.h5`: what an entry adds to the view, live or when the view is made again.

The journal is the truth, so that a view that was lost, cut short or damaged is made again from it. What only the view
holds, the maps of a running loop, is not: it follows from the points.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, assert_never

from grainloop.controller.journal import (
    BatchClosed,
    Began,
    Corrected,
    Decided,
    Ended,
    Entry,
    EventTold,
    LatestMaps,
    LightStored,
    PointsStored,
    QuestionAnswered,
    QuestionAsked,
    Reconstructed,
    Resumed,
    SoftwareTold,
    Started,
    Stopped,
    batch_of,
    count_points,
)
from grainloop.controller.session.writer import SessionFile
from grainloop.protocols.errors import BadInput
from grainloop.protocols.record_file import keep_aside

LATEST: Final = "latest"
FINAL: Final = "final"
BROKEN: Final = ".broken"


class SessionView:
    """An open session file that is shown what a run records."""

    def __init__(self, file: SessionFile) -> None:
        self._file = file

    def recall(self, entries: Sequence[Entry]) -> None:
        """The file was made of what was recorded before."""

    def show(self, entry: Entry | LatestMaps, number: int | None = None, seconds: float = 0.0) -> None:  # noqa: ARG002
        """Add an entry to the file; kinds that it does not hold add nothing.

        Raises:
            CannotStore: it cannot be written.
        """
        file = self._file
        match entry:
            case Began() | Resumed():
                file.add_software(entry.software)
                file.add_sync(entry.sync)
                file.not_over()
            case SoftwareTold():
                file.add_software(entry.software)
            case LightStored():
                file.add_light(entry.light, entry.seconds)
            case Corrected():
                file.add_correction(entry.model_dump(exclude={"kind"}))
            case Decided():
                file.add_decision(batch_of(entry), entry.about)
            case PointsStored():
                file.add_points(entry.batch, entry.points)
            case BatchClosed():
                _add_end(file, entry)
            case LatestMaps():
                file.add_inferred(LATEST, entry.answer, entry.points)
            case Reconstructed():
                file.add_inferred(FINAL, entry.answer, entry.points)
            case EventTold():
                file.add_event(entry.event)
            case Ended():
                file.finish(entry.reason, entry.detail)
            case Started() | QuestionAsked() | QuestionAnswered() | Stopped():
                pass  # the file holds decisions with their timing, and maps
            case _:
                assert_never(entry)

    def close(self) -> None:
        """Close the file; closing twice does nothing.

        Raises:
            CannotStore: what was not flushed cannot be written.
        """
        self._file.close()


def _add_end(file: SessionFile, entry: BatchClosed) -> None:
    if entry.withdrawn:
        file.withdraw_batch(entry.batch, entry.asked)
    else:
        file.close_batch(entry.batch, entry.asked, entry.points, entry.done, entry.error)


class Made(NamedTuple):
    """A view made again.

    Attributes:
        points: in it.
        kept: the file that was there, under its new name, if there was one.
    """

    points: int
    kept: Path | None


def remake(entries: Sequence[Entry], session: Path) -> Made:
    """Make `session` again from entries that hold a beginning; what was there is kept under a name that is new.

    Raises:
        BadInput: the folder cannot be written.
    """
    began = next(entry for entry in entries if isinstance(entry, Began))
    kept = replace_view(began, entries, session, keep=True)
    return Made(count_points(entries), kept)


def replace_view(began: Began, entries: Iterable[Entry], session: Path, *, keep: bool) -> Path | None:
    """Put the view of entries in the place of `session`; the name under which what was there is kept, where it is.

    Raises:
        BadInput: the folder cannot be written; what was there is still there then.
    """
    try:
        made = _made_of(began, entries, session)
        kept = keep_aside(session, BROKEN) if keep and session.exists() else None
        os.replace(made, session)
    except OSError as error:
        message = f"The session file {session} cannot be made again: {error.strerror or error}."
        raise BadInput(message, field="session", value=session) from error
    return kept


def _made_of(began: Began, entries: Iterable[Entry], session: Path) -> Path:
    """A view made anew, closed, beside `session`."""
    made = session.with_name(f"{session.name}.new")
    made.unlink(missing_ok=True)
    try:
        with closing(SessionView(SessionFile(made, began.terms, began.created))) as view:
            for entry in entries:
                view.show(entry)
    except BaseException:
        made.unlink(missing_ok=True)  # half a view takes room, and is of no use
        raise
    return made
