"""How a log line looks: one JSON object for programs, one readable line for a terminal. Nothing here writes anything.

A line holds `time` (ISO 8601, UTC), `level`, `event`, and what it is about: `service`, `run`, `session`, `section`,
`round`, `batch`, `request`. Arrays are told by dtype and shape, long texts are cut, secrets are left out, and a
traceback holds no local variables.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

import numpy as np

from grainloop.protocols.sentences import short

MAX_TEXT: Final = 2000
MAX_TRACEBACK: Final = 20_000
MAX_ITEMS: Final = 32
_SECRET: Final = ("secret", "password", "token", "private")
LEFT_OUT: Final = "(left out)"
_HEAD: Final = ("time", "level", "service", "event")
_TIME_OF_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]([0-9:.]+)")
_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


@dataclass(frozen=True)
class Line:
    """What is logged, as the message of a log record; as text where nobody set up another form.

    Attributes:
        event: what happened.
        fields: what it is about.
    """

    event: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        return " ".join([self.event, *_pairs(_shown(self.fields))])


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """A log record as the fields of a line; those of other packages have an event and the name of their logger."""
    said: object = record.msg
    ours = said if isinstance(said, Line) else Line(record.getMessage(), {"logger": record.name})
    shown = _shown(ours.fields)
    shown |= {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": _cut(ours.event, MAX_TEXT),
    }
    line = {name: shown.pop(name) for name in _HEAD if name in shown} | shown
    if record.exc_info and record.exc_info[0] is not None:
        line["exception"] = _cut_middle(logging.Formatter().formatException(record.exc_info), MAX_TRACEBACK)
    return line


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


def to_json(line: Mapping[str, Any]) -> str:
    """A line of a file of JSON lines."""
    return json.dumps(line, ensure_ascii=False, allow_nan=False, default=short)


def readable(line: Mapping[str, Any], *, colour: bool = False) -> str:
    """A line for a terminal; what strangers sent cannot move its cursor."""
    level = str(line.get("level", "?"))
    head = [_clock(str(line.get("time", ""))), _painted(f"{level:<7}", _COLOURS.get(level), colour)]
    who = str(line.get("service") or line.get("logger") or "")
    head += [printable(f"{who:<10}"), printable(str(line.get("event", "")))]
    rest = _pairs({name: value for name, value in line.items() if name not in (*_HEAD, "exception")})
    text = " ".join([*head, _painted(" ".join(rest), "2", colour)]).rstrip()
    traceback = str(line.get("exception", ""))
    return "\n".join([text, *(f"    {printable(one)}" for one in traceback.splitlines())])


def _shown(fields: Mapping[Any, Any], depth: int = 3) -> dict[str, Any]:
    items = list(fields.items())[:MAX_ITEMS]
    return {str(name): LEFT_OUT if _is_secret(str(name)) else plain(one, depth) for name, one in items}


def _pairs(fields: Mapping[str, Any]) -> list[str]:
    return [f"{printable(name)}={_told(value)}" for name, value in fields.items()]


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET)


def _clock(time: str) -> str:
    """The time of day."""
    found = _TIME_OF_DAY.match(time)
    return found[1][:12] if found else printable(time)


def _told(value: object) -> str:
    if isinstance(value, str):
        return printable(value) if value and not set(value) & set(' "=') else f'"{printable(value)}"'
    return printable(f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str))


def printable(text: str) -> str:
    """`text` without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _painted(text: str, code: str | None, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code and text else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cut_middle(text: str, most: int) -> str:
    """The ends of a traceback tell where it came from and what it was."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}\n…\n{text[-half:]}"
