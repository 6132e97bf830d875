"""Starting real processes of grainloop, and finding those that were left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from grainloop.cli.serve.processes import free_endpoints
from grainloop.instrument_sim import specimens
from grainloop.model.maps import OrientationMap, write_map
from tests.patience import HANG_S

MARK = "GRAINLOOP_TEST_MARK"
WORD_S = HANG_S
WATCHED = Path(__file__).with_name("watched")


class Grainloop:
    """One `grainloop` process and everything that it starts, told apart by a mark in their environment."""

    def __init__(self, *arguments: str, cwd: Path, compiled: Path | None = None) -> None:
        """Its processes write the kernels that they compile to `compiled`."""
        watched = {} if compiled is None else {"GRAINLOOP_TEST_COMPILED": str(compiled)}
        found = [os.getcwd()] if compiled is None else [str(WATCHED), os.getcwd()]
        self.mark = uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-m", "grainloop", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=os.environ | {MARK: self.mark, "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(found)} | watched,
        )
        self.heard = ""

    def wait_for(self, word: str, stream: str = "stderr") -> str:
        """Read lines until one holds `word`."""
        for line in getattr(self.process, stream):
            self.heard += line
            if word in line:
                return line
        raise AssertionError(f"ended without saying {word!r}: {self.heard}{self.process.communicate()}")

    def finish(self, within_s: float = WORD_S) -> tuple[int, str, str]:
        """Wait for the end: exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=within_s)
        return self.process.returncode, out, self.heard + err

    def family(self) -> dict[int, str]:
        """Process id and command line of every living process with the mark."""
        found: dict[int, str] = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def child(self, service: str) -> int:
        """Process id of the service that this process started."""
        return next(pid for pid, command in self.family().items() if f"serve {service}" in command)


@contextmanager
def grainloop(*arguments: str, cwd: Path, compiled: Path | None = None) -> Generator[Grainloop]:
    """A process that does not outlive the test."""
    running = Grainloop(*arguments, cwd=cwd, compiled=compiled)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


@contextmanager
def services(map_file: Path, cwd: Path) -> Generator[tuple[dict[str, Grainloop], dict[str, str]]]:
    """The three services started by hand, ready; with their endpoints."""
    at = dict(zip(("instrument", "model", "controller"), free_endpoints(3), strict=True))
    options = {
        "instrument": ["--map", str(map_file)],
        "model": [],
        "controller": ["--instrument", at["instrument"], "--model", at["model"]],
    }
    running = {name: Grainloop("serve", name, "--endpoint", at[name], *options[name], cwd=cwd) for name in at}
    try:
        for name, one in running.items():
            one.wait_for(f"ready {name}", "stdout")
        yield running, at
    finally:
        for one in running.values():
            one.process.terminate()
        for one in running.values():
            one.process.communicate(timeout=WORD_S)


def cropped(side: int = 48) -> OrientationMap:
    """A corner of the titanium specimen."""
    whole = specimens.load("ti64")
    window = (slice(60, 60 + side), slice(40, 40 + side))
    parts: dict[str, Any] = {
        name: np.ascontiguousarray(getattr(whole, name)[window])
        for name in ("orientation", "phase_id", "confidence", "fit_deg")
    }
    return replace(whole, **parts)


def cubic(side: int = 24) -> OrientationMap:
    """The same orientations called nickel."""
    whole = cropped(side)
    nickel = replace(whole.phases[0], name="Ni", laue_group="m-3m", lattice_angstrom=(3.52, 3.52, 3.52))
    return replace(whole, phases=(nickel,))


def written(specimen: OrientationMap, path: Path) -> Path:
    """`path`, with the map in it."""
    write_map(path, specimen)
    return path
