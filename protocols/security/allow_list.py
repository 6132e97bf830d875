"""The list of allowed keys: a text file with one `role key name` per line, read anew whenever it changes.

A list that cannot be read, or that others can change, allows nobody: it fails closed. A line that cannot be understood
allows nobody either, and the other lines hold. Who changes the list is the business of `protocols.security.folder`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from grainloop.protocols.errors import BadInput, GrainloopError
from grainloop.protocols.observability import get_logger
from grainloop.protocols.security.keys import is_key
from grainloop.protocols.security.private_files import MAX_BYTES, read_private, replace_private
from grainloop.protocols.security.roles import Caller, Role
from grainloop.protocols.sentences import short

HEADER = "# role key name: who may ask the services that use this list; change it with `grainloop keys`\n"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
SETTLED_NS: Final = 100_000_000
"""The clock of a file system is coarse: a file that changed so recently may change again and look the same."""


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
    if not can_name(name):
        raise BadInput(
            f"{short(name)} cannot name a key: use up to 64 letters, digits and . _ @ -, the first a letter or digit.",
            field="name",
            value=name,
        )
    return name


_PARTS: Final[dict[str, Callable[[AllowedKey], str]]] = {"key": lambda one: one.key, "name": lambda one: one.name}
"""What no two lines may share."""


@dataclass(frozen=True)
class Line:
    """One line of the file.

    Attributes:
        number: from 1.
        text: as it stands there.
        entry: whom it allows; nobody where it is a remark, or cannot be understood.
        fault: why it cannot be understood, as a sentence that names file and line.
    """

    number: int
    text: str
    entry: AllowedKey | None = None
    fault: str = ""


@dataclass(frozen=True)
class Listing:
    """The list as it was read; changes are made to a copy, remarks stay where they are."""

    lines: tuple[Line, ...] = ()

    @property
    def entries(self) -> tuple[AllowedKey, ...]:
        """Whom it allows."""
        return tuple(line.entry for line in self.lines if line.entry is not None)

    @property
    def faults(self) -> tuple[Line, ...]:
        """What cannot be understood."""
        return tuple(line for line in self.lines if line.fault)

    def whole(self) -> Listing:
        """The list without what cannot be understood."""
        return Listing(tuple(line for line in self.lines if not line.fault))

    def with_entry(self, entry: AllowedKey) -> Listing:
        """The list with `entry` in the place of the line of its key, or at the end."""
        new = Line(0, _text(entry), entry)
        there = any(line.entry is not None and line.entry.key == entry.key for line in self.lines)
        lines = tuple(new if line.entry is not None and line.entry.key == entry.key else line for line in self.lines)
        return Listing(lines if there else (*lines, new))

    def without_key(self, key: str) -> Listing:
        """The list without the line of a key."""
        return Listing(tuple(line for line in self.lines if line.entry is None or line.entry.key != key))


def can_name(name: str) -> bool:
    """Whether files and lists can carry `name`."""
    return _NAME.fullmatch(name) is not None


def read_listing(path: Path) -> Listing:
    """The list, with what cannot be understood of it.

    Raises:
        BadInput: there is no such file.
        NotPermitted: others can read or change the file.
    """
    texts = read_private(path).split("\n")
    lines = [_line(text, number, path) for number, text in enumerate(texts, 1) if text.strip()]
    for part, of in _PARTS.items():
        where: dict[str, list[int]] = {}
        for line in lines:
            if line.entry is not None:
                where.setdefault(of(line.entry), []).append(line.number)
        lines = [_once(line, part, where, path) for line in lines]
    return Listing(tuple(lines))


def read_allow_list(path: Path) -> tuple[AllowedKey, ...]:
    """All lines of the list.

    Raises:
        BadInput: there is no such file, or a line is wrong; the sentence names file and line.
        NotPermitted: others can read or change the file.
    """
    listing = read_listing(path)
    for line in listing.faults:
        raise BadInput(line.fault, field="line", value=line.number)
    return listing.entries


def write_listing(path: Path, listing: Listing) -> None:
    """Put `listing` in the place of the list; services see it at the next message.

    Raises:
        BadInput: it cannot be written, or what is there afterwards is not what was written.
    """
    head = () if any(line.text == HEADER.strip() for line in listing.lines) else (HEADER.strip(),)
    text = "".join(f"{line}\n" for line in (*head, *(line.text for line in listing.lines)))
    if len(text) > MAX_BYTES:
        raise BadInput(f"{path} would hold more than {MAX_BYTES} bytes; revoke somebody first.", field="keys")
    replace_private(path, text)
    if read_listing(path).entries != listing.entries:
        message = (
            f"{path} does not hold what was just written there: somebody else changes it. See: grainloop keys list."
        )
        raise BadInput(message, field="keys", value=path)


def write_allow_list(path: Path, entries: Iterable[AllowedKey]) -> None:
    """Put `entries` in the place of the list.

    Raises:
        BadInput: it cannot be written.
    """
    write_listing(path, Listing(tuple(Line(0, _text(entry), entry) for entry in entries)))


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
        self._listing = read_listing(path)
        self._callers = _by_key(self._listing.entries)
        if self._listing.faults and not self._callers:
            raise BadInput(self._listing.faults[0].fault, field="line", value=self._listing.faults[0].number)
        self._tell_faults()

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
            listing = read_listing(self.path)
        except Exception as error:  # noqa: BLE001  # whatever it is, who asks is answered, and refused
            known = isinstance(error, GrainloopError)
            self.broken = error if known else GrainloopError(f"{self.path} cannot be read: {type(error).__name__}.")
            self._listing, self._callers, self._seen = Listing(), {}, version
            log.error("the list of allowed keys cannot be used, so nobody is allowed", reason=self.broken.message)
            return
        if listing != self._listing or self.broken is not None:
            self._listing, self._callers, self.broken = listing, _by_key(listing.entries), None
            log.info("read the list of allowed keys", keys=len(self._callers))
            self._tell_faults()
        self._seen = version

    def _tell_faults(self) -> None:
        log, faults = get_logger(allow_list=str(self.path)), self._listing.faults
        if faults and not self._callers:
            self.broken = BadInput(faults[0].fault, field="line", value=faults[0].number)
            log.error("the list of allowed keys cannot be used, so nobody is allowed", reason=faults[0].fault)
        elif faults:
            numbers = [line.number for line in faults]
            log.error("lines of the list of allowed keys allow nobody", lines=numbers, reason=faults[0].fault)


def _by_key(entries: Iterable[AllowedKey]) -> dict[str, Caller]:
    return {entry.key: Caller(entry.key, entry.name, entry.role) for entry in entries}


def _version(path: Path) -> tuple[int, ...] | None:
    """What changes when the file is edited, replaced, or opened to others; never the same twice while it is fresh."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    now_ns = time.time_ns()
    fresh = abs(now_ns - found.st_ctime_ns) < SETTLED_NS
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size, found.st_mode, now_ns if fresh else 0


def _text(entry: AllowedKey) -> str:
    return f"{entry.role} {entry.key} {entry.name}"


def _line(text: str, number: int, path: Path) -> Line:
    if text.startswith("#"):
        return Line(number, text)
    try:
        role, key, name = text.split()
        if not is_key(key):
            raise ValueError
        return Line(number, text, AllowedKey(Role(role), key, require_name(name)))
    except (ValueError, BadInput):
        fault = f"Line {number} of {path} is not `role key name` with a role of {', '.join(Role)}."
        return Line(number, text, fault=fault)


def _once(line: Line, part: str, where: dict[str, list[int]], path: Path) -> Line:
    """Lines that contradict each other allow nobody."""
    if line.entry is None or len(where.get(told := _PARTS[part](line.entry), ())) < 2:
        return line
    numbers = " and ".join(str(number) for number in where[told])
    return replace(line, entry=None, fault=f"{path} names the {part} {told} twice, in lines {numbers}.")
