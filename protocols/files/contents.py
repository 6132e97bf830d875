"""Text, TOML and JSON in regular files: bounded, and told as no such file where they are nested beyond sense.

Sentences are made by whoever asks; here an `OSError` says that a file cannot be used, a `ValueError` that its content
cannot.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from grainloop.protocols.files.regular import open_file, read_regular

MOST_TEXT_BYTES: Final = 2**24
"""Of a file that a person wrote, such as a plan: 16 MiB."""
MOST_LEVELS: Final = 64
TOO_DEEP: Final = "it is nested too deeply"


def read_text(path: Path, most: int = MOST_TEXT_BYTES, encoding: str = "utf-8") -> str:
    """The text of a regular file.

    Raises:
        OSError: it is none, cannot be read, or holds more than `most` bytes.
        UnicodeDecodeError: it is no text.
    """
    return read_regular(path, most).decode(encoding)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends in the place of what a regular file held.

    Raises:
        OSError: it is no regular file, or cannot be written.
    """
    with open_file(path, "wb") as file:
        file.write(text.encode())


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        OSError: as `read_text`.
        ValueError: it is no TOML, or nested too deeply.
    """
    return parse_toml(read_text(path))


def parse_toml(text: str) -> dict[str, Any]:
    """What a text says as TOML.

    Raises:
        ValueError: it is no TOML, or nested too deeply.
    """
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    _require_shallow(found)  # keys with dots nest without any recursion
    return found


def parse_json(text: str | bytes) -> Any:
    """What a text says as JSON.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    opened = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if opened > MOST_LEVELS:
        _require_shallow(found)
    return found


def _require_shallow(found: Any) -> None:
    """What is read here has a few levels; whoever shows or checks a thousand of them does so by recursion."""
    level = [found]
    for _ in range(MOST_LEVELS):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _within(one)]
        if not level:
            return
    raise ValueError(TOO_DEEP)


def _within(one: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one
