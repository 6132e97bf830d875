"""What strangers, files and drivers said, as part of one plain sentence: faults of pydantic, values, foreign text."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from typing import Any

import numpy as np
from pydantic import ValidationError

_MAX_VALUE = 80
_MAX_TEXT = 4000
_LINE_ENDS = re.compile(r"[\r\n]+[ \t]*")


def describe(error: ValidationError, subject: str, *, tagged: bool = False) -> tuple[str, str | None, str]:
    """The first fault of `error` as (sentence, field, value).

    For example `("scan_request: dwell_s should be greater than 0, got -1.0.", "dwell_s", "-1.0")`.

    Args:
        error: what pydantic raised.
        subject: what was being read: a message, a file, a plan.
        tagged: a union was being read, whose members' names then are the better subject.
    """
    fault = error.errors(include_url=False)[0]
    where = [str(part) for part in fault["loc"]]
    if tagged and where:
        subject = where.pop(0)
    field = ".".join(where)
    value = "" if fault["type"] == "missing" else short(fault["input"])
    others = error.error_count() - 1
    sentence = " ".join(filter(None, [f"{subject}:", field, _said(fault["msg"])]))
    got = f", got {value}." if value else "."
    more = f" ({others} more fault{'s' * (others > 1)}.)" if others else ""
    return f"{sentence}{got}{more}", field or None, value


def short(value: object) -> str:
    """`value` in at most a line; arrays by dtype and shape alone."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {value.shape}"
    if isinstance(value, dict):
        return f"a map of {len(value)} fields"
    return _repr(value)[:_MAX_VALUE]


def counted(count: int, what: str, several: str | None = None) -> str:
    """`1 point`, `2 points`; `several` where that is more than an s."""
    return f"{count} {what if count == 1 else several or what + 's'}"


def duration(seconds: float) -> str:
    """A time as people say it, two to three digits."""
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= (2 if size > 1 else 1) * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def printable(text: str) -> str:
    """`text` with what a terminal would obey, and what cannot be written as UTF-8, told as an escape."""
    return text if text.isprintable() else "".join(map(_letter, text))


def said(error: BaseException) -> str:
    """What kind of exception `error` is and what it says, whatever its code does when it is asked."""
    name, text = type(error).__name__, one_line(error)
    return f"{name}: {text}" if text else name


def one_line(value: object) -> str:
    """What `value` says, as part of a sentence: printable, without line ends, cut where nobody reads on."""
    try:
        text = str(value)
    except BaseException as worse:  # noqa: BLE001  # a fault of its own, which may be any
        text = f"it cannot say what it is ({type(worse).__name__})"
    cut = text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
    return printable(_LINE_ENDS.sub(" ", cut.strip()))


def _letter(letter: str) -> str:
    category = unicodedata.category(letter)
    hidden = category[0] == "C" or category in ("Zl", "Zp")
    return letter.encode("unicode_escape").decode() if hidden else letter


def _said(message: str) -> str:
    """Pydantic's words as the predicate of a sentence whose subject is the field."""
    text = (
        message.removeprefix("Value error, ")
        .replace("Input should be", "should be")
        .replace("Field required", "is missing")
    )
    text = text.replace("Extra inputs are not permitted", "is not a field of it")
    return text[:1].lower() + text[1:] if text[:1].isupper() else text


def _repr(value: Any) -> str:
    return reprlib.repr(value)
