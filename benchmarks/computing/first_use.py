"""What a new installation costs before it is as quick as an old one: compiling at set-up, the first demo, `--help`.

Everything is processor time of whole processes, children included, and the reference is a warm run of the same session:
the cache of compiled code is an empty folder at first, and the same folder afterwards.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

RESULT = Path(__file__).parents[1] / "results" / "first_use.json"
AIM = {"set_up_compiles_s": 40.0, "demo_after_set_up": 1.2, "help_s": 0.5}
DEMOS, HELPS = 2, 7


def main() -> dict[str, Any]:
    """Measure, write `results/first_use.json`, and return what it holds."""
    with tempfile.TemporaryDirectory() as folder:
        cache = {"NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
        set_up = _processor_s(["check", "--prepare"], cache)
        known = _processor_s(["check", "--prepare"], cache)
        loading = _processor_s(["-m", "grainloop.cli.prepare.work"], cache, command=())
        first, *warm = (_processor_s(["demo", "--out", str(Path(folder) / "demo")], cache) for _ in range(1 + DEMOS))
    help_s = [_processor_s(["--help"], {}) for _ in range(HELPS)]
    result = {
        "aim": AIM,
        "set_up_s": round(set_up, 1),
        "of_which_loading_and_rehearsing_s": round(loading, 1),
        "set_up_compiles_s": round(set_up - loading, 1),
        "set_up_again_s": round(known, 2),
        "first_demo_s": round(first, 1),
        "warm_demo_s": round(median(warm), 1),
        "demo_after_set_up": round(first / median(warm), 2),
        "help_s": round(median(help_s), 2),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _processor_s(
    arguments: list[str], settings: dict[str, str], command: tuple[str, ...] = ("-m", "grainloop")
) -> float:
    """Seconds in user mode of a process and of what it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(
        [sys.executable, *command, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | settings,
    )
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
