"""One process compiles, the others wait for it; what is done and how far it is is told.

Compiled code is kept beside the sources, or where `NUMBA_CACHE_DIR` says. Where it can be kept nowhere, or several
machines' locks do not hold, nothing is lost but time: each process then compiles what it needs when it needs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

from filelock import FileLock, Timeout

from grainloop.cli.child import command_of, environment
from grainloop.cli.prepare.stamp import Stamp, stamp_here

WAITS = "Another process compiles the kernels of this installation; waiting until it is done."
COMPILES = "Compiling the kernels of this installation, once: about a minute."
FAILED = "The kernels cannot be compiled beforehand; each process compiles what it needs"
Tell = Callable[[str, int], None]
"""Told what is done now, and how many kernels were compiled."""


@dataclass
class Prepared:
    """What preparing came to.

    Attributes:
        compiled: how many kernels.
        seconds: it took, waiting for another process included.
        missing: packages that are not installed → what was left out for that.
        failed: the last words of the process that compiled, if it did not end well.
    """

    compiled: int = 0
    seconds: float = 0.0
    missing: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    failed: str = ""


def prepare(tell: Tell = lambda _what, _compiled: None, say: Callable[[str], None] = lambda _: None) -> Prepared:
    """Compile all that is not compiled, unless another process is at it or was; then wait for that.

    Args:
        tell: told of every step.
        say: given a sentence before this process waits or compiles.
    """
    began_s, stamp = time.monotonic(), stamp_here()
    if stamp is None or stamp.holds:
        return Prepared()
    with _alone(stamp, say):
        done = Prepared() if stamp.holds else _prepare(stamp, tell, say)
    done.seconds = time.monotonic() - began_s
    return done


@contextmanager
def _alone(stamp: Stamp, say: Callable[[str], None]) -> Generator[None]:
    """While no other process prepares; at once where nothing can be locked."""
    lock = FileLock(stamp.lock)
    try:
        stamp.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(WAITS)
            lock.acquire()
    except (OSError, NotImplementedError):  # a read-only folder, or a file system without locks
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _prepare(stamp: Stamp, tell: Tell, say: Callable[[str], None]) -> Prepared:
    if not os.access(stamp.path.parent, os.W_OK):
        return Prepared(failed=f"{stamp.path.parent} cannot be written")
    say(COMPILES)
    done = _rehearsed(tell)
    try:
        if not done.failed:
            stamp.write()
    except OSError as error:
        done.failed = f"{stamp.path} cannot be written: {error.strerror or error}"
    return done


def _rehearsed(tell: Tell) -> Prepared:
    """In a process of its own: who serves an instrument need not load the network, nor keep it."""
    done, what = Prepared(), "starting"
    with TemporaryFile("w+", encoding="utf-8") as complaints, _at_work(complaints) as process:
        for line in process.stdout or ():
            said: dict[str, Any] = json.loads(line)
            what = said.get("rehearses", what)
            done.compiled += "compiles" in said
            if "missing" in said:
                done.missing.setdefault(said["missing"], []).append(said["for"])
            tell(what, done.compiled)
        if process.wait():
            complaints.seek(0)
            last = complaints.read().strip().splitlines()[-1:]
            done.failed = last[0] if last else f"exit code {process.returncode}"
    return done


@contextmanager
def _at_work(complaints: IO[str]) -> Generator[subprocess.Popen[str]]:
    """The process that compiles, which does not outlive whoever is interrupted."""
    command = command_of("grainloop.cli.prepare.work")
    with subprocess.Popen(  # noqa: S603  # our own interpreter and our own module
        command, stdout=subprocess.PIPE, stderr=complaints, text=True, encoding="utf-8", env=environment()
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def prepare_first_use(quiet: bool = False) -> Prepared:
    """`prepare` with a progress bar on a terminal, with a sentence elsewhere, on stderr; silent when `quiet`."""
    from rich.console import Console

    from grainloop.cli.prepare.showing import bar

    console = Console(stderr=True, quiet=quiet)
    if not console.is_terminal:
        done = prepare(say=lambda sentence: console.print(sentence, soft_wrap=True, highlight=False, markup=False))
    else:
        with bar(console) as (tell, say):
            done = prepare(tell, say)
    if done.failed:
        told = f"{FAILED} ({done.failed.rstrip('.')})."
        console.print(told, soft_wrap=True, highlight=False, markup=False)
    return done
