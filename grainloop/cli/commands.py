"""All commands and their options; what they do is in the modules beside this one, what they are for also in `app`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from grainloop.cli.check import check
from grainloop.cli.keys import keys
from grainloop.cli.logs.command import logs
from grainloop.cli.operate.commands import add_operating
from grainloop.cli.options import (
    JsonOption,
    MapOption,
    PresetOption,
    RealTimeOption,
    SeedOption,
    ShapeOption,
    SpeedOption,
)
from grainloop.cli.recorded.commands import add_recorded
from grainloop.cli.serve.commands import serve

app = typer.Typer()
app.add_typer(serve)
app.add_typer(keys)
bench = typer.Typer(name="bench", help="Measure how good reconstruction and acquisition are.", no_args_is_help=True)
app.add_typer(bench)


@app.command()
def demo(
    specimen: MapOption = "ti64",
    budget: Annotated[float, typer.Option(help="Share of the pixels that may be measured, above 0 up to 1.")] = 0.06,
    out: Annotated[Path, typer.Option(help="Folder for session, figures and summary.")] = Path("demo-output"),
    seed: SeedOption = 0,
    json: JsonOption = False,
    speed_up: SpeedOption = math.inf,
    method: Annotated[str | None, typer.Option(help="Reconstruction method, or the model's default.")] = None,
    policy: Annotated[str | None, typer.Option(help="Acquisition policy, or the model's default.")] = None,
    shape: ShapeOption = None,
    preset: PresetOption = None,
    real_time: RealTimeOption = False,
) -> None:
    """Measure a real map adaptively with a simulated instrument, and compare with a coarse grid."""
    from grainloop.cli.demo import DemoOptions, run_demo

    options = DemoOptions(specimen, budget, out, seed, json, speed_up, method, policy, shape, preset, real_time)
    raise typer.Exit(run_demo(options))


@app.command()
def reconstruct(
    file: Annotated[str, typer.Argument(help="Map file (.ang, .ctf, .cpr) or a shipped specimen: the truth.")],
    points: Annotated[str, typer.Option(help="grid:SHARE, random:SHARE, or a CSV file of pixels.")] = "grid:0.06",
    pl: Annotated[str, typer.Option(help="simulate, none, or a folder of images.")] = "simulate",
    samples: Annotated[int, typer.Option(help="Posterior samples to draw, 0 to 256.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Sampler steps of each, or the method's default.")] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
    method: Annotated[str | None, typer.Option(help="Reconstruction method, or the model's default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for map, uncertainty, figure and summary.")] = None,
    noise: Annotated[float, typer.Option(help="Rms noise of points taken from the map, degrees.")] = 0.0,
    frame: Annotated[str | None, typer.Option(help="Euler frame of the map, e.g. edax-2; else what it says.")] = None,
    pl_pixel: Annotated[
        float | None, typer.Option(help="Edge of a PL pixel in µm; else PL is as wide as the map.")
    ] = None,
) -> None:
    """Reconstruct one map from some of its points and PL, and compare with the map itself."""
    from grainloop.cli.reconstruct.command import ReconstructOptions, run_reconstruct

    run_reconstruct(
        ReconstructOptions(file, points, pl, samples, steps, seed, json, method, out, noise, frame, pl_pixel)
    )


@bench.command("reconstruct")
def bench_reconstruct(
    maps: Annotated[str, typer.Option(help="Shipped specimens or map files, between commas.")] = "ti64,mg-twins",
    shares: Annotated[str, typer.Option(help="Shares of the pixels on regular grids.")] = "0.021,0.0625,0.25",
    seeds: Annotated[int, typer.Option(help="How many PL images, each with noise and misregistration of its own.")] = 3,
    methods: Annotated[
        str | None, typer.Option(help="Methods between commas; dps, repaint and diffpir see the centre only.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Posterior samples of dps, repaint and diffpir.")] = 4,
    crop: Annotated[int, typer.Option(help="Edge of the centre that those see, px.")] = 96,
    out: Annotated[Path | None, typer.Option(help="Folder for JSON, Markdown and pictures.")] = None,
    json: JsonOption = False,
) -> None:
    """Compare reconstruction methods on maps whose truth is known."""
    from grainloop.cli.bench.reconstruct import BenchOptions, run_bench

    run_bench(BenchOptions(maps, shares, seeds, methods, samples, crop, out, json))


@bench.command("acquire")
def bench_acquire(
    maps: Annotated[str, typer.Option("--map", help="Specimens or map files, between commas.")] = "ti64,mg-twins",
    policy: Annotated[str | None, typer.Option(help="Acquisition policy, or the model's default.")] = None,
    budget: Annotated[float, typer.Option(help="Share of the pixels, first pass included.")] = 0.05,
    seeds: Annotated[int, typer.Option(help="How many runs, each with PL, noise and choices of its own.")] = 3,
    json: JsonOption = False,
    first_pass: Annotated[float | None, typer.Option(help="Share of the budget on the first coarse grid.")] = None,
    batch: Annotated[int | None, typer.Option(help="Points of a batch; else the plan's number of batches.")] = None,
    exploration: Annotated[float | None, typer.Option(help="Share of picks made whatever the map says.")] = None,
    method: Annotated[str | None, typer.Option(help="Reconstruction method, or the model's default.")] = None,
    pl: Annotated[str, typer.Option(help="simulate, none, or wrong: images of another section.")] = "simulate",
    noisy: Annotated[bool, typer.Option("--noisy", help="Points with noise, losses and drift; else exact.")] = False,
    queued: Annotated[int, typer.Option(help="Batches queued while the model decides, 0 or 1; a run has 1.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for JSON and a picture of the curves.")] = None,
) -> None:
    """Play runs by one policy on maps whose truth is known, without services, and tell what they come to."""
    from grainloop.cli.bench.acquire import AcquireOptions, run_acquire

    run_acquire(
        AcquireOptions(
            maps, policy, budget, seeds, json, first_pass, batch, exploration, method, pl, noisy, queued, out
        )
    )


@app.command()
def train(
    config: Annotated[Path | None, typer.Option(help="Configuration as TOML; else the default one.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for weights, metrics and training card.")] = Path("train-output"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training in --out.")] = False,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Begin a new training with the averaged weights in that file.")
    ] = None,
    hours: Annotated[float, typer.Option(help="Wall hours of this sitting.")] = 10.0,
    cooldown: Annotated[float, typer.Option(help="Last hours of it, in which the step size falls to zero.")] = 0.0,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor cores to use; else all.")] = None,
    compact: Annotated[Path | None, typer.Option(help="Only write the small checkpoint of that folder.")] = None,
    curves: Annotated[Path | None, typer.Option(help="Only draw the curves of that folder.")] = None,
    ship: Annotated[
        Path | None,
        typer.Option(help="Only ship the best weights of that folder, or those in that file."),
    ] = None,
) -> None:
    """Train the model on synthetic specimens. Ctrl-C saves; --resume goes on."""
    from grainloop.cli.train import outputs as train_outputs
    from grainloop.cli.train.command import TrainOptions, run_training

    asked = ((train_outputs.write_compact, compact), (train_outputs.write_curves, curves), (train_outputs.ship, ship))
    for make, folder in asked:
        if folder is not None:
            make(folder)
    if all(folder is None for _, folder in asked):
        raise typer.Exit(run_training(TrainOptions(config, out, resume, hours, cooldown, threads, start_from)))


@app.command()
def plan(
    plan: Annotated[Path | None, typer.Option(help="Run plan as TOML, to tell what it comes to.")] = None,
    rows: Annotated[int, typer.Option(help="Rows of the map, px.")] = 400,
    columns: Annotated[int, typer.Option(help="Columns of the map, px.")] = 400,
    step: Annotated[float, typer.Option(help="Step of the map, µm.")] = 1.0,
    dwell: Annotated[float | None, typer.Option(help="Exposure of a point, s; else the plan's, or 0.02.")] = None,
    instrument: Annotated[
        str, typer.Option(help="external, queue, or a TOML file with timing and shapes.")
    ] = "external",
    wrong: Annotated[str, typer.Option(help="Shares of wrong pixels that you tolerate.")] = "0.1,0.05,0.02",
    grain: Annotated[float | None, typer.Option(help="Mean grain diameter, µm; else as in the measured maps.")] = None,
    pl_seconds: Annotated[float, typer.Option(help="What PL costs this instrument; 0 if taken elsewhere.")] = 36.0,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the speed of the model anew.")] = False,
    json: JsonOption = False,
) -> None:
    """Say whether adaptive acquisition pays for a map, an instrument and this computer, and by how much."""
    from grainloop.cli.plan.command import PlanOptions, run_plan_command

    run_plan_command(PlanOptions(plan, rows, columns, step, dwell, instrument, wrong, grain, pl_seconds, measure, json))


app.command()(check)
app.command()(logs)
add_operating(app)
add_recorded(app)
