"""Who looks at a run while it is recorded: told every entry once it is stored, in order.

The session file is a view that a run cannot do without (`controller.record.recording`). All others stand here: what is
wrong with one of them is logged once, that one is told nothing more, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from grainloop.controller.journal import Entry, EventTold, LatestMaps
from grainloop.protocols.messages import RunEvent
from grainloop.protocols.observability import get_logger


class View(Protocol):
    """Somebody who looks. Both are called in the thread of the run and must return at once."""

    def recall(self, entries: Sequence[Entry]) -> None:
        """What was recorded before this view was there, from the beginning of the run on."""
        ...

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:
        """The next one: what happened, the number of its record, and how long storing it took.

        There is no number where there is no record: maps of a running loop, and what is said before there is a
        recording or when it cannot be written. What is said while the recording waits for room is shown once more, with
        its number, when it is stored (`Heard`).
        """
        ...


class Views:
    """All who look, in order; none of them can end the run."""

    def __init__(self, views: Iterable[View] = ()) -> None:
        self._views = list(views)

    def add(self, view: View) -> None:
        """One more, told what comes from now on."""
        self._views.append(view)

    def recall(self, entries: Sequence[Entry]) -> None:
        """See `View.recall`."""
        self._each(lambda view: view.recall(entries))

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:
        """See `View.show`."""
        self._each(lambda view: view.show(entry, number, seconds))

    def _each(self, tell: Callable[[View], None]) -> None:
        for view in list(self._views):
            try:
                tell(view)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with who looks, the run goes on
                self._views.remove(view)
                get_logger(service="controller").error("view dropped", view=type(view).__name__, exc_info=error)


class Heard:
    """Which events of a run were heard, so that none is told twice."""

    def __init__(self) -> None:
        self._newest = 0

    def is_new(self, event: RunEvent) -> bool:
        """Whether an event was not heard before; now it is."""
        new = event.sequence > self._newest
        self._newest = max(self._newest, event.sequence)
        return new


class EventsTo:
    """A view that passes the events of a run on, and nothing else."""

    def __init__(self, tell: Callable[[RunEvent], object]) -> None:
        self._tell, self._heard = tell, Heard()

    def recall(self, entries: Sequence[Entry]) -> None:
        """Events of before were heard before."""

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:  # noqa: ARG002
        """Pass an event on."""
        if isinstance(entry, EventTold) and self._heard.is_new(entry.event):
            self._tell(entry.event)
