"""Runs all benchmarks one after another, or those named on the command line; each writes its own results."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = {
    "wire": "services.wire",
    "curve": "services.curve",
    "ingest": "services.ingest",
    "spool": "services.spool",
    "durability": "services.durability",
    "observing": "services.observing",
    "simulator": "services.simulator",
    "route": "computing.route",
    "crystal": "computing.crystal",
    "microstructure": "computing.microstructure",
    "registration": "posterior.registration",
    "classical": "posterior.classical",
    "trained": "posterior.trained",
    "scaling": "posterior.scaling",
    "first_use": "computing.first_use",
    "reconstruct_speed": "computing.reconstruct_speed",
    "shapes": "acquisition.shapes",
    "shapes_page": "acquisition.shapes_page",
    "idle": "services.idle",
    "acquisition": "acquisition.policies",
    "acquisition_page": "acquisition.page",
    "drift": "acquisition.drift",
    "stopping": "acquisition.stopping",
    "error_curves": "acquisition.error_curves",
    "tasks": "tasks.run",
    "gallery": "posterior.gallery",
    "report": "report",
}
"""Name → module of this package whose `main` measures and writes, in the order in which all of them run."""


def run(names: list[str]) -> None:
    """Run the benchmarks called `names`, or all of them; a name that is none ends with those that are."""
    if unknown := [name for name in names if name not in BENCHMARKS]:
        sys.exit(f"There is no benchmark {', '.join(unknown)}; known are {', '.join(BENCHMARKS)}.")
    for name in names or BENCHMARKS:
        print(f"{name} …", flush=True)
        import_module(f"benchmarks.{BENCHMARKS[name]}").main()


if __name__ == "__main__":
    run(sys.argv[1:])
