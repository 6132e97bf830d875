"""What the first process of a training writes to its folder: metrics, checkpoints, best weights, the card.

`checkpoint.safetensors` resumes the training, `best.safetensors` holds the averaged weights that did best on synthetic
specimens. How they are trained is left to `trainer`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grainloop.model.diffusion.checkpoints.checkpoint import metadata_of, read_metadata, save_average
from grainloop.model.diffusion.training.card import code_revision, training_card, write_card
from grainloop.model.diffusion.training.metrics import Metrics, last_validation
from grainloop.model.diffusion.training.trainer import Trainer
from grainloop.model.diffusion.training.validation import FREE_SELECTED_BY, SELECTED_BY

CARD, CARD_TEXT = "card.json", "card.md"
CHECKPOINT = "checkpoint.safetensors"
COMPACT = "compact.safetensors"
BEST = "best.safetensors"
METRICS = "metrics.csv"
_SHOWN_OF_BEST = ("point_group", "seed", "step", "revision", SELECTED_BY, FREE_SELECTED_BY)
"""What the card says of the best weights; their file holds more, so that a training can begin from it."""

Validate = Callable[[Trainer], dict[str, float]]


@dataclass(frozen=True)
class StepReport:
    """One finished step, for whoever watches.

    Attributes:
        step: finished steps over all sittings.
        seconds: wall seconds, likewise.
        ahead_s: wall seconds left of this sitting.
        examples: that went into the step, over all processes.
        parts: losses and gradient norm.
    """

    step: int
    seconds: float
    ahead_s: float
    examples: int
    parts: dict[str, float]


class Records:
    """The folder of one sitting."""

    def __init__(self, trainer: Trainer, folder: Path, processes: int, validate: Validate | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._trainer, self._folder, self._processes, self._validate = trainer, folder, processes, validate
        self._metrics = Metrics(folder / METRICS, trainer.config.log_steps, trainer.step)
        self._best = self._best_so_far()
        self._saved = self._validated = time.monotonic()

    def after_step(self, parts: dict[str, float], *, last: bool, hurried: bool) -> None:
        """Write what is due; everything after the last step, without validation if it is `hurried`."""
        trainer, config, now = self._trainer, self._trainer.config, time.monotonic()
        self._metrics.add(trainer.step, trainer.seconds, parts)
        if self._validate and not hurried and (last or now - self._validated > config.validation.every_s):
            self._keep(self._validate(trainer))
            self._validated = time.monotonic()
        if last or now - self._saved > config.checkpoint_s:
            self._save()
            self._saved = now

    def _keep(self, figures: dict[str, float]) -> None:
        trainer = self._trainer
        self._metrics.write(trainer.step, trainer.seconds, figures)
        value = figures.get(self._selected_by, math.inf)
        if value < self._best:
            self._best = value
            config, figure = trainer.config, {self._selected_by: f"{value:.6g}"}
            whose = {"point_group": config.point_group, "backbone": config.backbone, "seed": str(config.seed)}
            meta = metadata_of(trainer.progress()) | whose | {"revision": code_revision()} | figure
            save_average(self._folder / BEST, trainer.average, meta)

    def _save(self) -> None:
        trainer = self._trainer
        trainer.save(self._folder / CHECKPOINT)
        best = read_metadata(path) if (path := self._folder / BEST).exists() else {}
        card = training_card(
            trainer.progress(),
            parameters=sum(value.numel() for value in trainer.model.parameters()),  # those that are kept as well
            processes=self._processes,
            last=last_validation(self._folder / METRICS),
            best={name: best[name] for name in _SHOWN_OF_BEST if name in best},
        )
        write_card(card, self._folder / CARD, self._folder / CARD_TEXT)

    def _best_so_far(self) -> float:
        """The figure to beat; weights of steps that were lost with an unsaved checkpoint do not count."""
        best = self._folder / BEST
        meta = read_metadata(best) if self._trainer.step and best.exists() else {}
        figure = meta.get(self._selected_by) if meta and int(meta["step"]) <= self._trainer.step else None
        return math.inf if figure is None else float(figure)

    @property
    def _selected_by(self) -> str:
        """The figure that says which weights are best."""
        return FREE_SELECTED_BY if self._trainer.config.learns == "free" else SELECTED_BY
