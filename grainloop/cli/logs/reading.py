"""Reading log files of services: lines in, those that are asked for out, several files merged by time.

Files are JSON lines as `protocols.observability.output` writes them; what is no such line is told and never fatal, for
stderr of a process holds its last words too. Showing lines is the business of `grainloop.cli.logs.command`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import open_file, parse_json
from grainloop.protocols.observability.output import LEVELS, LOG_NAME

Line = dict[str, Any]
Mark = tuple[str, str, str]
SUFFIXES: Final = (".jsonl", ".log")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Broken:
    """Text that is no log line: where it stands, and its beginning."""

    file: Path
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number} is no log line: {self.text}"


def files_of(named: Path) -> list[Path]:
    """The log files that a folder or file stands for, the oldest of rotated ones first.

    A folder stands for the log of its session and for those of the services that were started beside it.

    Raises:
        BadInput: there is none.
    """
    if named.is_file():
        return [*_earlier(named), named]
    begun = [*named.glob("*.jsonl"), *(named / "logs").glob("*.jsonl"), *(named / "logs").glob("*.log")]
    found = [file for one in sorted(begun) for file in (*_earlier(one), one)]
    if not found:
        message = f"There is no log in {named}: the controller writes {LOG_NAME} there, services where --log-file says."
        raise BadInput(message, field="session", value=named)
    return found


def _earlier(file: Path) -> list[Path]:
    numbered = {path.suffix[1:]: path for path in file.parent.glob(f"{file.name}.*") if path.suffix[1:].isdigit()}
    return [numbered[number] for number in sorted(numbered, key=int, reverse=True)]


def parse(text: str, file: Path, number: int) -> Line | Broken:
    """One line of a file."""
    try:
        line = parse_json(text)
    except ValueError:
        line = None
    if not isinstance(line, dict) or _time(line) is None or "event" not in line:
        return Broken(file, number, text.strip()[:80])
    return line


class Tail:
    """A log file read from its beginning, and what comes to it later; a file that was begun anew is gone on with.

    Args:
        path: of the file.

    Raises:
        BadInput: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rest, self._number = b"", 0
        try:
            self._file = open_file(path)
        except OSError as error:
            message = f"The log {path} cannot be read: {error.strerror or error}."
            raise BadInput(message, field="session", value=path) from error

    def new(self) -> list[Line | Broken]:
        """The lines that have come, those that are whole."""
        found = self._take()
        if self._begun_anew():
            try:
                anew = open_file(self.path)
            except OSError:  # what has its name now is no log; the next one may be
                return found
            found += self.rest() + self._take()
            self._file.close()
            self._file, self._number = anew, 0
            found += self._take()
        return found

    def rest(self) -> list[Line | Broken]:
        """The last line, where its end is missing."""
        rest, self._rest = self._rest, b""
        return self._parsed([rest])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _take(self) -> list[Line | Broken]:
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return self._parsed(whole)

    def _parsed(self, texts: Iterable[bytes]) -> list[Line | Broken]:
        found = list[Line | Broken]()
        for text in texts:
            self._number += 1
            if text.strip():
                found.append(parse(text.decode(errors="replace"), self.path, self._number))
        return found

    def _begun_anew(self) -> bool:
        """Whether another file has the name now, or this one was cut."""
        try:
            there = self.path.stat()
        except OSError:
            return False
        return there.st_ino != os.fstat(self._file.fileno()).st_ino or there.st_size < self._file.tell()


def merged(lines: Iterable[Line]) -> list[Line]:
    """Lines by time; one that came by two files is there once."""
    once = {json.dumps(line, sort_keys=True): line for line in lines}
    return sorted(once.values(), key=lambda line: _time(line) or _LONG_AGO)


@dataclass
class Wanted:
    """Which lines are asked for.

    Attributes:
        level: least level.
        service: that tells.
        round: of a run, with the batches and requests that belong to it, whichever service tells of them.
        request: id.
        since: not before.
    """

    level: str = "debug"
    service: str | None = None
    round: int | None = None
    request: str | None = None
    since: datetime | None = None
    _related: set[Mark] = field(default_factory=set[Mark])

    def learn(self, lines: Iterable[Line]) -> None:
        """Note which batches and requests belong to the round: the instrument and the model know no rounds."""
        if self.round is not None:
            for line in lines:
                if line.get("round") == self.round:
                    # Lines of the controller alone carry the request for the whole run; those that ask, their own.
                    self._related |= {mark for mark in _marks(line) if mark[0] == "batch" or "to" in line}

    def take(self, line: Line) -> bool:
        """Whether a line is asked for."""
        time, level = _time(line), str(line.get("level"))
        return (
            (level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.level))
            and self.service in (None, line.get("service"))
            and self.request in (None, line.get("request"))
            and (self.since is None or (time is not None and time >= self.since))
            and self._of_round(line)
        )

    def _of_round(self, line: Line) -> bool:
        if self.round is None or line.get("round") == self.round:
            return True
        return "round" not in line and any(mark in self._related for mark in _marks(line))


def _marks(line: Line) -> Iterator[Mark]:
    """What ties lines of several services together."""
    if "batch" in line and "run" in line:
        yield "batch", str(line["run"]), str(line["batch"])
    if "request" in line:
        yield "request", "", str(line["request"])


def parse_since(text: str, now: datetime) -> datetime:
    """A time as people say it: `10m`, `2h`, or ISO 8601, in UTC where it names no zone.

    Raises:
        BadInput: it is neither.
    """
    number, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS:
            return now - timedelta(**{_UNITS[unit]: float(number)})
        told = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        message = f"--since {text} cannot be used: give 90s, 10m, 2h, 1d, or a time such as 2026-11-28T14:30."
        raise BadInput(message, field="since", value=text) from error
    return told if told.tzinfo else told.replace(tzinfo=UTC)


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _time(line: Line) -> datetime | None:
    try:
        told = datetime.fromisoformat(str(line.get("time")))
    except ValueError:
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)
