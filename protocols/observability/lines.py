"""How a log line looks: one JSON object for programs, one readable line for a terminal. Nothing here writes anything.

A line holds `time` (ISO 8601, UTC), `level`, `event`, and what it is about: `service`, `run`, `session`, `section`,
`round`, `batch`, `request`. Arrays are told by dtype and shape, long texts are cut, secrets are left out, and a
traceback holds no local variables. All this is a chain of processors of structlog, whose renderers write it.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any, Final

import numpy as np
from structlog.dev import ConsoleRenderer
from structlog.processors import JSONRenderer, format_exc_info
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, Processor

from grainloop.protocols.sentences import short

MAX_TEXT: Final = 2000
MAX_TRACEBACK: Final = 20_000
MAX_ITEMS: Final = 32
_SECRET: Final = ("secret", "password", "token", "private")
LEFT_OUT: Final = "(left out)"
_HEAD: Final = ("time", "level", "service", "event")
_TIME_OF_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]([0-9:.]+)")
_OF_CONSOLE: Final = ("stack", "exc_info")
"""Names that the renderer for a terminal takes for its own."""


class Line(dict[str, Any]):
    """What is logged, `event` among it, as the message of a record; as text where nobody set up another form."""

    def __str__(self) -> str:
        return readable(_limited(None, "", {name: value for name, value in self.items() if name != "exc_info"}))


class _Formatter(ProcessorFormatter):
    """Makes a line once, however many files it goes to."""

    def format(self, record: logging.LogRecord) -> str:
        made: dict[object, str] = record.__dict__.setdefault("_made", {})
        if self.processors not in made:
            made[self.processors] = super().format(record)
        return made[self.processors]


def formatter(*, as_json: bool, colour: bool = False) -> logging.Formatter:
    """Makes lines of records, of other packages as well: those have an event and the name of their logger."""
    render = (_JSON,) if as_json else (_for_people, _console(colour))
    return _Formatter(processors=(*_FIELDS, *render), foreign_pre_chain=(add_logger_name,))


def record_of(level: int, event: str, **fields: object) -> logging.LogRecord:
    """A record that no logger made."""
    name = logging.getLevelName(level)
    said = {"msg": Line(fields, event=event), "levelno": level, "levelname": name}
    return logging.makeLogRecord(said | {"_logger": None, "_name": name.lower()})


def to_json(line: Mapping[str, Any]) -> str:
    """A line of a file of JSON lines."""
    return str(_JSON(None, "", dict(line)))


def readable(line: Mapping[str, Any], *, colour: bool = False) -> str:
    """A line for a terminal; what strangers sent cannot move its cursor."""
    return str(_console(colour)(None, "", _for_people(None, "", dict(line))))


def plain(value: object, depth: int = 3) -> Any:
    """`value` as JSON can hold it, and no larger than a line may be."""
    match value:
        case Enum():
            return plain(value.value, depth)
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str() | PurePath():
            return _cut(str(value), MAX_TEXT)
        case np.generic():
            return plain(value.item(), depth)
        case bytes() | bytearray() | memoryview():
            return f"{len(value)} bytes"
        case Mapping() if depth:
            return _shown(value, depth - 1)
        case list() | tuple() | set() | frozenset() if depth:
            return [plain(one, depth - 1) for one in list(value)[:MAX_ITEMS]]
        case _:
            return short(value)


def printable(text: str) -> str:
    """`text` without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


# --- processors -------------------------------------------------------------------------------------------------------
def _add_time(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    """When the record was made, the same wherever it goes; structlog's own stamps tell when it was written."""
    created = datetime.fromtimestamp(fields["_record"].created, UTC)
    fields["time"] = created.isoformat(timespec="milliseconds")
    return fields


def _limited(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    """No larger than a line may be, without secrets, what matters first."""
    traceback = fields.pop("exception", None)
    head = {name: plain(fields.pop(name)) for name in _HEAD if name in fields}
    return head | _shown(fields) | ({} if traceback is None else {"exception": _cut_middle(traceback, MAX_TRACEBACK)})


def _for_people(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    """All of it as text that a terminal does not obey; the renderer puts it into quotes where it must."""
    traceback = str(fields.pop("exception", ""))
    if "time" in fields:
        fields["time"] = _clock(str(fields["time"]))
    head = {name: printable(str(fields.pop(name))) for name in _HEAD if name in fields}
    rest = {printable(name) + "_" * (name in _OF_CONSOLE): _told(value) for name, value in fields.items()}
    told = {"exception": "\n".join(f"    {printable(one)}" for one in traceback.splitlines())} if traceback else {}
    return head | rest | told


_FIELDS: Final[tuple[Processor, ...]] = (
    add_log_level,
    _add_time,
    ProcessorFormatter.remove_processors_meta,
    format_exc_info,
    _limited,
)
_JSON: Final = JSONRenderer(json.dumps, ensure_ascii=False, allow_nan=False, default=short)


@cache
def _console(colour: bool) -> ConsoleRenderer:
    return ConsoleRenderer(colors=colour, timestamp_key="time", sort_keys=False, pad_event_to=0)


def _shown(fields: Mapping[Any, Any], depth: int = 3) -> dict[str, Any]:
    items = list(fields.items())[:MAX_ITEMS]
    return {str(name): LEFT_OUT if _is_secret(str(name)) else plain(one, depth) for name, one in items}


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET)


def _clock(time: str) -> str:
    """The time of day."""
    found = _TIME_OF_DAY.match(time)
    return found[1][:12] if found else time


def _told(value: object) -> str:
    if isinstance(value, str):
        return printable(value)
    return printable(f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cut_middle(text: str, most: int) -> str:
    """The ends of a traceback tell where it came from and what it was."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}\n…\n{text[-half:]}"
