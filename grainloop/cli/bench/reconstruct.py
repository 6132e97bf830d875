"""`grainloop bench reconstruct`: methods beside each other on maps whose truth is known, as table and pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from grainloop.cli.bench.tables import to_json, to_markdown, to_terminal
from grainloop.cli.folders import make_folder
from grainloop.cli.operate.progress import show_stage
from grainloop.cli.prepare import prepare_first_use
from grainloop.cli.ranges import check_count, listed
from grainloop.evaluate.cases import DEFAULT_METHODS, cases_of
from grainloop.evaluate.methods import method_named
from grainloop.evaluate.runs import MapRuns, Plan, run_map
from grainloop.instrument_sim.specimens.named import load_specimen
from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import write_text

DATA, PAGE = "reconstruct.json", "reconstruct.md"
MOST_SEEDS, MOST_SAMPLES, LEAST_CROP_PX = 100, 256, 16


@dataclass(frozen=True)
class BenchOptions:
    """What the command line says; lists are separated by commas."""

    maps: str
    shares: str
    seeds: int
    methods: str | None
    samples: int
    crop_px: int
    out: Path | None
    json: bool


def run_bench(options: BenchOptions) -> None:
    """Measure, tell, and write what is wanted.

    Raises:
        BadInput: options that cannot be used, a map that cannot be read, or a method without weights.
    """
    plan = make_plan(options)
    specimens = {name: load_specimen(name) for name in listed("maps", options.maps, str)}
    make_folder(options.out)
    prepare_first_use(options.json)
    with show_stage("starting", options.json) as tell:
        found = [run_map(name, specimen, plan, tell) for name, specimen in specimens.items()]
    if options.out is not None:
        write_results(found, plan, options.out)
    if options.json:
        typer.echo(json.dumps(to_json(found, plan), indent=2, ensure_ascii=False))
    else:
        _show(found, plan, options.out)


def make_plan(options: BenchOptions) -> Plan:
    """What the options ask for.

    Raises:
        BadInput: naming the option that cannot be used.
    """
    shares = listed("shares", options.shares, float)
    for share in shares:
        if not 0 < share <= 1:
            message = f"--shares {share:g} cannot be used: give shares of the pixels above 0 and up to 1."
            raise BadInput(message, field="shares", value=share)
    check_count("seeds", options.seeds, 1, MOST_SEEDS)
    check_count("samples", options.samples, 1, MOST_SAMPLES)
    check_count("crop", options.crop_px, LEAST_CROP_PX, 100_000)
    methods = DEFAULT_METHODS if options.methods is None else listed("methods", options.methods, str)
    for method in methods:
        method_named(method)
    return Plan(shares, tuple(range(options.seeds)), cases_of(methods), options.samples, options.crop_px)


def write_results(found: list[MapRuns], plan: Plan, folder: Path) -> None:
    """JSON, Markdown and pictures into a folder that exists."""
    from grainloop.cli.bench.pictures import write_pictures

    pictures = write_pictures(found, plan, folder)
    shown = "\n".join(f"![{path.stem.replace('_', ' ')}]({path.name})\n" for path in pictures)
    text = json.dumps(to_json(found, plan), indent=2, ensure_ascii=False) + "\n"
    write_text(folder / DATA, text)
    write_text(folder / PAGE, f"{to_markdown(found, plan)}\n{shown}")


def _show(found: list[MapRuns], plan: Plan, out: Path | None) -> None:
    console = Console()
    for runs in found:
        for table in to_terminal(runs, plan):
            console.print(table)
    if out is not None:
        console.print(f"{DATA}, {PAGE} and the pictures are in {out}.", highlight=False)
