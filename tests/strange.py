"""What may lie in the place of a file: pipes, devices, folders, sockets, links that lead nowhere or in circles."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


def _link_to_a_pipe(path: Path) -> None:
    pipe = path.with_name(f"{path.name}-pipe")
    os.mkfifo(pipe)
    path.symlink_to(pipe)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name(f"{path.name}-nowhere"))


def _loop(path: Path) -> None:
    path.symlink_to(path)


STRANGE: dict[str, Callable[[Path], None]] = {
    "pipe": _pipe,
    "device": _device,
    "folder": _folder,
    "socket": _socket,
    "link to a pipe": _link_to_a_pipe,
    "dangling link": _dangling,
    "link to itself": _loop,
}
"""Kind → puts one of it there."""
