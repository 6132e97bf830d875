"""The figures that a running process tells of itself, as one table, and the seam through which they are told.

Names end in their unit, as Prometheus wants it (https://prometheus.io/docs/practices/naming/). What is told goes to a
`Metrics`; whoever is given none tells `NO_METRICS`, which forgets. How figures are collected and shown is the business
of `protocols.observability.prometheus`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol


class Shape(Enum):
    """What may be done to a figure."""

    COUNTER = "counter"
    """It only grows: `add`."""
    GAUGE = "gauge"
    """It goes up and down: `set`."""
    HISTOGRAM = "histogram"
    """How often which durations came: `observe`."""


@dataclass(frozen=True, eq=False)
class Metric:
    """One figure; the table holds each once.

    Attributes:
        name: as Prometheus shows it, unit included.
        shape: what may be done to it.
        words: what it says.
        label: what it is told apart by, if by anything.
        buckets: upper bounds of a histogram, seconds.
    """

    name: str
    shape: Shape
    words: str
    label: str | None = None
    buckets: tuple[float, ...] = ()


_SLOW_S: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_THINKING_S: Final = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_DISK_S: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)

POINTS: Final = Metric(
    "grainloop_points_acknowledged_total", Shape.COUNTER, "Points that are in the journal, so that they count."
)
EXPOSED: Final = Metric(
    "grainloop_points_exposed_total", Shape.COUNTER, "Points that the instrument measured and told of."
)
ROUNDS: Final = Metric("grainloop_rounds_total", Shape.COUNTER, "Answers of the model that led to a batch.")
BATCHES_OUT: Final = Metric("grainloop_batches_out", Shape.GAUGE, "Batches at the instrument: measured or queued.")
IDLE: Final = Metric(
    "grainloop_instrument_idle_seconds_total", Shape.COUNTER, "Instrument time without anything to do in a run."
)
BATCH: Final = Metric(
    "grainloop_batch_seconds",
    Shape.HISTOGRAM,
    "Time of a batch on the instrument clock.",
    None,
    _SLOW_S,
)
MODEL: Final = Metric(
    "grainloop_model_seconds", Shape.HISTOGRAM, "Time from a question to the model to its answer.", None, _THINKING_S
)
JOURNAL: Final = Metric(
    "grainloop_journal_sync_seconds", Shape.HISTOGRAM, "Time until a record of the journal was stored.", None, _DISK_S
)
WRONG: Final = Metric("grainloop_predicted_wrong_ratio", Shape.GAUGE, "Newest predicted share of wrong pixels, 0 to 1.")
BUDGET: Final = Metric("grainloop_budget_left_points", Shape.GAUGE, "Points that the run may still measure.")
OPEN: Final = Metric("grainloop_open_requests", Shape.GAUGE, "Requests that the service works on.")
REFUSED: Final = Metric(
    "grainloop_refused_messages_total", Shape.COUNTER, "Messages that were refused unserved.", "reason"
)
FAILED: Final = Metric("grainloop_failed_requests_total", Shape.COUNTER, "Requests answered by an error.", "reason")
FOLLOWERS_DROPPED: Final = Metric(
    "grainloop_followers_dropped_total", Shape.COUNTER, "Followers let go because they took no events."
)
EVENTS_DROPPED: Final = Metric(
    "grainloop_follower_events_dropped_total", Shape.COUNTER, "Events that slow followers did not get."
)

ALL: Final = (
    POINTS,
    EXPOSED,
    ROUNDS,
    BATCHES_OUT,
    IDLE,
    BATCH,
    MODEL,
    JOURNAL,
    WRONG,
    BUDGET,
    OPEN,
    REFUSED,
    FAILED,
    FOLLOWERS_DROPPED,
    EVENTS_DROPPED,
)


class Metrics(Protocol):
    """Takes figures, from any thread, and never fails."""

    def add(self, metric: Metric, by: float = 1.0, label: str = "") -> None:
        """Let a counter grow; `label` is the value of its label, where it has one."""
        ...

    def set(self, metric: Metric, value: float) -> None:
        """The value of a gauge."""
        ...

    def observe(self, metric: Metric, seconds: float) -> None:
        """One more duration of a histogram."""
        ...


class _NoMetrics:
    def add(self, metric: Metric, by: float = 1.0, label: str = "") -> None:
        pass

    def set(self, metric: Metric, value: float) -> None:
        pass

    def observe(self, metric: Metric, seconds: float) -> None:
        pass


NO_METRICS: Final[Metrics] = _NoMetrics()
