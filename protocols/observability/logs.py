"""The logger of all packages: lines that carry what they are about, handed to the standard library's `logging`.

What is bound with `bind`, or for a while with `about`, is on every line of the task that did so, and of the tasks and
threads that it starts. Lines go out under the name `grainloop`, so that whoever uses these packages decides what
becomes of them; unless somebody does, warnings go to stderr and the rest nowhere. Setting that up is the business of
`protocols.observability.output`, how a line looks that of `protocols.observability.lines`.
"""

from __future__ import annotations

import contextvars
import logging
import math
import time
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from structlog.contextvars import bind_contextvars as bind
from structlog.contextvars import bound_contextvars as about
from structlog.contextvars import merge_contextvars
from structlog.stdlib import BoundLogger, ProcessorFormatter, filter_by_level

from grainloop.protocols.observability.lines import Line

__all__ = ["NAME", "BoundLogger", "Seldom", "about", "bind", "get_logger", "in_context"]

T = TypeVar("T")

NAME: Final = "grainloop"
"""Of the standard library's logger."""


class _Sparing(BoundLogger):
    """Looks at the level first: most lines that a run could tell go nowhere."""

    def debug(self, event: str | None = None, *args: object, **fields: object) -> object:
        return super().debug(event, *args, **fields) if self._logger.isEnabledFor(logging.DEBUG) else None

    def info(self, event: str | None = None, *args: object, **fields: object) -> object:
        return super().info(event, *args, **fields) if self._logger.isEnabledFor(logging.INFO) else None


def get_logger(**bound: object) -> BoundLogger:
    """A logger whose lines carry `bound`, and whatever `about` has bound where they are told."""
    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(NAME),
        processors=[filter_by_level, merge_contextvars, _to_record],
        wrapper_class=_Sparing,
        context_class=dict,
    )
    return logger.bind(**bound)


def in_context(work: Callable[[], T]) -> Callable[[], T]:
    """`work` for another thread, whose lines carry what is bound here and now."""
    return partial(contextvars.copy_context().run, work)


class Seldom:
    """Tells of what strangers can bring about as often as they like, without letting them fill the disk.

    Args:
        tell: method of a logger.
        every_s: tells no more often than this; the next line says how many were left out.
        clock: monotonic seconds.
    """

    def __init__(
        self, tell: Callable[..., object], every_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._every_s, self._clock = tell, every_s, clock
        self._next_s, self._untold = -math.inf, 0

    def __call__(self, event: str, **fields: object) -> None:
        """Tell, or count."""
        now = self._clock()
        if now < self._next_s:
            self._untold += 1
            return
        untold, self._next_s, self._untold = self._untold, now + self._every_s, 0
        self._tell(event, **fields, **({"others_untold": untold} if untold else {}))


def _to_record(logger: Any, method: str, fields: MutableMapping[str, Any]) -> tuple[tuple[Any], dict[str, Any]]:
    """The last processor: a call of the standard library's logger, whose own formatters know of the fault as well."""
    said, more = ProcessorFormatter.wrap_for_formatter(logger, method, Line(fields))
    return said, more | {"exc_info": fields.get("exc_info")}
