"""`grainloop train`: a training of the joint denoiser from its configuration, resumable, on one process or several.

It begins from random weights or from those in a file.

What is learnt and what is written is decided in `model.diffusion`; here are files, signals and words. Under torchrun
every process runs this, and the first one alone writes and speaks.
"""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from grainloop.cli.folders import make_folder
from grainloop.cli.train.config import changes, load_config, make_config
from grainloop.cli.train.progress import show_training
from grainloop.evaluate.sections.real_maps import real_cases
from grainloop.model.diffusion.checkpoints.averaged import read_averaged
from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError, config_of, read_progress
from grainloop.model.diffusion.training.processes import is_first, joined, share_cores
from grainloop.model.diffusion.training.records import CHECKPOINT, COMPACT
from grainloop.model.diffusion.training.sitting import train
from grainloop.model.diffusion.training.trainer import TrainConfig, Trainer
from grainloop.model.diffusion.training.validation import Case, synthetic_cases, validate, validate_free
from grainloop.protocols.errors import BadInput

_INTERRUPTED = 130


@dataclass(frozen=True)
class TrainOptions:
    """What the command line says."""

    config: Path | None
    out: Path
    resume: bool
    hours: float
    cooldown_hours: float
    threads: int | None
    start_from: Path | None = None


def run_training(options: TrainOptions) -> int:
    """One sitting; returns the exit code.

    Raises:
        BadInput: options, configuration, checkpoint or weights that cannot be used.
    """
    _check_hours(options)
    checkpoint = _checkpoint_to_resume(options)
    config = _config(options, checkpoint)
    with joined() as device:
        workers = share_cores(options.threads, device)
        trainer = _trainer(config, checkpoint, options.start_from, device)
        make_folder(options.out)
        with _stopping() as asked_to_stop, show_training(options.hours, quiet=not is_first()) as report:
            interrupted = train(
                trainer,
                options.out,
                options.hours,
                cooldown_hours=options.cooldown_hours,
                workers=workers,
                report=report,
                validate=_Validation(),
                stop=asked_to_stop,
            )
    if is_first():
        _tell_end(trainer, options.out, interrupted)
    return _INTERRUPTED if interrupted else 0


def _check_hours(options: TrainOptions) -> None:
    if not 0 < options.hours < math.inf:
        message = f"--hours {options.hours:g} cannot be used: give a number above 0."
        raise BadInput(message, field="hours", value=options.hours)
    if not 0 <= options.cooldown_hours <= options.hours:
        message = f"--cooldown {options.cooldown_hours:g} cannot be used: give a number from 0 up to --hours."
        raise BadInput(message, field="cooldown", value=options.cooldown_hours)


def _checkpoint_to_resume(options: TrainOptions) -> Path | None:
    """The checkpoint to go on from: the whole one, else the compact one; nothing for a new training.

    Raises:
        BadInput: none where one should be, or one where a new training should begin.
    """
    if options.resume and options.start_from is not None:
        message = "--resume goes on with a training and --from begins another: give one of them."
        raise BadInput(message, field="from", value=options.start_from)
    found = next((path for name in (CHECKPOINT, COMPACT) if (path := options.out / name).exists()), None)
    if options.resume and found is None:
        message = f"There is no checkpoint in {options.out} to resume; leave out --resume to begin a new training."
        raise BadInput(message, field="resume", value=options.out)
    if found is not None and not options.resume:
        message = f"{found} holds a training already; add --resume to continue it, or choose another --out."
        raise BadInput(message, field="out", value=options.out)
    return found


def _config(options: TrainOptions, checkpoint: Path | None) -> TrainConfig:
    """The configuration given, else of the checkpoint or weights, else the default; says what a given one changes."""
    given = load_config(options.config) if options.config else None
    if checkpoint is None:
        return given or (_config_of_weights(options.start_from) if options.start_from else TrainConfig())
    with _refused_as("resume", checkpoint):
        stored = make_config(config_of(read_progress(checkpoint)), str(checkpoint))
    if given is not None and given.point_group == stored.point_group and is_first():
        for change in changes(stored, given):
            typer.echo(f"From here on {change}", err=True)
    return given or stored


def _config_of_weights(path: Path) -> TrainConfig:
    """The configuration of the training that weights are from, else the default one for their network."""
    with _refused_as("from", path):
        found = read_averaged(path)
    whose = {"point_group": found.point_group} if found.point_group else {}
    return make_config(found.config or {"backbone": found.backbone, **whose}, str(path))


@contextmanager
def _refused_as(field: str, path: Path) -> Generator[None]:
    """Tells of a checkpoint or weights that cannot be used as of a bad option."""
    try:
        yield
    except CheckpointError as error:
        raise BadInput(str(error), field=field, value=path) from error


def _trainer(config: TrainConfig, checkpoint: Path | None, start_from: Path | None, device: str) -> Trainer:
    trainer = Trainer(config, device)
    if start_from is not None:
        with _refused_as("from", start_from):
            trainer.start_from(start_from)
    if checkpoint is not None:
        with _refused_as("resume", checkpoint):
            trainer.resume(checkpoint)
        if checkpoint.name == COMPACT and is_first():
            typer.echo("Resuming from half-precision weights without the optimiser's moments: not exactly.", err=True)
    return trainer


class _Validation:
    """Tries the averaged weights on synthetic specimens and on the real maps, built once when first needed."""

    def __init__(self) -> None:
        self._cases: list[Case] | None = None

    def __call__(self, trainer: Trainer) -> dict[str, float]:
        if self._cases is None:
            config = trainer.config.validation
            self._cases = synthetic_cases(trainer.space, config)
            self._cases += real_cases(trainer.space.group.name) if config.real_maps else ()
        free = validate_free(trainer.average, trainer.space, trainer.config.examples)
        return validate(trainer.average, trainer.space, self._cases) | free


@contextmanager
def _stopping() -> Generator[Callable[[], bool]]:
    """Yields whether Ctrl-C or SIGTERM has asked to stop; a second Ctrl-C stops at once, without saving."""
    asked: list[int] = []

    def ask(number: int, _frame: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if is_first():
            print("grainloop: finishing this step and saving …", file=sys.stderr)  # noqa: T201

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_end(trainer: Trainer, out: Path, interrupted: bool) -> None:
    stands = f"{trainer.step} steps, {trainer.cpu_seconds / 3600:.2f} processor hours in all"
    if interrupted:
        hint = f"go on with: grainloop train --out {out} --resume"
        print(f"grainloop: interrupted after {stands}; saved in {out / CHECKPOINT}; {hint}", file=sys.stderr)  # noqa: T201
    else:
        typer.echo(f"{stands}; weights, metrics and card are in {out}.")
