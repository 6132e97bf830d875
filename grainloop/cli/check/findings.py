"""What a check finds, and how checks are carried out: each to its end, whatever another one ran into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from grainloop.protocols.errors import GrainloopError


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """Works, and may not do what you expect."""
    FAIL = "fail"
    """Does not work."""


@dataclass(frozen=True)
class Finding:
    """One row.

    Attributes:
        what: was looked at.
        state: how bad it is.
        found: what was seen, with its values.
        do: one sentence that says what to do; nothing where all is well.
    """

    what: str
    state: State
    found: str
    do: str = ""


Check = Callable[[], Iterable[Finding]]


def good(what: str, found: str) -> Finding:
    """All is well."""
    return Finding(what, State.OK, found)


def doubtful(what: str, found: str, do: str) -> Finding:
    """It works, and may not do what is expected."""
    return Finding(what, State.WARN, found, do)


def bad(what: str, found: str, do: str) -> Finding:
    """It does not work."""
    return Finding(what, State.FAIL, found, do)


def judge(what: str, fine: bool, found: str, do: str, otherwise: State = State.FAIL) -> Finding:
    """Well if `fine`, else as bad as `otherwise`."""
    return good(what, found) if fine else Finding(what, otherwise, found, do)


def gather(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """The findings of all checks; one that fails on the way is a finding itself."""
    for what, check in checks:
        try:
            yield from check()
        except GrainloopError as error:
            yield bad(what, error.message, "Do what the sentence says.")
        except ImportError as error:
            yield doubtful(what, f"not looked at: there is no package {error.name}", "Install the part that needs it.")
        except Exception as error:  # noqa: BLE001  # a broken check must not hide what the others find
            found = f"this check failed itself: {type(error).__name__}: {error}"
            yield bad(what, found, "Report this with the versions above.")
