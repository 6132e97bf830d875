"""What the commands that serve let an operator choose about log lines and figures, made ready for one process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from grainloop.protocols.observability import NO_METRICS, Metrics, about, get_logger
from grainloop.protocols.observability.output import LEVELS, LogOptions, logging_to
from grainloop.protocols.observability.prometheus import PrometheusMetrics, page, parse_address

LogLevelOption = Annotated[str, typer.Option(help=f"Least level of log lines: {', '.join(LEVELS)}.")]
LogJsonOption = Annotated[
    bool | None,
    typer.Option("--log-json/--log-text", help="Log lines as JSON, or readable; else readable on a terminal alone."),
]
LogFileOption = Annotated[
    Path | None, typer.Option(help="Also write log lines, as JSON, to this file.", metavar="FILE")
]
MetricsOption = Annotated[
    str | None,
    typer.Option(help="Show figures for Prometheus at this port of 127.0.0.1; else nowhere.", metavar="PORT"),
]


@dataclass(frozen=True)
class Observed:
    """How one process is observed.

    Attributes:
        service: its name.
        logs: where its lines go.
        metrics: what it tells its figures to.
        address: of their page, if they are shown.
    """

    service: str
    logs: LogOptions
    metrics: Metrics = NO_METRICS
    address: tuple[str, int] | None = None

    @contextmanager
    def running(self) -> Generator[None]:
        """Lines and page, for as long as the service runs.

        Raises:
            BadInput: the file cannot be written.
            Unavailable: the port of the page is in use.
        """
        with ExitStack() as stack:
            stack.enter_context(logging_to(self.logs))
            stack.enter_context(about(service=self.service))
            if isinstance(self.metrics, PrometheusMetrics) and self.address is not None:
                shown = stack.enter_context(page(self.metrics, self.address))
                get_logger(service=self.service).info("metrics shown", at=shown)
            yield


def observed(service: str, level: str, json: bool | None, file: Path | None, metrics: str | None) -> Observed:
    """What the options say.

    Raises:
        BadInput: no such address, or prometheus-client is not installed.
        NotPermitted: the page would be open to other machines.
    """
    logs = LogOptions(level, json, file)
    if metrics is None:
        return Observed(service, logs)
    address = parse_address(metrics)
    return Observed(service, logs, PrometheusMetrics(service), address)
