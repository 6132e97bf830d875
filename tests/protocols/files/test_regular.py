"""Only regular files are opened: a pipe, a device, a socket or a folder in the place of one is told at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from grainloop.protocols.files import NotRegular, open_file, open_regular, read_regular

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes in folders")


@pytest.fixture(params=["pipe", "link to a pipe", "device", "folder", "socket"])
def strange(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Something else than a file, under the name of one."""
    path = tmp_path / "file"
    match request.param:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(tmp_path / "pipe")
            path.symlink_to("pipe")
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case _:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.relpath(path))
    return path


@pytest.mark.parametrize("how", ["rb", "r+b", "wb", "ab"])
def test_what_is_no_file_is_refused_at_once_and_named(strange: Path, how: str) -> None:
    with pytest.raises(NotRegular, match=r"it is a .*, and only a regular file is used") as caught:
        open_file(strange, how)
    assert caught.value.filename == str(strange)


def test_reading_ends_where_a_device_would_not(strange: Path) -> None:
    with pytest.raises(NotRegular):
        read_regular(strange)


@pytest.mark.parametrize("name", ["a\0b", "caf\ud800"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotRegular, match="no file can have this name"):
        read_regular(tmp_path / name)


def test_files_and_links_to_files_are_read_and_written(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    with open_file(path, "xb") as file:
        file.write(b"12")
    link.symlink_to(path)
    with open_file(link, "ab") as file:
        file.write(b"345")
    assert read_regular(link, 5) == b"12345"
    with pytest.raises(FileExistsError):
        open_file(path, "xb")
    with pytest.raises(OSError, match="it holds more than 4 bytes"):
        read_regular(path, 4)


def test_a_descriptor_waits_as_others_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    descriptor = open_regular(tmp_path / "file", os.O_RDWR)
    try:
        assert os.get_blocking(descriptor)
    finally:
        os.close(descriptor)
