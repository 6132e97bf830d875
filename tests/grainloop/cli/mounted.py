"""Run within a mount namespace: commands on a file system that takes nothing. Prints a line of JSON per command.

Arguments: what is wrong with the file system (`read-only`, `no inodes`, `no room`), an empty folder, a folder of a
session to copy there.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

from grainloop.cli import main
from grainloop.cli.folders import drawing
from grainloop.controller.figures.layout import save

OPTIONS = {"read-only": "size=8m", "no inodes": "size=8m,nr_inodes={}", "no room": "size=4m"}


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def prepare(wrong: str, at: Path, session: Path) -> None:
    count = 8 + sum(1 for _ in session.rglob("*"))
    mount("-t", "tmpfs", "-o", OPTIONS[wrong].format(count), "tmpfs", str(at))
    shutil.copytree(session, at / "session")
    (at / "there").mkdir()
    if wrong == "read-only":
        mount("-o", "remount,ro", str(at))
    with contextlib.suppress(OSError):
        for number in range(count if wrong == "no inodes" else 0):
            (at / f"empty-{number}").touch()
    with contextlib.suppress(OSError), (at / "filler").open("wb", buffering=0) as file:
        while wrong == "no room":
            file.write(bytes(4096))


def commands(wrong: str, at: Path) -> dict[str, list[str]]:
    there, new = str(at / "there"), str(at / "new")
    told = {
        "demo": ["demo", "--out", there],
        "demo, new": ["demo", "--out", new],
        "reconstruct": ["reconstruct", "ti64", "--out", there],
        "bench": ["bench", "acquire", "--out", there],
        "bench reconstruct": ["bench", "reconstruct", "--out", new],
        "replay": ["replay", str(at / "session"), "--budget", "0.02", "--out", there],
        "repair": ["repair", str(at / "session")],
        "keys": ["keys", "create", "sem", "--keys", str(at / "keys")],
        "train": ["train", "--out", there],
    }
    # Where there is no room a log is begun, and the service goes on without it.
    return told if wrong == "no room" else told | {"log": ["serve", "model", "--log-file", f"{there}/log"]}


def tell(name: str, code: int, said: str) -> None:
    print(json.dumps({"command": name, "code": code, "said": said}))  # noqa: T201


def figures(at: Path) -> None:
    from matplotlib.figure import Figure

    with contextlib.redirect_stderr(io.StringIO()) as said, drawing(at / "there", at / "session" / "session.h5"):
        save(Figure(), at / "there" / "x.png")
    tell("figures", 0, said.getvalue())


if __name__ == "__main__":
    wrong, at = sys.argv[1], Path(sys.argv[2])
    prepare(wrong, at, Path(sys.argv[3]))
    for name, words in commands(wrong, at).items():
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
            try:
                code = main(words)
            except BaseException as error:  # noqa: BLE001  # a traceback, as a person would see it
                code, _ = 99, said.write(f"Traceback: {error!r}")
        tell(name, code, said.getvalue())
    figures(at)
