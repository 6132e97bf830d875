"""Files that nobody else may read or change: written so, and checked each time before they are believed.

On Windows there are no mode bits; there the checks pass and the user's profile folder has to be private.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from grainloop.protocols.errors import BadInput, NotPermitted
from grainloop.protocols.files import open_file
from grainloop.protocols.record_file import sync_folder

FILE_MODE = 0o600
FOLDER_MODE = 0o700
MAX_BYTES = 2**20
WAIT_S: Final = 20.0
"""How long a command waits for others that change the same file; each takes milliseconds."""
_POSIX = os.name == "posix"


def make_private_folder(folder: Path) -> None:
    """Make `folder`, open to its owner alone; one that is there already must be so.

    Raises:
        NotPermitted: others can look into it.
        BadInput: it cannot be made.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"The folder {folder} cannot be made: {reason}.", field="keys", value=folder) from error
    require_private_folder(folder)


def require_private_folder(folder: Path) -> None:
    """Refuse a folder of keys that others can look into.

    Raises:
        BadInput: there is no such folder.
        NotPermitted: others can look into it, or it is another user's.
    """
    try:
        found = folder.stat()
    except (OSError, ValueError) as error:
        raise BadInput(f"There is no folder of keys {folder}.", field="keys", value=folder) from error
    if not stat.S_ISDIR(found.st_mode):
        raise BadInput(f"{folder} is no folder, so it holds no keys.", field="keys", value=folder)
    _require_private(found, folder, "folder", FOLDER_MODE)


def read_private(path: Path) -> str:
    """The text of a file that belongs to this user and that nobody else can read; bytes that are no text as surrogates.

    Raises:
        BadInput: there is no such file, or it is longer than any of ours.
        NotPermitted: others can read or change it, it is another user's, or it is no regular file.
    """
    try:
        with open_file(path) as file:
            _require_private(os.fstat(file.fileno()), path, "file", FILE_MODE)
            data: bytes = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {path}.", field="keys", value=path) from error
    except OSError as error:
        raise NotPermitted(f"{path} cannot be read: {error.strerror}.", field="keys", value=path) from error
    if len(data) > MAX_BYTES:
        raise BadInput(f"{path} is no file of ours: it holds more than {MAX_BYTES} bytes.", field="keys", value=path)
    return data.decode(errors="surrogateescape")


def write_private(path: Path, text: str) -> None:
    """Write a new file that nobody else can read; where it cannot be written whole, nothing is left of it.

    Raises:
        BadInput: the file is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError as error:
        raise BadInput(f"{path} exists already and is not overwritten.", field="keys", value=path) from error
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode(errors="surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritten(path, error) from error


def replace_private(path: Path, text: str) -> None:
    """Write a private file in the place of another; at every moment the old one or the new one is whole.

    A link stays one: what it names is replaced. It is on disk when this returns.

    Raises:
        BadInput: it cannot be written.
    """
    path = real(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_private(draft, text)
        os.replace(draft, path)
        sync_folder(path.parent)
    except OSError as error:
        raise BadInput(f"{path} cannot be replaced: {error.strerror}.", field="keys", value=path) from error
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def changing(path: Path) -> Generator[None]:
    """For as long as the context lasts no other process changes `path`, if it asks this way too.

    Raises:
        BadInput: somebody else does not finish, or the folder cannot be written.
    """
    path = real(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"), mode=FILE_MODE)
    try:
        lock.acquire(timeout=WAIT_S)
    except Timeout as error:
        message = f"Another command has been changing {path} for {WAIT_S:.0f} s; nothing was changed, try again."
        raise BadInput(message, field="keys", value=path) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"{path} cannot be changed: {lock.lock_file} cannot be locked ({reason})."
        raise BadInput(message, field="keys", value=path) from error
    try:
        yield
    finally:
        lock.release()


def real(path: Path) -> Path:
    """The file that `path` names through links; two names of one list are one list."""
    return Path(os.path.realpath(path))


def _unwritten(path: Path, error: OSError) -> BadInput:
    return BadInput(f"{path} cannot be written: {error.strerror}.", field="keys", value=path)


def _require_private(found: os.stat_result, path: Path, what: str, wanted: int) -> None:
    if not _POSIX:
        return
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~wanted & 0o077:
        raise NotPermitted(
            f"The {what} {path} has mode {mode:04o}, so others can open it; nothing in it is used until it has "
            f"{wanted:04o} (chmod {wanted:o} {path}).",
            field="keys",
            value=f"{mode:04o}",
        )
    if found.st_uid not in (os.geteuid(), 0):
        raise NotPermitted(
            f"The {what} {path} belongs to the user with id {found.st_uid}, not to you.",
            field="keys",
            value=found.st_uid,
        )
