"""Runs all benchmarks one after another, or those named on the command line; each writes its own results."""

from __future__ import annotations

import sys
from importlib import import_module

ALL = (
    "wire",
    "curve",
    "ingest",
    "spool",
    "durability",
    "observing",
    "simulator",
    "route",
    "crystal",
    "microstructure",
    "registration",
    "classical",
    "trained",
    "scaling",
    "reconstruct_speed",
    "shapes",
    "shapes_page",
    "idle",
    "acquisition",
    "acquisition_page",
    "drift",
    "stopping",
    "error_curves",
    "tasks.run",
    "gallery",
    "report",
)


def run(names: list[str]) -> None:
    """Run the benchmarks called `names`, or all of them."""
    for name in names or ALL:
        print(f"{name} …", flush=True)
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    run(sys.argv[1:])
