"""How much memory a process takes, by the account of Linux."""

from __future__ import annotations

import os
from pathlib import Path


def resident_mb(pid: int | None = None) -> float:
    """Memory of a process that is in use now; of this one unless told otherwise."""
    pages = int(Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def peak_mb(pid: int) -> float:
    """Most memory that was ever resident in a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
