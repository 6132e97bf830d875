"""`grainloop bench acquire`: runs by one policy on maps whose truth is known, over seeds, as table, JSON and curves.

How a run is played belongs to `playing`; what comes of several runs, to `curves`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import typer
from rich.console import Console

from grainloop.cli.folders import make_folder
from grainloop.cli.operate.progress import show_stage
from grainloop.cli.prepare import prepare_first_use
from grainloop.cli.ranges import check_count, listed
from grainloop.controller.plans import make_plan
from grainloop.controller.run import PIPELINE_DEPTH
from grainloop.evaluate.acquisition.curves import Played, to_json, to_terminal
from grainloop.evaluate.acquisition.playing import Stage, batches_of, play, set_up
from grainloop.evaluate.methods import method_named
from grainloop.evaluate.sections.cropping import turned
from grainloop.evaluate.sections.scenes import EXACT_POINTS
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.specimens.named import load_specimen
from grainloop.model.acquire import POLICIES
from grainloop.model.maps import OrientationMap
from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import write_text
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.sentences import counted

DATA, PICTURE = "acquire.json", "acquire.png"
MOST_SEEDS, MOST_POINTS = 100, 1_000_000
Tell = Callable[[str], None]


class Light(StrEnum):
    """Which PL images a run is given."""

    SIMULATE = "simulate"
    NONE = "none"
    WRONG = "wrong"


@dataclass(frozen=True)
class AcquireOptions:
    """What the command line says; maps are separated by commas, None leaves the choice to the plan."""

    maps: str
    policy: str | None = None
    budget: float = 0.05
    seeds: int = 3
    json: bool = False
    first_pass: float | None = None
    batch: int | None = None
    exploration: float | None = None
    method: str | None = None
    pl: str = Light.SIMULATE
    noisy: bool = False
    queued: int = PIPELINE_DEPTH - 1
    out: Path | None = None


def run_acquire(options: AcquireOptions) -> None:
    """Play every run, tell, and write what is wanted.

    Raises:
        BadInput: options that cannot be used, or a map that cannot be read.
    """
    plan = _plan(options)
    specimens = {name: load_specimen(name) for name in listed("map", options.maps, str)}
    make_folder(options.out)
    prepare_first_use(options.json)
    with show_stage("starting", options.json) as tell:
        found = [play_map(name, specimen, plan, options, tell) for name, specimen in specimens.items()]
    if options.out is not None:
        _write(found, options.out)
    if options.json:
        typer.echo(_text(found))
    else:
        _show(found, options.out)


def play_map(name: str, specimen: OrientationMap, plan: RunPlan, options: AcquireOptions, tell: Tell) -> Played:
    """The runs of all seeds on one map.

    Raises:
        BadInput: no point of the map is indexed, or its frame or a point group is unknown.
    """
    runs = []
    for seed in range(options.seeds):
        tell(f"{name}: seed {seed}, PL images")
        stage = _stage(specimen, options, seed)
        moments = []
        for moment in play(stage, _batched(plan, stage, options.batch, seed), options.queued + 1):
            moments.append(moment)
            tell(f"{name}: seed {seed}, {counted(moment.points, 'point')}, {moment.figures.error_over_5deg:.1%} wrong")
        runs.append(tuple(moments))
    return Played(name, plan.budget.fraction, tuple(runs))


def _plan(options: AcquireOptions) -> RunPlan:
    """What the options ask for, without seed and size of the batches."""
    check_count("seeds", options.seeds, 1, MOST_SEEDS)
    check_count("queued", options.queued, 0, PIPELINE_DEPTH - 1)
    if options.batch is not None:
        check_count("batch", options.batch, 1, MOST_POINTS)
    for name, given, known in (("policy", options.policy, list(POLICIES)), ("pl", options.pl, list(Light))):
        if given is not None and given not in known:
            message = f"--{name} {given} cannot be used: known are {', '.join(known)}."
            raise BadInput(message, field=name, value=given)
    method_named(options.method)
    most = None if options.first_pass is None else 1.0
    asked = {
        "first_pass": options.first_pass,
        "first_pass_most": most,
        "exploration_share": options.exploration,
        "method": options.method,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return make_plan({"budget": {"fraction": options.budget}, "policy": options.policy} | given, "the command line")


def _batched(plan: RunPlan, stage: Stage, batch: int | None, seed: int) -> RunPlan:
    """The plan of one seed, with as many batches as batches of so many points need."""
    plan = plan.model_copy(update={"seed": seed})
    return plan if batch is None else plan.model_copy(update={"batches": batches_of(plan, stage, batch)})


def _stage(specimen: OrientationMap, options: AcquireOptions, seed: int) -> Stage:
    config = SimConfig() if options.noisy else EXACT_POINTS
    if options.pl == Light.NONE:
        config = config.model_copy(update={"light_kind": None})
    return set_up(specimen, config, seed, lit=turned(specimen) if options.pl == Light.WRONG else None)


def _text(found: list[Played]) -> str:
    told = [to_json(played) for played in found]
    return json.dumps(told[0] if len(told) == 1 else told, indent=2, ensure_ascii=False)


def _write(found: list[Played], folder: Path) -> None:
    """JSON and curves into a folder that exists."""
    from grainloop.cli.bench.curves_figure import write_curves

    write_text(folder / DATA, _text(found) + "\n")
    write_curves(found, folder / PICTURE)


def _show(found: list[Played], out: Path | None) -> None:
    console = Console()
    console.print(to_terminal(found))
    if out is not None:
        console.print(f"{DATA} and {PICTURE} are in {out}.", highlight=False)
