"""The journal shown as `session.h5`: what an entry adds to the view, live or when the view is made again.

The journal is the truth, so that a view that was lost, cut short or damaged is made again from it. What only the view
holds, the maps of a running loop, is not: it follows from the points.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from grainloop.controller.journal import (
    BatchClosed,
    Began,
    Corrected,
    Decided,
    Ended,
    EventTold,
    LightStored,
    PointsStored,
    Reconstructed,
    Resumed,
    SoftwareTold,
    batch_of,
    read_journal,
)
from grainloop.controller.session.writer import SessionFile
from grainloop.protocols.errors import BadInput

FINAL: Final = "final"
BROKEN: Final = ".broken"


def show(view: SessionFile, entry: Any) -> None:
    """Add an entry to the view; kinds that the view does not hold add nothing."""
    if (add := _ADDS.get(type(entry))) is not None:
        add(view, entry)


def repair(journal: Path, session: Path) -> tuple[int, tuple[str, ...]]:
    """Make `session` again from the journal in a folder; what was there is kept beside it as `….broken`.

    Returns:
        Number of points, and one sentence for each damage of the journal.

    Raises:
        BadInput: there is no journal, or its beginning is lost.
    """
    found = read_journal(journal)
    if not any(isinstance(entry, Began) for entry in found.entries):
        message = f"The beginning of the journal in {journal} is lost: {' '.join(found.damage) or 'it is empty'}."
        raise BadInput(message.replace("..", "."), field="session", value=journal)
    return remake(found.entries, session), found.damage


def remake(entries: Sequence[Any], session: Path) -> int:
    """Make `session` again from entries that hold a beginning; what was there is kept; returns the number of points."""
    began = next(entry for entry in entries if isinstance(entry, Began))
    made = _made_of(began, entries, session)
    if session.exists():
        os.replace(session, session.with_name(f"{session.name}{BROKEN}"))
    os.replace(made, session)
    return sum(len(entry.points) for entry in entries if isinstance(entry, PointsStored))


def replace_view(began: Began, entries: Iterable[Any], session: Path) -> None:
    """Put the view of entries in the place of `session`."""
    os.replace(_made_of(began, entries, session), session)


def _made_of(began: Began, entries: Iterable[Any], session: Path) -> Path:
    """A view made anew, closed, beside `session`."""
    made = session.with_name(f"{session.name}.new")
    made.unlink(missing_ok=True)
    with closing(SessionFile(made, began.terms, began.created)) as view:
        for entry in entries:
            show(view, entry)
    return made


def _began(view: SessionFile, entry: Began | Resumed) -> None:
    view.add_software(entry.software)
    view.add_sync(entry.sync)
    view.not_over()


def _closed(view: SessionFile, entry: BatchClosed) -> None:
    if entry.withdrawn:
        view.withdraw_batch(entry.batch, entry.asked)
    else:
        view.close_batch(entry.batch, entry.asked, entry.points, entry.done, entry.error)


_ADDS: Final[dict[type, Callable[[SessionFile, Any], None]]] = {
    Began: _began,
    Resumed: _began,
    SoftwareTold: lambda view, entry: view.add_software(entry.software),
    LightStored: lambda view, entry: view.add_light(entry.light, entry.seconds),
    Corrected: lambda view, entry: view.add_correction(entry.model_dump(exclude={"kind"})),
    Decided: lambda view, entry: view.add_decision(batch_of(entry), entry.about),
    PointsStored: lambda view, entry: view.add_points(entry.batch, entry.points),
    BatchClosed: _closed,
    Reconstructed: lambda view, entry: view.add_inferred(FINAL, entry.answer, entry.points),
    EventTold: lambda view, entry: view.add_event(entry.event),
    Ended: lambda view, entry: view.finish(entry.reason, entry.detail),
}
