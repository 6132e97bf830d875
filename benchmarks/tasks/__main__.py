"""`python -m benchmarks.tasks [NAME…] [--seeds N] [--anew]`."""

from __future__ import annotations

from argparse import ArgumentParser

from benchmarks.tasks.run import NAMES, SEEDS, main

if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.tasks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of a task, by default all: {', '.join(NAMES)}")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many; those measured already are kept")
    parser.add_argument("--anew", action="store_true", help="measure again what these weights were measured with")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no task {', '.join(sorted(unknown))}; known are {', '.join(NAMES)}")
    main(given.names or NAMES, given.seeds, given.anew)
