"""The figures of `protocols.observability.metrics` for Prometheus, on a page that only this machine can reach.

prometheus-client is optional and imported only where the page is asked for. The page shows figures alone: it takes no
orders, and holds no points, maps or keys.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, Any

from protocols.endpoints import LAST_PORT, is_loopback
from protocols.errors import BadInput, NotPermitted, Unavailable
from protocols.observability.metrics import ALL, Metric, Shape
from protocols.version import grainloop_version

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

LOOPBACK = "127.0.0.1"


def parse_address(text: str) -> tuple[str, int]:
    """`PORT` or `HOST:PORT` as host and port; 0 lets the system choose.

    Raises:
        BadInput: it is neither.
        NotPermitted: other machines could reach it.
    """
    host, separator, port = text.rpartition(":")
    host = host if separator else LOOPBACK
    if not (port.isascii() and port.isdigit() and int(port) <= LAST_PORT):
        message = f"--metrics {text} cannot be used: give a port of this machine, such as 9464."
        raise BadInput(message, field="metrics", value=text)
    if host != "localhost" and not is_loopback(host):
        raise NotPermitted(
            f"--metrics refuses to listen on {host}: the page asks nobody for a key, so only 127.0.0.1 is allowed; let "
            "a collector on this machine fetch it.",
            field="metrics",
            value=text,
        )
    return (LOOPBACK if host == "localhost" else host), int(port)


class PrometheusMetrics:
    """Keeps the figures of one service, and hands them out when the page is asked for; those of others are forgotten.

    Telling one takes less time than with the figures of prometheus-client, and a run tells ten of them per batch.

    Args:
        service: its name.

    Attributes:
        registry: that shows them; each has its own, none is global.
    """

    def __init__(self, service: str) -> None:
        try:
            import prometheus_client as client
        except ImportError as error:
            message = "--metrics needs the package prometheus-client: pip install prometheus-client."
            raise BadInput(message, field="metrics") from error
        self.registry: CollectorRegistry = client.CollectorRegistry()
        client.ProcessCollector(registry=self.registry)
        about = client.Gauge("grainloop_info", "Always 1.", ["service", "version"], registry=self.registry)
        about.labels(service, grainloop_version()).set(1)
        own = [metric for metric in ALL if service in metric.told_by]
        self._values: dict[Metric, dict[str, float]] = {
            metric: {} if metric.label else {"": 0.0} for metric in own if metric.shape is not Shape.HISTOGRAM
        }
        self._counts = {metric: [0] * (len(metric.buckets) + 1) for metric in own if metric.shape is Shape.HISTOGRAM}
        self._sums = dict.fromkeys(self._counts, 0.0)
        self._one_at_a_time = Lock()
        self.registry.register(self)

    def add(self, metric: Metric, by: float = 1.0, label: str = "") -> None:
        """Let a counter grow."""
        if (values := self._values.get(metric)) is not None:
            with self._one_at_a_time:
                values[label] = values.get(label, 0.0) + by

    def set(self, metric: Metric, value: float) -> None:
        """The value of a gauge."""
        if (values := self._values.get(metric)) is not None:
            values[""] = value

    def observe(self, metric: Metric, seconds: float) -> None:
        """One more duration of a histogram."""
        if (counts := self._counts.get(metric)) is not None:
            with self._one_at_a_time:
                counts[bisect_left(metric.buckets, seconds)] += 1
                self._sums[metric] += seconds

    def collect(self) -> list[Any]:
        """All of it, as prometheus-client has it from collectors."""
        with self._one_at_a_time:
            values = [_shown(metric, told) for metric, told in self._values.items()]
            return values + [_histogram(metric, told, self._sums[metric]) for metric, told in self._counts.items()]


def _shown(metric: Metric, values: Mapping[str, float]) -> Any:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    family = CounterMetricFamily if metric.shape is Shape.COUNTER else GaugeMetricFamily
    shown = family(metric.name, metric.words, labels=[metric.label] if metric.label else [])
    for label, value in values.items():
        shown.add_metric([label] if metric.label else [], value)
    return shown


def _histogram(metric: Metric, counts: Sequence[int], total: float) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    bounds = [*(str(bound) for bound in metric.buckets), "+Inf"]
    buckets = list(zip(bounds, accumulate(counts), strict=True))
    return HistogramMetricFamily(metric.name, metric.words, buckets=buckets, sum_value=total)


@contextmanager
def page(metrics: PrometheusMetrics, address: tuple[str, int]) -> Generator[str]:
    """Show the figures at an address of this machine, by a thread of its own; yields the address of the page.

    Raises:
        Unavailable: the port cannot be listened on.
    """
    from prometheus_client import start_http_server

    host, port = address
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except OSError as error:
        message = f"The metrics cannot be shown on {host}:{port}: {error.strerror or error}."
        raise Unavailable(message, field="metrics", value=port) from error
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
