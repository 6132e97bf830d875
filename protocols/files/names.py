"""Names that come from outside and are shown: no line ends, nothing that a terminal obeys, nothing that no file has."""

from __future__ import annotations

from grainloop.protocols.errors import BadInput
from grainloop.protocols.sentences import printable


def require_legible(name: str, field: str, what: str) -> None:
    """Refuse a name with control characters, or with bytes that are no UTF-8.

    Args:
        name: as it was given.
        field: or option, that gave it.
        what: is called so, as the beginning of a sentence.

    Raises:
        BadInput: with the name as escapes.
    """
    if not name.isprintable():
        shown = printable(name)
        raise BadInput(f"{what} cannot be called '{shown}': give a name without control characters.", field=field)
