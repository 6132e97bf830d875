"""`grainloop train`: a training of the joint denoiser from its configuration, resumable, on one process or several.

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

from controller.cli.real_maps import real_cases
from controller.cli.train_config import changes, load_config, make_config
from controller.cli.train_progress import show_training
from model.diffusion.checkpoint import CheckpointError, compact, config_of, read_progress
from model.diffusion.processes import is_first, joined, share_cores
from model.diffusion.records import CHECKPOINT, COMPACT, METRICS
from model.diffusion.training import TrainConfig, Trainer, train
from model.diffusion.validation import Case, synthetic_cases, validate
from protocols.errors import BadInput

_INTERRUPTED = 130
CURVES = "curves.png"


@dataclass(frozen=True)
class TrainOptions:
    """What the command line says."""

    config: Path | None
    out: Path
    resume: bool
    hours: float
    cooldown_hours: float
    threads: int | None


def run_training(options: TrainOptions) -> int:
    """One sitting; returns the exit code.

    Raises:
        BadInput: options, configuration or checkpoint that cannot be used.
    """
    _check_hours(options)
    checkpoint = _checkpoint_to_resume(options)
    config = _config(options, checkpoint)
    _make_folder(options.out)
    with joined() as device:
        workers = share_cores(options.threads, device)
        trainer = _trainer(config, checkpoint, device)
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


def write_compact(folder: Path) -> None:
    """Write the compact checkpoint beside the whole one.

    Raises:
        BadInput: there is no usable checkpoint.
    """
    source, target = folder / CHECKPOINT, folder / COMPACT
    if not source.is_file():
        raise BadInput(f"There is no {CHECKPOINT} in {folder} to make compact.", field="compact", value=folder)
    try:
        compact(source, target)
    except CheckpointError as error:
        raise BadInput(str(error), field="compact", value=folder) from error
    typer.echo(f"{target} holds the weights in half precision, {target.stat().st_size / 1e6:.1f} MB.")


def write_curves(folder: Path) -> None:
    """Draw the curves of a training beside its metrics.

    Raises:
        BadInput: there are no metrics, or they cannot be read.
    """
    from controller.cli.training_curves import draw_curves

    metrics = folder / METRICS
    if not metrics.is_file():
        raise BadInput(f"There is no {METRICS} in {folder} to draw.", field="curves", value=folder)
    try:
        draw_curves(metrics, folder / CURVES)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{metrics} is not a metrics file of a training.", field="curves", value=folder) from error
    typer.echo(f"The curves are in {folder / CURVES}.")


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
    found = next((path for name in (CHECKPOINT, COMPACT) if (path := options.out / name).exists()), None)
    if options.resume and found is None:
        message = f"There is no checkpoint in {options.out} to resume; leave out --resume to begin a new training."
        raise BadInput(message, field="resume", value=options.out)
    if found is not None and not options.resume:
        message = f"{found} holds a training already; add --resume to continue it, or choose another --out."
        raise BadInput(message, field="out", value=options.out)
    return found


def _config(options: TrainOptions, checkpoint: Path | None) -> TrainConfig:
    """The configuration of the file, else of the checkpoint, else the default; says what the file changes."""
    given = load_config(options.config) if options.config else None
    if checkpoint is None:
        return given or TrainConfig()
    try:
        stored = make_config(config_of(read_progress(checkpoint)), str(checkpoint))
    except CheckpointError as error:
        raise BadInput(str(error), field="resume", value=checkpoint) from error
    if given is not None and given.point_group == stored.point_group and is_first():
        for change in changes(stored, given):
            typer.echo(f"From here on {change}", err=True)
    return given or stored


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {out} cannot be made: {error.strerror}.", field="out", value=out) from error


def _trainer(config: TrainConfig, checkpoint: Path | None, device: str) -> Trainer:
    trainer = Trainer(config, device)
    if checkpoint is not None:
        try:
            trainer.resume(checkpoint)
        except CheckpointError as error:
            raise BadInput(str(error), field="resume", value=checkpoint) from error
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
        return validate(trainer.average, trainer.space, self._cases)


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
