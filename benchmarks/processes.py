"""Processes that a benchmark measures against: each prints where it is reached, and ends with the measurement."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def served_by(module: str, *words: str) -> Generator[str]:
    """A process of its own that runs a module; gives the endpoint, which is the first line that it prints."""
    command = [sys.executable, "-m", module, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
