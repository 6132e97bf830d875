"""The list of allowed keys: a text file with one `role key name` per line, read anew whenever it changes.

A list that cannot be read, or that others can change, allows nobody: it fails closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from grainloop.protocols.errors import BadInput, GrainloopError
from grainloop.protocols.observability import get_logger
from grainloop.protocols.security.keys import is_key
from grainloop.protocols.security.private_files import read_private, replace_private
from grainloop.protocols.security.roles import Caller, Role
from grainloop.protocols.sentences import short

HEADER = "# role key name: who may ask the services that use this list; change it with `grainloop keys`\n"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class AllowedKey:
    """One line of the list."""

    role: Role
    key: str
    name: str


def require_name(name: str) -> str:
    """`name`, if files and lists can carry it.

    Raises:
        BadInput: it has other characters than letters, digits and `. _ @ -`, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{short(name)} cannot name a key: use up to 64 letters, digits and . _ @ -, the first a letter or digit.",
            field="name",
            value=name,
        )
    return name


def read_allow_list(path: Path) -> tuple[AllowedKey, ...]:
    """All lines of the list.

    Raises:
        BadInput: there is no such file, or a line is wrong; the sentence names file and line.
        NotPermitted: others can read or change the file.
    """
    lines = enumerate(read_private(path).splitlines(), 1)
    entries = [_entry(line, number, path) for number, line in lines if line.strip() and not line.startswith("#")]
    for part in ("key", "name"):
        told = [entry.key if part == "key" else entry.name for entry in entries]
        if len(set(told)) < len(told):
            twice = next(one for one in told if told.count(one) > 1)
            raise BadInput(f"{path} names the {part} {twice} twice.", field=part, value=twice)
    return tuple(entries)


def write_allow_list(path: Path, entries: Iterable[AllowedKey]) -> None:
    """Put `entries` in the place of the list; services see it at the next message.

    Raises:
        BadInput: it cannot be written.
    """
    lines = (f"{entry.role} {entry.key} {entry.name}\n" for entry in entries)
    replace_private(path, HEADER + "".join(lines))


class AllowList:
    """The list as a service uses it.

    Args:
        path: of the file.

    Raises:
        BadInput: the file cannot be used.
        NotPermitted: others can read or change it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken: GrainloopError | None = None
        """Why the list allows nobody at the moment."""
        self._seen = _version(path)
        self._callers = _by_key(read_allow_list(path))

    def caller(self, key: str) -> Caller:
        """Who `key` is now; without a role where it is not on the list."""
        self._look()
        return self._callers.get(key, Caller(key, "a stranger", None))

    def __len__(self) -> int:
        self._look()
        return len(self._callers)

    def _look(self) -> None:
        version = _version(self.path)
        if version == self._seen:
            return
        log = get_logger(allow_list=str(self.path))
        try:
            self._callers, self.broken = _by_key(read_allow_list(self.path)), None
            log.info("read the list of allowed keys", keys=len(self._callers))
        except GrainloopError as error:
            self._callers, self.broken = {}, error
            log.error("the list of allowed keys cannot be used, so nobody is allowed", reason=error.message)
        self._seen = version


def _by_key(entries: Iterable[AllowedKey]) -> dict[str, Caller]:
    return {entry.key: Caller(entry.key, entry.name, entry.role) for entry in entries}


def _version(path: Path) -> tuple[int, ...] | None:
    """What changes when the file is edited, replaced, or opened to others."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size


def _entry(line: str, number: int, path: Path) -> AllowedKey:
    try:
        role, key, name = line.split()
        if not is_key(key):
            raise ValueError
        return AllowedKey(Role(role), key, require_name(name))
    except (ValueError, BadInput):
        message = f"Line {number} of {path} is not `role key name` with a role of {', '.join(Role)}."
        raise BadInput(message, field="line", value=number) from None
