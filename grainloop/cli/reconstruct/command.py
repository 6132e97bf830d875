"""`grainloop reconstruct`: one map from some of its points and PL, scored against the map itself.

Points and PL come from `point_source` and `light_source`; the reconstruction is that of the model service, in process
(`bench.given`). Files and figures are written by `reconstruct_files`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from grainloop.cli.folders import make_folder
from grainloop.cli.operate.progress import show_stage
from grainloop.cli.prepare import prepare_first_use
from grainloop.cli.ranges import check_count
from grainloop.cli.reconstruct.outcome import Outcome
from grainloop.controller.figures import light_lines
from grainloop.evaluate.figures_of_merit import FiguresOfMerit, figures_of_merit
from grainloop.evaluate.methods import REFERENCES, method_named
from grainloop.evaluate.sections.given import solve
from grainloop.evaluate.sections.light_source import describe, load_light
from grainloop.evaluate.sections.point_source import load_points
from grainloop.evaluate.sections.scenes import Scene, Setting, mount, take_light
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.instrument_sim.specimens.named import load_specimen
from grainloop.model.maps import OrientationMap
from grainloop.protocols.errors import BadInput
from grainloop.protocols.sentences import counted
from grainloop.protocols.values import FramePreset, LightImages, LightKind
from grainloop.protocols.version import grainloop_version

SIMULATE, NONE = "simulate", "none"
MOST_SAMPLES, MOST_STEPS = 256, 1000
BASELINES = ("nn", "pl_watershed")


@dataclass(frozen=True)
class ReconstructOptions:
    """What the command line says."""

    map: str
    points: str = "grid:0.06"
    light: str = SIMULATE
    samples: int = 0
    steps: int | None = None
    seed: int = 0
    json: bool = False
    method: str | None = None
    out: Path | None = None
    noise_deg: float = 0.0
    frame: str | None = None
    pixel_um: float | None = None


def run_reconstruct(options: ReconstructOptions) -> None:
    """The whole command.

    Raises:
        BadInput: a map, points, PL or options that cannot be used.
    """
    check_options(options)
    make_folder(options.out)
    prepare_first_use(options.json)
    with show_stage("reconstructing", options.json):
        outcome = reconstruct_map(options)
        summary = summarise(outcome, options)
        if options.out is not None:
            from grainloop.cli.reconstruct.files import write_files

            write_files(outcome, summary, options.out)
    if options.json:
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        _print(summary, outcome, options)


def check_options(options: ReconstructOptions) -> None:
    """Refuse numbers out of range before anything is read.

    Raises:
        BadInput: naming the option and its range.
    """
    check_count("samples", options.samples, 0, MOST_SAMPLES)
    if options.steps is not None:
        check_count("steps", options.steps, 1, MOST_STEPS)
    if not 0 <= options.noise_deg <= 180:
        message = f"--noise {options.noise_deg:g} cannot be used: give degrees from 0 to 180."
        raise BadInput(message, field="noise", value=options.noise_deg)
    if method_named(options.method).name in REFERENCES and not options.samples:
        message = f"The method '{options.method}' is made of posterior samples: give --samples 1 or more."
        raise BadInput(message, field="samples", value=0)


def reconstruct_map(options: ReconstructOptions) -> Outcome:
    """Measure, register, reconstruct, and score beside the baselines."""
    truth = in_frame(load_specimen(options.map), options.frame)
    instrument = _instrument(truth, options)
    points = load_points(options.points, truth, instrument, options.seed)
    if not points.indexed.any():
        raise BadInput(
            f"{counted(len(points), 'point')}, none of them indexed: there is no map to make.", field="points"
        )
    light, notes = _light(options, instrument)
    scene = Scene(truth, points, light, instrument.capabilities, options.seed)
    given, section = scene.given, scene.given.section
    if options.light not in (SIMULATE, NONE) and light is not None and section.features is None:
        raise BadInput(f"The folder {options.light} cannot be used. {' '.join(section.notes)}", field="pl")
    method = method_named(options.method)
    solved = solve(given, method, options.samples, options.steps, options.seed)
    others = {name: solve(given, method_named(name)).reply for name in BASELINES}
    merit, *baselines = (figures_of_merit(r, truth, given.measured) for r in (solved.reply, *others.values()))
    return Outcome(scene, solved, merit, dict(zip(others, baselines, strict=True)), notes)


def in_frame(specimen: OrientationMap, frame: str | None) -> OrientationMap:
    """The map with its Euler frame declared, if one is given; nothing is turned.

    Raises:
        BadInput: an unknown frame.
    """
    if frame is None:
        return specimen
    if frame not in list(FramePreset):
        message = f"There is no frame '{frame}'; known are {', '.join(FramePreset)}."
        raise BadInput(message, field="frame", value=frame)
    return replace(specimen, frame=frame)


def _instrument(truth: OrientationMap, options: ReconstructOptions) -> SimulatedInstrument:
    """What measures the points: exact but for the noise asked for; with a PL camera if PL is simulated."""
    camera = LightKind.ROTATION_STACK if options.light == SIMULATE else None
    name = "points of a map, simulated PL" if camera else "points of a map"
    setting = Setting().with_detector(noise_deg=options.noise_deg).with_instrument(name=name, light_kind=camera)
    return mount(truth, setting.instrument, options.seed)


def _light(options: ReconstructOptions, instrument: SimulatedInstrument) -> tuple[LightImages | None, tuple[str, ...]]:
    if options.light == NONE:
        return None, ()
    if options.light == SIMULATE:
        return take_light(instrument), ()
    light = load_light(Path(options.light), instrument.capabilities.grid, options.pixel_um)
    return light, (describe(light),)


def summarise(outcome: Outcome, options: ReconstructOptions) -> dict[str, Any]:
    """Everything that is told, ready for JSON; shares are 0 … 1."""
    reply, light = outcome.solved.reply, outcome.solved.reply.light
    registration_s = outcome.scene.given.seconds
    return {
        "map": options.map,
        "points": options.points,
        "pl": options.light,
        "fraction_measured": outcome.scene.fraction_measured,
        "points_measured": len(outcome.scene.points),
        **outcome.merit.to_json(),
        "seconds": registration_s + reply.seconds,
        "seconds_registration": registration_s,
        "method": reply.method,
        "weights_sha256": reply.weights_sha256,
        "samples": reply.samples,
        "steps": reply.steps,
        "seed": options.seed,
        "degraded": list(reply.degraded),
        "pl_used": light.used,
        "registration_residual_px": light.registration_residual_px,
        "notes": [*outcome.notes, *light_lines(light)],
        "baseline": {name: merit.to_json() for name, merit in outcome.baselines.items()},
        "point_groups": [phase.laue_group for phase in outcome.scene.truth.phases],
        "versions": {"grainloop": grainloop_version()},
    }


def _print(summary: dict[str, Any], outcome: Outcome, options: ReconstructOptions) -> None:
    from rich.console import Console
    from rich.table import Table

    points = counted(summary["points_measured"], "point")
    share = f"{points}, {summary['fraction_measured']:.1%} of {Path(options.map).name}"
    table = Table("", "mean error", "wrong > 5°", "predicted", "edges F1", "AUROC", "in bound", title=share)
    names = {"nn": "nearest", "pl_watershed": "watershed"}
    rows = {summary["method"]: outcome.merit} | {names[name]: one for name, one in outcome.baselines.items()}
    for name, one in rows.items():
        table.add_row(name, *_cells(one))
    console = Console()
    console.print(table)
    for line in _told(summary):
        console.print(line, highlight=False)
    console.print(f"{summary['seconds']:.1f} s, {summary['seconds_registration']:.1f} s of it for registration.")
    if options.out is not None:
        console.print(f"The map, its figure and the figures of merit are in {options.out}.", highlight=False)


def _cells(merit: FiguresOfMerit) -> tuple[str, ...]:
    errors = f"{merit.error_mean_deg:.2f}°", f"{merit.error_over_5deg:.1%}", f"{merit.predicted_over_5deg:.1%}"
    return (*errors, f"{merit.boundary_f1:.3f}", f"{merit.auroc:.3f}", f"{merit.coverage90:.1%}")


def _told(summary: dict[str, Any]) -> list[str]:
    """The sentences for the user; methods repeat why there is no PL, and add to it."""
    degraded: list[str] = summary["degraded"]
    return [note for note in summary["notes"] if not any(said.startswith(note) for said in degraded)] + degraded
