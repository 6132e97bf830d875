"""Where the log lines of this process go: stderr and files. The one place that sets it up; nothing is set up by import.

On a terminal lines are readable, elsewhere they are JSON. Files hold JSON lines, are begun anew when they are full, and
keep a few of their predecessors beside them as `.1`, `.2`, …, the newest first. Nothing ever stops because its log
does: a file that cannot be written is told of once, and a terminal or pipe that nobody reads costs lines, not time.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final, TextIO

from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import open_file, open_regular
from grainloop.protocols.observability.lines import formatter, record_of
from grainloop.protocols.observability.logs import NAME

LOG_NAME: Final = "service.log.jsonl"
"""The log in the folder of a session."""
MAX_BYTES: Final = 10 * 2**20
KEPT_FILES: Final = 3
_ERRORS: Final = "backslashreplace"
"""What is done with text that is no UTF-8, such as what a driver says."""
LAST_WORDS_S: Final = 2.0
"""How long the end of a process waits for lines to be read."""
LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class LogOptions:
    """What an operator may choose.

    Attributes:
        level: least level of lines.
        json: JSON on stderr; None for JSON unless it is a terminal.
        file: also write there.
    """

    level: str = "info"
    json: bool | None = None
    file: Path | None = None


class Aside(logging.Handler):
    """Writes to a pipe or terminal by a thread of its own, so that nobody who does not read it holds the process.

    Lines that find no room are left out, and counted. The thread writes past Python's buffer, whose lock would keep the
    interpreter from ending.

    Args:
        descriptor: of the pipe or terminal.
        form: of the lines.
        room: how many lines may wait.
    """

    def __init__(self, descriptor: int, form: logging.Formatter, room: int = 4096) -> None:
        super().__init__()
        self.setFormatter(form)
        self._descriptor, self._left_out, self._counting = descriptor, 0, threading.Lock()
        self._lines: queue.Queue[str | None] = queue.Queue(room)
        self._thread = threading.Thread(target=self._write_all, name="log lines", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line over."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            with self._counting:
                self._left_out += 1
        except Exception:  # noqa: BLE001  # as the standard library has it: a log stops nothing
            self.handleError(record)

    def close(self) -> None:
        """Let what waits be written, for a moment."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=LAST_WORDS_S)
            self._thread.join(LAST_WORDS_S)
        super().close()

    def _write_all(self) -> None:
        with suppress(OSError):  # nobody reads any more
            while (line := self._lines.get()) is not None:
                self._write(line)
                with self._counting:
                    left_out, self._left_out = self._left_out, 0
                if left_out:
                    said = "log lines were left out, because nobody read them"
                    self._write(self.format(record_of(logging.WARNING, said, count=left_out)))

    def _write(self, line: str) -> None:
        left = f"{line}\n".encode(errors=_ERRORS)
        while left:
            left = left[os.write(self._descriptor, left) :]


class LogFile(RotatingFileHandler):
    """A file of JSON lines that begins with the first line."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=KEPT_FILES, encoding="utf-8", delay=True, errors=_ERRORS)
        self.setFormatter(formatter(as_json=True))
        self._failed = self._begun = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; before there is a folder there is nothing to write to."""
        if self._begun or Path(self.baseFilename).parent.is_dir():
            self._begun = True
            super().emit(record)

    def close(self) -> None:
        """What a full disk did not take is gone, and told of; the file is closed all the same."""
        with suppress(OSError):
            super().close()

    def _open(self) -> TextIOWrapper:
        """A pipe in the place of the file would hold the process until somebody reads it."""
        descriptor = open_regular(Path(self.baseFilename), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors=_ERRORS)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the standard library's name
        """Tell once."""
        error = sys.exception()
        if not self._failed and isinstance(error, OSError):
            self._failed = True
            reason = error.strerror or error
            print(f"The log {self.baseFilename} cannot be written: {reason}.", file=sys.stderr)  # noqa: T201
        elif not isinstance(error, OSError):
            super().handleError(record)


@contextmanager
def logging_to(options: LogOptions, stream: TextIO | None = None) -> Generator[None]:
    """Send lines to stderr (or `stream`), and to the file of the options, for as long as the context lasts.

    Raises:
        BadInput: the file cannot be written, or there is no such level.
    """
    if options.level not in LEVELS:
        message = f"--log-level {options.level} cannot be used: give {', '.join(LEVELS)}."
        raise BadInput(message, field="log-level", value=options.level)
    out = sys.stderr if stream is None else stream
    handlers = [_to_stream(out, formatter(as_json=_as_json(options, out), colour=out.isatty()))]
    if options.file is not None:
        handlers.append(_checked(options.file))
    ours = logging.getLogger(NAME)
    before = ours.level
    ours.setLevel(options.level.upper())
    logging.captureWarnings(True)
    try:
        with _attached(*handlers):
            yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(before)


@contextmanager
def logging_beside(folder: Path) -> Generator[None]:
    """Also keep a log in the folder of a session; it is begun when there is something to tell and a folder."""
    with _attached(LogFile(folder / LOG_NAME)):
        yield


def _to_stream(stream: TextIO, form: logging.Formatter) -> logging.Handler:
    try:
        return Aside(stream.fileno(), form)
    except OSError:  # no file: a test listens
        handler = logging.StreamHandler(stream)
        handler.setFormatter(form)
        return handler


@contextmanager
def _attached(*handlers: logging.Handler) -> Generator[None]:
    """Lines of other packages (warnings and worse) come along, so the handlers are the root's."""
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def _as_json(options: LogOptions, stream: TextIO) -> bool:
    return not stream.isatty() if options.json is None else options.json


def _checked(path: Path) -> LogFile:
    """The handler of a file that an operator named: a name that cannot be used is refused at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        open_file(path, "ab").close()
    except OSError as error:
        message = f"The log {path} cannot be written: {error.strerror or error}."
        raise BadInput(message, field="log-file", value=path) from error
    return LogFile(path)
