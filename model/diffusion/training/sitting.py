"""One sitting of a training: step after step until its time ends, with everything worth keeping left in a folder.

What a step does is the business of `trainer`, what is written that of `records`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from torch import nn

from grainloop.model.diffusion.training.processes import rank_and_world, total
from grainloop.model.diffusion.training.records import Records, StepReport, Validate
from grainloop.model.diffusion.training.trainer import CPU_SECONDS, Trainer, batches


def never_stop() -> bool:
    """For a training that only its time ends."""
    return False


def train(
    trainer: Trainer,
    folder: Path,
    hours: float,
    *,
    cooldown_hours: float = 0.0,
    workers: int = 1,
    report: Callable[[StepReport], None] | None = None,
    validate: Validate | None = None,
    stop: Callable[[], bool] = never_stop,
) -> bool:
    """Train for `hours` of wall time, or until `stop` says so in any process, and leave `records` in `folder`.

    With torch.distributed initialised every process calls this, and all leave after the same step; the first one writes
    and reports. There is at least one step.

    Returns:
        Whether it was stopped before its time.
    """
    rank, world = rank_and_world()
    forward = trainer.model if world == 1 else nn.parallel.DistributedDataParallel(trainer.model)
    trainer.note_revision()
    records = Records(trainer, folder, world, validate) if rank == 0 else None
    start, before, cpu, stopped = time.monotonic(), trainer.seconds, time.process_time(), 0.0
    for batch in batches(trainer.config, trainer.step, world, rank, workers):
        ahead = hours * 3600 - (time.monotonic() - start)
        parts = trainer.train_step(batch, forward, _cooldown(ahead, cooldown_hours))
        trainer.seconds = before + time.monotonic() - start
        made_elsewhere = float(batch[CPU_SECONDS]) if workers else 0.0
        cpu, cpu_before = time.process_time(), cpu
        spent = cpu - cpu_before + made_elsewhere
        ended, stopped, spent = total((ahead <= 0, stop(), spent), trainer.device)
        trainer.cpu_seconds += spent
        last = ended > 0 or stopped > 0
        if report and rank == 0:
            report(StepReport(trainer.step, trainer.seconds, max(0.0, ahead), world * len(batch["x"]), parts))
        if records:
            records.after_step(parts, last=last, hurried=stopped > 0)
        if last:
            break
    return stopped > 0


def _cooldown(ahead_s: float, hours: float) -> float:
    """Share of the cool-down of `hours` that is still ahead; 1 before it."""
    return min(1.0, max(0.0, ahead_s / (hours * 3600))) if hours else 1.0
