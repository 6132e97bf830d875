"""`session.h5` stands for itself: nothing of it is in other files, no size is believed that its bytes cannot hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from grainloop.controller.session.opening import reason_of
from grainloop.controller.session.reader import load_session
from grainloop.controller.session.writer import CannotStore, ReopenedSessionFile
from grainloop.protocols.errors import BadInput
from tests.controller.session.test_session import begin


@pytest.fixture
def session(tmp_path: Path) -> Path:
    file, _ = begin(tmp_path / "session.h5")
    file.close()
    return file.path


def _other(path: Path) -> Path:
    """Another file, in the folder beside."""
    return path.with_name("other")


def link_to_a_pipe(file: Any, path: Path) -> None:
    if os.name == "posix":
        os.mkfifo(_other(path))
    del file["measured"]
    file["measured"] = h5py.ExternalLink(_other(path), "/measured")


def link_that_nobody_asks_for(file: Any, path: Path) -> None:
    file["inferred/latest"] = h5py.ExternalLink(_other(path), "/x")


def values_in_another_file(file: Any, path: Path) -> None:
    del file["events"]
    file.create_dataset("events", (4,), "u1", external=[(str(_other(path)), 0, 4)])


def virtual_values(file: Any, path: Path) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(_other(path), "x", (4,))
    del file["events"]
    file.create_virtual_dataset("events", layout)


def two_thousand_million_rows(file: Any, _path: Path) -> None:
    for column in file["measured"].values():
        column.resize(2**31, axis=0)


def a_map_of_a_trillion_pixels(file: Any, _path: Path) -> None:
    file.create_dataset("inferred/final/p_wrong", (2**20, 2**20), "f4", chunks=(64, 64))


def a_grid_of_a_trillion_pixels(file: Any, _path: Path) -> None:
    text = file["capabilities"].asstr()[()].replace("[24,20]", "[1048576,1048576]")
    assert "1048576" in text
    del file["capabilities"]
    file.create_dataset("capabilities", data=text)


def texts_that_are_nested(file: Any, _path: Path) -> None:
    del file["software"]
    file.create_dataset("software", data="[" * 100_000)


FOREIGN: dict[Callable[[Any, Path], None], str] = {
    link_to_a_pipe: "/measured is in another file",
    link_that_nobody_asks_for: "/inferred/latest is in another file",
    values_in_another_file: "the values of /events are in another file",
    virtual_values: "the values of /events are in another file",
    two_thousand_million_rows: "declares [0-9]+ bytes, more than the file can hold",
    a_map_of_a_trillion_pixels: "declares [0-9]+ bytes, more than the file can hold",
    a_grid_of_a_trillion_pixels: "damaged",
    texts_that_are_nested: "it is nested too deeply",
}


@pytest.mark.parametrize("change", FOREIGN)
@pytest.mark.timeout(120)
def test_what_is_not_in_the_file_is_refused(session: Path, change: Callable[[Any, Path], None]) -> None:
    with h5py.File(session, "r+") as file:
        change(file, session)
    with pytest.raises(BadInput, match=FOREIGN[change]) as caught:
        load_session(session)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_gone_on_with_is_opened_by_the_same_door(session: Path) -> None:
    session.unlink()
    session.mkdir()
    with pytest.raises(CannotStore, match="it is a folder"):
        ReopenedSessionFile(session)


def test_nothing_of_hdf5_stays_open_where_it_was_refused(session: Path) -> None:
    with h5py.File(session, "r+") as file:
        link_that_nobody_asks_for(file, session)
    with pytest.raises(BadInput):
        load_session(session)
    with h5py.File(session, "r+") as file:  # refused where somebody holds it
        del file["inferred/latest"]
    assert len(load_session(session).points) == 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (OSError("Unable to synchronously open file (file signature not found)"), "file signature not found"),
        (OSError("Unable to open (truncated file: eof = 96, sblock->base_addr = 0)"), "truncated file"),
        (
            RuntimeError(
                "Can't decrement (file write failed: time = Mon\n, errno = 28, "
                "error message = 'No space left on device', buf = 0x7f0890266648, total write size = 191656)"
            ),
            "No space left on device",
        ),
        (OSError(30, "Read-only file system"), "Read-only file system"),
        (ValueError("no such thing.\nmore"), "no such thing"),
    ],
)
def test_what_hdf5_says_is_told_without_addresses(said: Exception, reason: str) -> None:
    assert reason_of(said) == reason


def test_a_file_of_another_kind_is_told_in_few_words(tmp_path: Path) -> None:
    (tmp_path / "session.h5").write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    with pytest.raises(BadInput, match=r"cannot be read as HDF5: file signature not found\.$"):
        load_session(tmp_path / "session.h5")
