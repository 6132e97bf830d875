"""The figures of `protocols.observability.metrics` for Prometheus, on a page that only this machine can reach.

prometheus-client is optional and imported only where the page is asked for. The page shows figures alone: it takes no
orders, and holds no points, maps or keys.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from grainloop.protocols.endpoints import LAST_PORT, is_loopback
from grainloop.protocols.errors import BadInput, NotPermitted, Unavailable
from grainloop.protocols.observability.metrics import ALL, Metric, Shape
from grainloop.protocols.version import grainloop_version

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
    """Collects the figures of one service; those of others are forgotten.

    Args:
        service: its name.

    Attributes:
        registry: that holds them; each has its own, none is global.
    """

    def __init__(self, service: str) -> None:
        try:
            import prometheus_client as client
        except ImportError as error:
            message = "--metrics needs the package prometheus-client: pip install prometheus-client."
            raise BadInput(message, field="metrics") from error
        client.disable_created_metrics()  # they would double the page
        self.registry: CollectorRegistry = client.CollectorRegistry()
        client.ProcessCollector(registry=self.registry)
        about = client.Gauge("grainloop_info", "Always 1.", ["service", "version"], registry=self.registry)
        about.labels(service, grainloop_version()).set(1)
        self._kept: dict[Metric, Any] = {
            metric: self._made(client, metric) for metric in ALL if service in metric.told_by
        }

    def _made(self, client: Any, metric: Metric) -> Any:
        labels = [] if metric.label is None else [metric.label]
        match metric.shape:
            case Shape.COUNTER:
                return client.Counter(metric.name, metric.words, labels, registry=self.registry)
            case Shape.GAUGE:
                return client.Gauge(metric.name, metric.words, labels, registry=self.registry)
            case Shape.HISTOGRAM:
                return client.Histogram(
                    metric.name, metric.words, labels, registry=self.registry, buckets=metric.buckets
                )

    def add(self, metric: Metric, by: float = 1.0, label: str = "") -> None:
        """Let a counter grow."""
        if (kept := self._kept.get(metric)) is not None:
            (kept if metric.label is None else kept.labels(label)).inc(by)

    def set(self, metric: Metric, value: float) -> None:
        """The value of a gauge."""
        if (kept := self._kept.get(metric)) is not None:
            kept.set(value)

    def observe(self, metric: Metric, seconds: float) -> None:
        """One more duration of a histogram."""
        if (kept := self._kept.get(metric)) is not None:
            kept.observe(seconds)


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
