"""Kill -9 at random moments: `python -m tests.integration.chaos.deaths --moments 40` kills each process so often.

Prints a table of what was seen; with `--report` it is kept in benchmarks/results/chaos.json and docs/results/chaos.md.
What happens in one run, and what must be true of it, is the business of `tests.integration.chaos.story`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
from pathlib import Path

import structlog

from grainloop.protocols.aio import run
from grainloop.protocols.errors import GrainloopError
from tests.integration.chaos.laboratory import ROOT, Laboratory, Nursery, nursery
from tests.integration.chaos.page import figures, page, start_s, table
from tests.integration.chaos.story import KINDS, Story, Tally

DEATHS = 5
"""Of one run; it is often complete before."""
LONGEST_S = 600.0
RESULT, PAGE = ROOT / "benchmarks/results/chaos.json", ROOT / "docs/results/chaos.md"


def suffer(nursery: Nursery, folder: Path, name: str, deaths: int, seed: str, tally: Tally) -> None:
    """One run in a new folder, killed so often at most, and checked.

    Raises:
        AssertionError, GrainloopError, TimeoutError: something is not as it must be.
    """
    rng = random.Random(seed)  # noqa: S311
    laboratory = Laboratory(nursery, folder, rng.choice(["simulated", "real"]))
    try:
        run(asyncio.wait_for(Story(laboratory, KINDS[name], deaths, rng, tally).tell(), LONGEST_S))
    finally:
        laboratory.close()


def chaos(nursery: Nursery, folder: Path, name: str, moments: int, seed: int) -> Tally:
    """Runs until somebody has died so often, whatever becomes of them."""
    tally, number = Tally(), 0
    while tally.deaths < moments:
        told = f"{seed} {name} {number}"
        try:
            suffer(nursery, folder / told.replace(" ", "-"), name, min(DEATHS, moments - tally.deaths), told, tally)
        except (AssertionError, GrainloopError, TimeoutError) as error:
            tally.faults.append(f"seed {told!r}: {type(error).__name__}: {error}")
        number += 1
        if number > moments:
            tally.faults.append("nobody dies any more")
            break
    return tally


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=40, help="deaths of each kind")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="these kinds alone; all of them without")
    parser.add_argument(
        "--report",
        action="store_true",
        help="keep the table as a result; kinds that were not asked for stay as they were",
    )
    parser.add_argument("--folder", type=Path, help="keeps what the runs leave behind")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    tell(f"seed {asked.seed}")
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as temporary, nursery() as forks:
        for name in asked.kind or KINDS:
            tallies[name] = chaos(forks, asked.folder or Path(temporary), name, asked.moments, asked.seed)
            tell(f"{name}: {tallies[name]}")
    tell(table(figures(tallies)))
    if asked.report:
        kinds = figures(tallies)
        if asked.kind and RESULT.exists():
            before = json.loads(RESULT.read_text(encoding="utf-8"))["kinds"]
            kinds = {name: (before | kinds)[name] for name in KINDS if name in before | kinds}
        found = {"seed": asked.seed, "moments": asked.moments, "start_s": start_s(), "kinds": kinds}
        RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(page(found), encoding="utf-8")
    return any(tally.faults for tally in tallies.values())


if __name__ == "__main__":
    sys.exit(main())
