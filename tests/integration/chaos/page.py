"""What was seen of killed processes, as figures, as a table and as a page of the documentation."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grainloop.cli.bench.tables import markdown_table
from grainloop.cli.serve.processes import free_endpoints
from tests.integration.chaos.laboratory import NAMES
from tests.integration.chaos.story import POINTS, Tally
from tests.integration.processes import cropped, grainloop, written

COLUMNS = (
    "killed",
    "times",
    "runs completed",
    "points in them",
    "lost",
    "exposed twice",
    "given up",
    "begun again",
    "session.h5 left whole",
    "goes on after, s: median",
    "longest",
)


def figures(tallies: Mapping[str, Tally]) -> dict[str, Any]:
    """The figures of each kind, with the recovery times as median and maximum."""
    found: dict[str, Any] = {}
    for name, tally in tallies.items():
        row, times = asdict(tally), tally.recovery_s
        row["recovery_s"] = {
            "of": len(times),
            "median": round(statistics.median(times), 2) if times else None,
            "max": round(max(times), 2) if times else None,
        }
        found[name] = row
    return found


def table(kinds: Mapping[str, Any]) -> str:
    """A row per kind."""
    return markdown_table(list(COLUMNS), [_row(name, kind) for name, kind in kinds.items()])


def _row(name: str, kind: Mapping[str, Any]) -> list[str]:
    times, views = kind["recovery_s"], f"{kind['views_whole']} of {kind['views']}" if kind["views"] else "–"
    lost = kind["runs"] * POINTS - kind["points"]
    counts = [kind[key] for key in ("deaths", "runs", "points")]
    others = [lost, *(kind[key] for key in ("exposed_twice", "given_up", "never_began"))]
    return [name, *(f"{n:,}" for n in (*counts, *others)), views, str(times["median"]), str(times["max"])]


def start_s() -> dict[str, float]:
    """How long each service takes from its command to its first word, in a process of its own."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        map_file = written(cropped(32), Path(folder) / "crop.ang")
        for name, endpoint in zip(NAMES, free_endpoints(3), strict=True):
            options = ["--map", str(map_file)] if name == "instrument" else []
            began = time.monotonic()
            with grainloop("serve", name, "--endpoint", endpoint, *options, cwd=Path(folder)) as one:
                one.wait_for(f"ready {name}", "stdout")
                found[name] = round(time.monotonic() - began, 1)
    return found


def page(found: Mapping[str, Any]) -> str:
    """The page, from what was kept."""
    kinds, starts = found["kinds"], ", ".join(f"{name} {took} s" for name, took in found["start_s"].items())
    deaths, faults = sum(kind["deaths"] for kind in kinds.values()), sum(len(kind["faults"]) for kind in kinds.values())
    torn = kinds["writer of session.h5"]
    judged = (
        "In all of them every acknowledged point was in the journal and in session.h5, every run was completed with "
        "all its points, and no point was exposed twice."
        if not faults
        else f"**{faults} of the runs were not as they must be**; the JSON file names them."
    )
    return f"""# What is lost when a process dies?

Runs of {POINTS} points against the simulator (32 × 32 px of Ti-6Al-4V, 5 ms per point, PL of three angles), over real
sockets. Services are killed by SIGKILL after a random number of events of the run and up to 0.15 s more, up to five
times in each run; half of the instruments queue batches by themselves, half do not. The writer, which is the
controller, dies at a random byte of what it writes to the journal or to session.h5: what is before that byte is on
disk, what is behind it is not. Whoever died is started anew, and `grainloop resume` goes on with the run.

After each death the journal must hold every point that was there before, every point that the controller had told
of, and every point that the instrument had let go of because the controller had said that it was stored; session.h5
made again from it must hold the same. When the run is complete, journal and session.h5 must hold all points of the
plan, each once; the instrument's own log of exposures, written before anybody is told, must hold no point twice and
none that is not stored; and the journal must decide itself again byte for byte.

{table(kinds)}
{deaths} deaths. {judged}

- *Given up* are points that the instrument may have exposed when it died, since it had said so on disk before; they
  come back as failed and count as points, and nothing is exposed there unless the plan repeats them as new points. At
  5 ms per point that is up to 20 points per death
  ([why](../decisions/0021-a-spool-says-what-may-be-exposed.md)).
- *Begun again* are runs whose controller died before their beginning was recorded. Nothing had been exposed.
- *session.h5 left whole* counts the files that a dead controller left and that could be read as they were, with all
  points that were acknowledged by then. Where the writer dies within HDF5 that is {torn["views_whole"]} of
  {torn["views"]}; that is why the journal is the truth and session.h5 is made again from it.
- The time to go on is that from the death to the first word of the run that goes on (of the model: to its first
  answer). A run whose instrument dies waits 2 s for it to be parked before it ends. Processes were forked from one that
  had imported everything. To start one as usual took longer here: {starts}.

`make chaos` does this with a seed of its own; this was
`python -m tests.integration.chaos.deaths --moments {found["moments"]} --seed {found["seed"]} --report`.
"""
