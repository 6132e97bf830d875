"""What a run tells of itself while it goes on: log lines and figures, a third view of its journal beside `session.h5`.

An entry is told when it is in the journal, so that a line never speaks of what is not stored. About one line per
decision; what every batch brings is told at the level `debug`. Nothing here changes the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, assert_never

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
)
from grainloop.controller.record import Heard
from grainloop.controller.run.standing import Standing
from grainloop.protocols.messages import RunEvent, Severity
from grainloop.protocols.observability import Metrics, bind, get_logger
from grainloop.protocols.observability.metrics import (
    BATCH,
    BATCHES_OUT,
    BUDGET,
    IDLE,
    JOURNAL,
    MODEL,
    POINTS,
    ROUNDS,
    WRONG,
)

SERVICE: Final = "controller"


class RunObserver:
    """Told every entry of one run once it is stored.

    Args:
        standing: of the run.
        metrics: told the figures.
    """

    def __init__(self, standing: Standing, metrics: Metrics) -> None:
        self._standing, self._metrics = standing, metrics
        self._log = get_logger(service=SERVICE)
        self._known: dict[str, Any] = {}
        self._heard = Heard()
        self._rounds: dict[int, int] = {}

    def recall(self, entries: Sequence[Entry]) -> None:
        """What was recorded before was told before."""

    def show(self, entry: Entry | LatestMaps, number: int | None, seconds: float) -> None:
        """An entry that took so long to be stored, if it was."""
        if not self._known and (ledger := self._standing.ledger) is not None:
            self._known = {"run": ledger.run, "section": ledger.terms.plan.section}
            self._log = self._log.bind(**self._known)
            bind(**self._known)  # for what the tasks of the run tell
        if number is not None:
            self._metrics.observe(JOURNAL, seconds)
        self._tell(entry)

    def _tell(self, entry: Entry | LatestMaps) -> None:
        match entry:
            case QuestionAsked():
                self._asked(entry)
            case QuestionAnswered():
                self._answered(entry)
            case Decided():
                self._decided(entry)
            case PointsStored():
                self._metrics.add(POINTS, len(entry.points))
            case BatchClosed():
                self._closed(entry)
            case Stopped():
                self._enough(entry)
            case EventTold():
                if self._heard.is_new(entry.event):
                    self._event(entry.event)
            case Ended():
                self._ended(entry)
            case Began() | Resumed() | SoftwareTold() | LightStored() | Started() | Corrected() | Reconstructed():
                pass  # an event tells
            case LatestMaps():
                pass
            case _:
                assert_never(entry)

    def _asked(self, entry: QuestionAsked) -> None:
        self._log.debug("question asked", question=entry.question, points=entry.points)

    def _answered(self, entry: QuestionAnswered) -> None:
        if entry.error is not None:
            return  # the event of the run tells
        if entry.seconds is not None:
            self._metrics.observe(MODEL, entry.seconds)
        if entry.predicted_wrong is not None:
            self._metrics.set(WRONG, entry.predicted_wrong)
        figures = {"method": entry.method, "work_s": entry.seconds, "predicted_wrong": entry.predicted_wrong}
        self._log.debug("question answered", question=entry.question, **figures)

    def _decided(self, entry: Decided) -> None:
        number, round_ = entry.request.batch, int(entry.about.get("round") or 0)
        self._rounds[number] = round_
        if entry.when.get("question") is not None:
            self._metrics.add(ROUNDS)
        left = self._tell_budget()
        tell = self._log.debug if entry.stop_gap else self._log.info
        figures = {"points": len(entry.request.point_id), "decided_by": entry.decided_by, "budget_left": left}
        wrong = {"predicted_wrong": entry.about.get("predicted_wrong")}
        tell("batch decided", batch=number, round=round_, stop_gap=entry.stop_gap, **figures, **wrong)

    def _closed(self, entry: BatchClosed) -> None:
        about = {"batch": entry.batch, "round": self._rounds.pop(entry.batch, None)}
        self._tell_budget()
        if (done := entry.done) is not None:
            self._metrics.observe(BATCH, done.finished_s - done.started_s)
            self._metrics.add(IDLE, done.idle_s if entry.batch else 0.0)
        if entry.withdrawn:
            self._log.debug("batch withdrawn", **about)
        elif entry.error is None:
            self._log.debug("batch closed", points=entry.points, asked=entry.asked, **about)

    def _tell_budget(self) -> int:
        left = 0 if self._standing.ledger is None else self._standing.ledger.exposures.points_left
        self._metrics.set(BUDGET, left)
        self._metrics.set(BATCHES_OUT, len(self._rounds))
        return left

    def _enough(self, entry: Stopped) -> None:
        self._log.info("stop rule", why=entry.why)

    def _event(self, event: RunEvent) -> None:
        tell = {
            Severity.QUIET: self._log.debug,
            Severity.INFO: self._log.info,
            Severity.WARNING: self._log.warning,
            Severity.ERROR: self._log.error,
        }[event.severity]
        numbers = {"numbers": event.numbers} if event.numbers and event.severity >= Severity.WARNING else {}
        tell(str(event.event), what=event.text, state=event.state, points=event.points_measured, **numbers)

    def _ended(self, entry: Ended) -> None:
        self._metrics.set(BATCHES_OUT, 0)
        self._log.debug("end recorded", reason=entry.reason, why=entry.detail)
