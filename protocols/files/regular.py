"""Open a file only where it is one: a pipe that nobody writes to would wait for ever, a device would never end.

Links are followed to what they name. What is no regular file is refused by an `OSError` whose `strerror` says what it
is, so that whoever tells of files that cannot be opened tells of these too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import IO, Any, Final

_NO_WAIT: Final[int] = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
"""Of Windows, which else would turn line ends."""
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device file"),
    (stat.S_ISBLK, "a device file"),
)
_FLAGS: Final = {
    "rb": os.O_RDONLY,
    "r+b": os.O_RDWR,
    "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "xb": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}

MOST_BYTES: Final = 2**34
"""Of a file that is read whole: 16 GiB."""


class NotRegular(OSError):
    """Something else than a regular file is in the place of one."""


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """A descriptor of a regular file; never waits, and does nothing to what is none.

    Args:
        path: of the file.
        flags: as `os.open` takes them.
        mode: of a file that is made.

    Raises:
        NotRegular: it is a pipe, a device, a socket or a folder, or no file can have such a name.
        OSError: it cannot be opened.
    """
    try:
        _require(path, _found(path))
        descriptor = os.open(path, flags | _NO_WAIT | _BINARY, mode)
    except ValueError as error:
        raise NotRegular(errno.EINVAL, "no file can have this name", str(path)) from error
    try:
        _require(path, os.fstat(descriptor))  # it may have been put there meanwhile
        if _NO_WAIT:
            os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_file(path: Path, how: str = "rb", mode: int = 0o666) -> IO[Any]:
    """`path.open(how)` of a regular file, for bytes: `rb`, `r+b`, `wb`, `xb` or `ab`.

    Raises:
        OSError: as `open_regular`.
    """
    return os.fdopen(open_regular(path, _FLAGS[how], mode), how.replace("x", "w"))


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """All bytes of a regular file; its size is looked at before memory is asked for.

    Args:
        path: of the file.
        most: bytes that it may hold.

    Raises:
        OSError: as `open_regular`, it holds more, or more than there is memory for.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            data = _all_of(file, size, most + 1) if size <= most else b""
        except MemoryError:
            raise OSError(errno.ENOMEM, f"there is no memory for its {size} bytes", str(path)) from None
    if size > most or len(data) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most} bytes", str(path))
    return data


def sha256_of(path: Path) -> str:
    """SHA-256 of a regular file, as hexadecimal digits.

    Raises:
        OSError: as `open_regular`.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_regular(path: Path) -> None:
    """Refuse what is there and no regular file, before a library opens it by its name.

    Raises:
        NotRegular: as `open_regular`.
        OSError: nobody can say what it is.
    """
    try:
        _require(path, _found(path))
    except ValueError as error:
        raise NotRegular(errno.EINVAL, "no file can have this name", str(path)) from error


def _all_of(file: IO[Any], size: int, most: int) -> bytes:
    """What a file holds, up to so many bytes; more than it had when it was opened where it grows."""
    parts, left, asked = list[bytes](), most, size + 1
    while left > 0 and (part := file.read(min(left, asked))):
        parts.append(part)
        left, asked = left - len(part), 2**20
    return b"".join(parts)


def _found(path: Path) -> os.stat_result | None:
    """What is there before it is opened: opening alone can do something to a device."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _require(path: Path, found: os.stat_result | None) -> None:
    if found is None or stat.S_ISREG(found.st_mode):
        return
    kind = next((name for is_one, name in _KINDS if is_one(found.st_mode)), "no file")
    raise NotRegular(errno.EINVAL, f"it is {kind}, and only a regular file is used", str(path))
