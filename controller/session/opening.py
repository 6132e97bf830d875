"""`session.h5` opened where it is a file that stands for itself: nothing in other files, no sizes beyond its bytes.

HDF5 follows links into any file, a pipe among them, and gives memory for whatever a dataset says that it holds. What is
in the file is the business of `controller.session.reader` and `controller.session.writer`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import h5py

from grainloop.controller.session.datasets import CHUNK_CACHE_BYTES, Node
from grainloop.protocols.files import require_regular

_UNWRITTEN_BYTES: Final = 2**26
"""That a dataset may hold beyond the size of its file: what was made longer and is not written yet."""
_SAID: Final = re.compile(r"error message = '([^']+)'")
_IN_BRACKETS: Final = re.compile(r"\(([^:(),]+)")


def open_hdf5(path: Path) -> Node:
    """The file, open to be read; to be closed.

    Raises:
        OSError: it is no regular file, or no HDF5.
        ValueError: it refers to other files, or declares more than it can hold.
    """
    require_regular(path)
    file = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE_BYTES)
    try:
        links = list[tuple[str, Any]]()

        def note(name: str, link: Any) -> None:  # h5py stands no error from within
            links.append((name, link))

        file.visititems_links(note)
        for name, link in links:
            _require_own(file, name, link, path.stat().st_size + _UNWRITTEN_BYTES)
    except BaseException:
        file.close()
        raise
    return file


def reason_of(error: BaseException) -> str:
    """What HDF5 or the operating system says, without addresses and counts."""
    text = str(error)
    if found := _SAID.search(text):
        return found.group(1)
    if isinstance(error, OSError) and error.strerror and "(" not in error.strerror:
        return error.strerror
    if found := _IN_BRACKETS.search(text):
        return found.group(1).strip()
    return text.partition("\n")[0].rstrip(".")


def _require_own(file: Node, name: str, link: Any, most: int) -> None:
    if isinstance(link, h5py.ExternalLink):
        raise ValueError(f"/{name} is in another file, {link.filename}")
    if not isinstance(link, h5py.HardLink) or not isinstance(found := file[name], h5py.Dataset):
        return
    if found.is_virtual or found.external:
        raise ValueError(f"the values of /{name} are in another file")
    if found.nbytes > most:
        raise ValueError(f"/{name} declares {found.nbytes} bytes, more than the file can hold")
