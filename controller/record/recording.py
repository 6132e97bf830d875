"""What a run leaves behind, as it goes: journal first, then its view.

An entry is in the journal when a method returns, on disk unless `Sync.NEVER` was asked for, and only then anybody may
count on it. The view, `session.h5`, follows at once; should it be lost, `grainloop repair` makes it again from the
journal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from grainloop.controller.decide import Batch, Decider, Shift
from grainloop.controller.journal import (
    ADVICE,
    BatchClosed,
    Began,
    Corrected,
    Ended,
    EventTold,
    Journal,
    JournalLost,
    LightStored,
    PointsStored,
    QuestionAnswered,
    QuestionAsked,
    Reconstructed,
    Replayed,
    Resumed,
    SoftwareTold,
    Started,
    Stopped,
    decided_entry,
    first_entry,
    read_journal,
    replay,
)
from grainloop.controller.ledger import Moved
from grainloop.controller.session import (
    FINAL,
    CannotStore,
    ReopenedSessionFile,
    SessionFile,
    now_text,
    replace_view,
    show,
    software_versions,
)
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import Reconstruction, RunEvent, ScanDone, Sync
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import LightImages, PointBlock, Value

LOST = (JournalLost, CannotStore)
"""Errors after which nothing more may be measured."""
OnEntry = Callable[[Value, float], None]
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


def ignore(_entry: Value, _seconds: float) -> None:
    """The default of `Recording.on_entry`."""


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
    """Journal and session file of one run.

    Attributes:
        path: of the session file.
        journal: of the run.
        points: how many are in it.
        on_entry: told every entry that is in the journal, and how many seconds that took; must not raise.
    """

    def __init__(self, path: Path, journal: Journal, view: SessionFile) -> None:
        self.path, self.journal, self._view, self.points = path, journal, view, 0
        self.on_entry: OnEntry = ignore

    @classmethod
    def begin(cls, path: Path, decider: Decider, sync: Sync) -> Recording:
        """A new recording beside nothing, of a run that `decider` decides.

        Raises:
            BadInput: there is a session in the folder already, or it cannot be written.
            JournalLost, CannotStore: the beginning cannot be written.
        """
        created = now_text()
        terms = decider.terms
        view = SessionFile(path, terms, created)
        began = Began(
            run=decider.run,
            created=created,
            plan=terms.plan,
            capabilities=terms.capabilities,
            software=software_versions(),
            sync=sync,
            answers=decider.ledger.answers,
        )
        try:
            journal = _new_journal(path.with_name(JOURNAL_NAME), sync)
        except BadInput:
            view.discard()
            raise
        recording = cls(path, journal, view)
        try:
            recording.record(began)
        except LOST:
            journal.close()
            view.discard()
            raise
        return recording

    @classmethod
    def take_up(cls, path: Path, sync: Sync) -> tuple[Recording, Replayed]:
        """Go on with the recording of a run whose controller died; the view is made again.

        Raises:
            BadInput: there is no journal, another process writes it, it is damaged, its decisions cannot be made again,
                or the run was completed.
            JournalLost, CannotStore: that it goes on cannot be written.
        """
        folder = path.with_name(JOURNAL_NAME)
        began = recorded_beginning(path.parent)  # before a journal is begun where there is none
        journal = Journal(folder, sync)
        try:
            read = read_journal(folder)
            if read.damage:
                raise BadInput(f"{read.damage[0]} {ADVICE}", field="session", value=folder)
            entries = read.entries
            found = replay(entries)
            if found.difference is not None:
                raise BadInput(f"The run in {path.parent} cannot be gone on with. {found.difference}", field="session")
            if found.ended is not None and found.ended.reason is FinishReason.COMPLETED:
                message = f"The run in {path.parent} was completed: {found.ended.detail}."
                raise BadInput(message, field="session", value=path.parent)
            replace_view(began, entries, path)
            recording = cls(path, journal, ReopenedSessionFile(path))
            recording.points = sum(len(entry.points) for entry in entries if isinstance(entry, PointsStored))
        except BaseException:
            journal.close()
            raise
        try:
            recording.record(Resumed(created=now_text(), software=software_versions(), sync=sync))
        except LOST:
            recording.close()
            raise
        found.decider.ledger.meet_again()
        return recording, found

    def record(self, entry: Value) -> None:
        """Store an entry, then show it.

        Raises:
            JournalLost, CannotStore: it cannot be written.
        """
        began_s = time.perf_counter()
        self.journal.append(entry)
        self.on_entry(entry, time.perf_counter() - began_s)
        show(self._view, entry)

    def add_software(self, more: Mapping[str, str]) -> None:
        """Versions known only when the services have answered."""
        self.record(SoftwareTold(software=dict(more)))

    def add_light(self, light: LightImages, seconds: float) -> None:
        """The PL images as taken."""
        self.record(LightStored(light=light, seconds=seconds))

    def add_decision(self, batch: Batch, about: Mapping[str, Any]) -> None:
        """A decided batch with its reasons and gains, before it is sent."""
        self.record(decided_entry(batch, dict(about)))

    def add_points(self, batch: int, block: PointBlock, lost: str | None = None) -> None:
        """Points as they come, before they are acknowledged, and why their results are lost, if the service says so."""
        self.record(PointsStored(batch=batch, points=block, lost=lost))
        self.points += len(block)

    def close_batch(self, batch: int, asked: int, points: int, done: ScanDone | None, error: str | None) -> None:
        """How a batch ended."""
        self.record(BatchClosed(batch=batch, asked=asked, points=points, done=done, error=error))

    def withdraw_batch(self, batch: int, asked: int) -> None:
        """A batch was taken back before it began."""
        self.record(BatchClosed(batch=batch, asked=asked, points=0, done=None, error=None, withdrawn=True))

    def add_event(self, event: RunEvent) -> None:
        """An event of the run."""
        self.record(EventTold(event=event))

    def start(self, light_s: float) -> None:
        """The first pass is planned; PL took so much of the instrument time."""
        self.record(Started(light_s=light_s))

    def add_question(self, question: int, points: int) -> None:
        """The model is asked for the next batch."""
        self.record(QuestionAsked(question=question, points=points))

    def add_answer(self, question: int, answer: Reconstruction | None, error: str | None = None) -> None:
        """What the model answered, without its maps, or why it did not."""
        if answer is None:
            self.record(QuestionAnswered(question=question, error=error))
            return
        self.record(
            QuestionAnswered(
                question=question,
                predicted_wrong=answer.predicted_wrong,
                method=answer.method,
                seconds=answer.seconds,
                proposals=answer.proposals,
            )
        )

    def add_correction(self, question: int, shift: Shift, moved: Moved) -> None:
        """A drift is taken into account from now on."""
        rows_px, columns_px = shift.whole_px
        self.record(
            Corrected(
                question=question,
                rows_px=rows_px,
                columns_px=columns_px,
                from_point=shift.from_point,
                aimed_from=moved.aimed_from,
                moved=moved.points,
                outside=moved.outside,
                again=moved.again,
                points=shift.points,
                gain=shift.gain,
                clear=shift.clear,
                found_px=(shift.rows_px, shift.columns_px),
            )
        )

    def add_enough(self, question: int, why: str) -> None:
        """The decision to measure no more."""
        self.record(Stopped(question=question, why=why))

    def add_inferred(self, name: str, answer: Reconstruction, points: int) -> None:
        """The maps of a reconstruction; the journal keeps those of the last one alone."""
        if name == FINAL:
            self.record(Reconstructed(points=points, answer=answer))
        else:
            self._view.add_inferred(name, answer, points)

    def finish(self, reason: FinishReason, detail: str) -> None:
        """How the run ended."""
        self.record(Ended(reason=reason, detail=detail))

    def close(self) -> None:
        """Close both; closing twice does nothing. A view that cannot be closed is one that can be made again."""
        with suppress(CannotStore):
            self._view.close()
        self.journal.close()
