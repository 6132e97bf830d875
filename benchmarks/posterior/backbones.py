"""The backbones trained from scratch at equal compute: `python -m benchmarks.posterior.backbones --minutes 20`.

Equal is the processor time of the learning process, one thread; making examples and validating are not counted. Seed,
examples and their order, step sizes and validation specimens are the same. The step size falls to zero over the last
fifth, so that the end of each curve is what that much compute buys. The network of the free branch, which is the same
beside every backbone, is left out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from grainloop.model.diffusion.network.backbone import BACKBONES, make_backbone, parameter_count
from grainloop.model.diffusion.network.denoiser import FULL_WIDTH
from grainloop.model.diffusion.training.losses import LossWeights
from grainloop.model.diffusion.training.trainer import TrainConfig, Trainer, batches
from grainloop.model.diffusion.training.validation import SELECTED_BY, Case, synthetic_cases, validate

ROOT = Path(__file__).parents[2]
RESULT, FIGURE = "backbones.json", "backbones.png"
MINUTES = 20.0
CHECKS = 10
"""Validations, evenly spaced."""
COOLDOWN = 0.2
LABELS = {"unet": "U-Net", "dit": "DiT"}
PANELS = (
    ("gate", 1, "gate loss (dimensionless), mean since the last point"),
    (SELECTED_BY, 100, "pixels off by more than 5° / %, synthetic specimens"),
)


@dataclass
class Learnt:
    """What a backbone has come to: curves over the processor minutes of learning."""

    steps: int = 0
    minutes: list[float] = field(default_factory=list[float])
    figures: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, steps: int, minutes: float, figures: dict[str, float]) -> None:
        """One more point of each curve."""
        self.steps = steps
        self.minutes.append(round(minutes, 3))
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(round(value, 6))


def main(
    minutes: float = MINUTES,
    results: Path = ROOT / "benchmarks" / "results",
    figures: Path = ROOT / "docs" / "figures",
) -> dict[str, Any]:
    """Train each backbone for so many processor minutes; write results and picture, and return the results."""
    torch.set_num_threads(1)
    config = TrainConfig()
    result = {"minutes": minutes, "seed": config.seed, "examples": asdict(config.examples)}
    result["backbones"] = {name: _measure(name, minutes) for name in BACKBONES}
    (results / RESULT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    draw(result, figures / FIGURE)
    return result


def _measure(name: str, minutes: float) -> dict[str, Any]:
    trainer = Trainer(TrainConfig(backbone=name, weights=LossWeights(free=0.0)))
    learnt = learn(trainer, minutes, synthetic_cases(trainer.space, trainer.config.validation))
    return {
        "parameters": parameter_count(trainer.model),
        "backbone_multiply_accumulates_64x64": multiply_accumulates(name),
        "steps": learnt.steps,
        "cpu_s_per_step": round(60 * learnt.minutes[-1] / learnt.steps, 4),
        "minutes": learnt.minutes,
        "curves": learnt.figures,
        "final": {figure: values[-1] for figure, values in learnt.figures.items()},
    }


def learn(trainer: Trainer, minutes: float, cases: list[Case]) -> Learnt:
    """Train for so many processor minutes, validating the averaged weights at the end of each part."""
    learnt, steps = Learnt(), _steps(trainer, minutes)
    for end in (minutes * n / CHECKS for n in range(1, CHECKS + 1)):
        gate, spent = list[float](), 0.0
        for spent, loss in steps:
            gate.append(loss)
            if spent >= end:
                break
        if gate:
            figures = validate(trainer.average, trainer.space, cases)
            learnt.add(trainer.step, spent, {"gate": sum(gate) / len(gate), **figures})
    return learnt


def _steps(trainer: Trainer, minutes: float) -> Iterator[tuple[float, float]]:
    """Processor minutes and gate loss after each step."""
    spent, forward = 0.0, partial(trainer.model, corrected=False)
    for batch in batches(trainer.config, 0, 1, 0, workers=1):
        ahead = max(0.0, 1 - spent / minutes)
        began = time.process_time()
        parts = trainer.train_step(batch, forward, min(1.0, ahead / COOLDOWN))
        spent += (time.process_time() - began) / 60
        yield spent, parts["gate"]
        if spent >= minutes:
            return


def multiply_accumulates(name: str) -> int:
    """Of one evaluation of the backbone on 64×64 pixels."""
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        make_backbone(name, FULL_WIDTH, FULL_WIDTH)(torch.zeros(1, FULL_WIDTH, 64, 64))
    return counted.get_total_flops() // 2


def draw(result: dict[str, Any], path: Path) -> None:
    """The curves of all backbones over processor minutes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, scale, label) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for backbone, found in result["backbones"].items():
            values = [scale * value for value in found["curves"][name]]
            said = f"{LABELS.get(backbone, backbone)}, {found['parameters'] / 1e6:.1f} M parameters"
            axes.plot(found["minutes"], values, marker=".", label=said)
        axes.set(xlabel="processor time of learning / min", ylabel=label, xlim=(0, None))
        axes.grid(visible=True, linewidth=0.3)
        axes.legend()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=MINUTES, help="processor minutes of each backbone")
    arguments.add_argument("--folder", type=Path, help="where results and picture go; else where they belong")
    given = arguments.parse_args()
    places = (given.folder, given.folder) if given.folder else ()
    print(json.dumps(main(given.minutes, *places)["backbones"], indent=2))
