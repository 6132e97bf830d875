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
        told_by: services that tell it.
        label: what it is told apart by, if by anything.
        buckets: upper bounds of a histogram, seconds.
    """

    name: str
    shape: Shape
    words: str
    told_by: tuple[str, ...]
    label: str | None = None
    buckets: tuple[float, ...] = ()


_CONTROLLER: Final = ("controller",)
_INSTRUMENT: Final = ("instrument",)
_EACH: Final = ("instrument", "model", "controller")
_SLOW_S: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_THINKING_S: Final = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_DISK_S: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def _counter(name: str, words: str, told_by: tuple[str, ...], label: str | None = None) -> Metric:
    return Metric(f"grainloop_{name}_total", Shape.COUNTER, words, told_by, label)


def _gauge(name: str, words: str, told_by: tuple[str, ...]) -> Metric:
    return Metric(f"grainloop_{name}", Shape.GAUGE, words, told_by)


def _seconds(name: str, words: str, told_by: tuple[str, ...], buckets: tuple[float, ...]) -> Metric:
    return Metric(f"grainloop_{name}_seconds", Shape.HISTOGRAM, words, told_by, buckets=buckets)


POINTS: Final = _counter("points_acknowledged", "Points that are in the journal, so that they count.", _CONTROLLER)
ROUNDS: Final = _counter("rounds", "Batches decided after a question to the model.", _CONTROLLER)
BATCHES_OUT: Final = _gauge("batches_out", "Batches at the instrument, measured or queued.", _CONTROLLER)
BATCH: Final = _seconds("batch", "Time of a batch on the instrument clock.", _CONTROLLER, _SLOW_S)
IDLE: Final = _counter("instrument_idle_seconds", "Instrument time without anything to do in a run.", _CONTROLLER)
MODEL: Final = _seconds("model", "Time from a question to its answer.", ("model", "controller"), _THINKING_S)
JOURNAL: Final = _seconds("journal_sync", "Time until a record of the journal was stored.", _CONTROLLER, _DISK_S)
WRONG: Final = _gauge("predicted_wrong_ratio", "Newest predicted share of wrong pixels, 0 to 1.", _CONTROLLER)
BUDGET: Final = _gauge("budget_left_points", "Points that the run may still measure.", _CONTROLLER)
FOLLOWERS_DROPPED: Final = _counter("followers_dropped", "Followers let go: they took no events.", _CONTROLLER)
EVENTS_DROPPED: Final = _counter("follower_events_dropped", "Events that slow followers did not get.", _CONTROLLER)
EXPOSED: Final = _counter("points_exposed", "Points that the driver measured.", _INSTRUMENT)
SCAN: Final = _seconds("scan", "Time that the driver took for a batch.", _INSTRUMENT, _SLOW_S)
OPEN: Final = _gauge("open_requests", "Requests that the service works on.", _EACH)
REFUSED: Final = _counter("refused_messages", "Messages that were refused unserved.", _EACH, "reason")
FAILED: Final = _counter("failed_requests", "Requests answered by an error.", _EACH, "reason")

ALL: Final = (
    POINTS,
    ROUNDS,
    BATCHES_OUT,
    BATCH,
    IDLE,
    MODEL,
    JOURNAL,
    WRONG,
    BUDGET,
    FOLLOWERS_DROPPED,
    EVENTS_DROPPED,
    EXPOSED,
    SCAN,
    OPEN,
    REFUSED,
    FAILED,
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
