"""Numbers and lists that commands are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from grainloop.protocols.errors import BadInput

T = TypeVar("T")


def check_count(name: str, value: int, least: int, most: int) -> None:
    """Refuse a whole number out of range.

    Raises:
        BadInput: naming the option `--name` and its range.
    """
    if not least <= value <= most:
        message = f"--{name} {value} cannot be used: give a whole number from {least} to {most}."
        raise BadInput(message, field=name, value=value)


def listed(name: str, text: str, kind: Callable[[str], T]) -> tuple[T, ...]:
    """The entries of a list with commas, each once.

    Raises:
        BadInput: naming the option `--name`, if it is empty or holds what is no number where numbers are wanted.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        found = tuple(dict.fromkeys(kind(word) for word in words))
    except ValueError:
        raise BadInput(f"--{name} {text} cannot be used: give numbers between commas.", field=name) from None
    if not found:
        raise BadInput(f"--{name} is empty: give at least one entry.", field=name)
    return found
