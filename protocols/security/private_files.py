"""Files that nobody else may read or change: written so, and checked each time before they are believed.

On Windows there are no mode bits; there the checks pass and the user's profile folder has to be private.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from grainloop.protocols.errors import BadInput, NotPermitted

FILE_MODE = 0o600
FOLDER_MODE = 0o700
MAX_BYTES = 2**20
_POSIX = os.name == "posix"


def make_private_folder(folder: Path) -> None:
    """Make `folder`, open to its owner alone; one that is there already must be so.

    Raises:
        NotPermitted: others can look into it.
        BadInput: it cannot be made.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be made: {error.strerror}.", field="keys", value=folder) from error
    require_private_folder(folder)


def require_private_folder(folder: Path) -> None:
    """Refuse a folder of keys that others can look into.

    Raises:
        BadInput: there is no such folder.
        NotPermitted: others can look into it, or it is another user's.
    """
    try:
        found = folder.stat()
    except OSError as error:
        raise BadInput(f"There is no folder of keys {folder}.", field="keys", value=folder) from error
    _require_private(found, folder, "folder", FOLDER_MODE)


def read_private(path: Path) -> str:
    """The text of a file that belongs to this user and that nobody else can read.

    Raises:
        BadInput: there is no such file, or it is no text.
        NotPermitted: others can read or change it, or it is another user's.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BadInput(f"{path} is no file.", field="keys", value=path)
            _require_private(found, path, "file", FILE_MODE)
            return file.read(MAX_BYTES).decode("ascii")
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {path}.", field="keys", value=path) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} holds bytes that are no text.", field="keys", value=path) from error
    except OSError as error:
        raise NotPermitted(f"{path} cannot be read: {error.strerror}.", field="keys", value=path) from error


def write_private(path: Path, text: str) -> None:
    """Write a new file that nobody else can read.

    Raises:
        BadInput: the file is there already, or cannot be written.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise BadInput(f"{path} exists already and is not overwritten.", field="keys", value=path) from error
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.", field="keys", value=path) from error


def replace_private(path: Path, text: str) -> None:
    """Write a private file in the place of another; at every moment the old one or the new one is whole.

    Raises:
        BadInput: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_private(draft, text)
        os.replace(draft, path)
    except OSError as error:
        raise BadInput(f"{path} cannot be replaced: {error.strerror}.", field="keys", value=path) from error
    finally:
        draft.unlink(missing_ok=True)


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
