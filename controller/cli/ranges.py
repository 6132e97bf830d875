"""Ranges of the numbers that commands are given."""

from __future__ import annotations

from protocols.errors import BadInput


def check_count(name: str, value: int, least: int, most: int) -> None:
    """Refuse a whole number out of range.

    Raises:
        BadInput: naming the option `--name` and its range.
    """
    if not least <= value <= most:
        message = f"--{name} {value} cannot be used: give a whole number from {least} to {most}."
        raise BadInput(message, field=name, value=value)
