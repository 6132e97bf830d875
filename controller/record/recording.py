"""What a run leaves behind, as it goes: journal first, then its views.

An entry is in the journal when `record` returns, on disk unless `Sync.NEVER` was asked for, and only then anybody may
count on it. Where there is no room for it, it waits here with all that come after it until there is
(`store_waiting`); whoever acts on what is recorded asks whether anything waits. The first view, `session.h5`, follows
at once; should it be lost, the run goes on, and it is made again from the journal at the end, or by `grainloop repair`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from grainloop.controller.decide import Decider
from grainloop.controller.journal import (
    ADVICE,
    Began,
    Entry,
    EventTold,
    Journal,
    JournalFull,
    JournalLost,
    KeepsEntries,
    LatestMaps,
    MemoryJournal,
    PointsStored,
    Replayed,
    Resumed,
    first_entry,
    replay,
)
from grainloop.controller.record.first_view import FirstView, Trouble, nobody
from grainloop.controller.record.taken_up import decided_again, united_words, view_replaced
from grainloop.controller.record.union import held_in, put_behind
from grainloop.controller.record.views import Views
from grainloop.controller.session import (
    ReopenedSessionFile,
    SessionFile,
    SessionView,
    now_text,
    software_versions,
)
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import Sync

SESSION_NAME, JOURNAL_NAME = "session.h5", "journal"
"""The session file, and the folder of the journal beside it."""


def folder_of(session: Path) -> Path:
    """The folder of a session that is named by its folder or by its session file."""
    return session.parent if session.suffix == ".h5" else session


def recorded_beginning(folder: Path) -> Began:
    """How the run recorded in a folder began.

    Raises:
        BadInput: there is no journal, or its beginning is lost.
    """
    began = first_entry(folder / JOURNAL_NAME)
    if not isinstance(began, Began):
        message = f"The beginning of the journal in {folder} is lost. {ADVICE}"
        raise BadInput(message, field="session", value=folder)
    return began


def _new_journal(folder: Path, sync: Sync) -> Journal:
    """A journal in a folder that holds none.

    Raises:
        BadInput: it holds one, or cannot be written.
    """
    journal = Journal(folder, sync)
    if journal.next_number:
        journal.close()
        message = f"There is a journal in {folder} already; choose another folder or move it away."
        raise BadInput(message, field="session", value=folder)
    return journal


class Recording:
    """Journal, session file and other views of one run.

    Args:
        path: of the session file.
        journal: where entries are stored.
        file: the first view; nothing where there is none.
        earlier: entries that the journal holds already.

    Attributes:
        path: of the session file.
        journal: of the run.
        points: how many are in it.
        united: what became of points that only the session file held when the run was gone on with, in sentences.
    """

    def __init__(
        self, path: Path, journal: KeepsEntries, file: SessionView | None, earlier: Sequence[Entry] = ()
    ) -> None:
        self.path, self.journal = path, journal
        self._first = FirstView(path, path.with_name(JOURNAL_NAME), file)
        self.points = sum(len(entry.points) for entry in earlier if isinstance(entry, PointsStored))
        self._earlier, self._views, self.united = list(earlier), None, ""
        self._waiting = deque[Entry]()
        self._when_full: Trouble = nobody

    @classmethod
    def begin(cls, path: Path, decider: Decider, sync: Sync) -> Recording:
        """A new recording beside nothing, of a run that `decider` decides.

        Raises:
            BadInput: there is a session in the folder already, or it cannot be written.
            JournalLost: the beginning cannot be written.
            CannotStore: nor can the session file.
        """
        began = _beginning(decider, sync)
        file = SessionFile(path, began.terms, began.created)
        try:
            journal = _new_journal(path.with_name(JOURNAL_NAME), sync)
        except BadInput:
            file.discard()
            raise
        recording = cls(path, journal, SessionView(file))
        try:
            recording.record(began)
            recording.require_stored()
        except JournalLost:
            journal.close()
            file.discard()
            raise
        return recording

    @classmethod
    def nowhere(cls, path: Path, decider: Decider, sync: Sync) -> Recording:
        """The same for a run that nobody will go on with: nothing is written, its views are told all the same."""
        recording = cls(path, MemoryJournal(), None)
        recording.record(_beginning(decider, sync))
        return recording

    @classmethod
    def take_up(cls, path: Path, sync: Sync) -> tuple[Recording, Replayed]:
        """Go on with the recording of a run whose controller died; the view is made again.

        Raises:
            BadInput: there is no journal, another process writes it, it is damaged, its decisions cannot be made again,
                or the run was completed.
            JournalLost: that it goes on cannot be written.
            CannotStore: nor can the session file.
        """
        folder = path.with_name(JOURNAL_NAME)
        began = recorded_beginning(path.parent)  # before a journal is begun where there is none
        journal = Journal(folder, sync)
        try:
            entries, found = decided_again(folder, path)
            held = held_in(path)
            if back := put_behind(entries, held):
                for entry in back:
                    journal.append(entry)
                entries = (*entries, *back)
                found = replay(entries)
            kept = view_replaced(began, entries, held, path)
            recording = cls(path, journal, SessionView(ReopenedSessionFile(path)), entries)
            recording.united = united_words(back, kept, path.name)
        except BaseException:
            journal.close()
            raise
        try:
            recording.record(Resumed(created=now_text(), software=software_versions(), sync=sync))
            recording.require_stored()
        except JournalLost:
            recording.close()
            raise
        found.decider.ledger.meet_again()
        return recording, found

    def attach(self, views: Views, when_full: Trouble, when_view_lost: Trouble) -> None:
        """Show these what is recorded from now on; they recall what was before.

        Args:
            views: who looks.
            when_full: told that entries begin to wait for room.
            when_view_lost: told that the session file is written no more.
        """
        views.recall(self._earlier)
        self._earlier, self._views = [], views
        self._when_full, self._first.when_lost = when_full, when_view_lost

    # --- an entry -----------------------------------------------------------------------------------------------------
    def record(self, entry: Entry) -> None:
        """Store an entry, then show it to the views in order; where there is no room for it, it waits.

        What is said is shown all the same: an operator who is not told cannot make room.

        Raises:
            JournalLost: it cannot be written, now or later.
        """
        waited = bool(self._waiting)
        self._waiting.append(entry)
        try:
            self.store_waiting()
        except JournalFull as full:
            if isinstance(entry, EventTold) and self._views is not None:
                self._views.show(entry, None, 0.0)
            if not waited:
                self._when_full(full.message)

    def store_waiting(self) -> None:
        """Store what waits, in order.

        Raises:
            JournalFull: there is no room yet.
            JournalLost: it cannot be written.
        """
        while self._waiting:
            self._store(self._waiting[0])

    def require_stored(self) -> None:
        """See that nothing waits.

        Raises:
            JournalLost: something does, and there is no room for it.
        """
        try:
            self.store_waiting()
        except JournalFull as full:
            points = sum(len(entry.points) for entry in self._waiting if isinstance(entry, PointsStored))
            lost = f" {points:,} points that came since are not stored." if points else ""
            raise JournalLost(f"{full.message}{lost}", field="session", value=self.path) from full

    def _store(self, entry: Entry) -> None:
        began_s = time.perf_counter()
        number = self.journal.append(entry)
        self._waiting.popleft()
        if isinstance(entry, PointsStored):
            self.points += len(entry.points)
        if self._views is None:
            self._earlier.append(entry)
        self.show(entry, number, time.perf_counter() - began_s)

    def show(self, entry: Entry | LatestMaps, number: int | None = None, seconds: float = 0.0) -> None:
        """Show the views what is in the journal, or need not be."""
        self._first.show(entry, number, seconds)
        if self._views is not None:
            self._views.show(entry, number, seconds)

    def close(self) -> None:
        """Close both, and make the session file again where it was lost; closing twice does nothing."""
        self._first.close()
        self.journal.close()
        self._first.make_again()


def _beginning(decider: Decider, sync: Sync) -> Began:
    return Began(
        run=decider.run,
        created=now_text(),
        plan=decider.terms.plan,
        capabilities=decider.terms.capabilities,
        software=software_versions(),
        sync=sync,
        answers=decider.ledger.answers,
    )
