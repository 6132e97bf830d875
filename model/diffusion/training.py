"""The training loop: streamed synthetic examples, averaged weights, exact resume, any number of processes.

Each step is a function of the seed and its number: examples, noise and step size are drawn from them, so that a resumed
training continues as if it had not stopped. What is learnt is in `losses`, what from in `examples`.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from model.diffusion.checkpoint import Progress, load_checkpoint, save_checkpoint
from model.diffusion.denoiser import Conditions, Denoiser
from model.diffusion.examples import ExampleConfig, make_batch
from model.diffusion.losses import LossWeights, Truth, total_loss
from model.diffusion.schedule import LearningRate, ema_decay, update_average
from model.diffusion.state import StateSpace, state_space


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a training.

    Attributes:
        point_group: of the EBSD channels.
        seed: of examples, noise and initial weights.
        examples: what an example looks like.
        weights: of the losses.
        rate: step sizes.
        clip: largest gradient norm.
        weight_decay: of AdamW.
        bfloat16: whether the backbone computes in bfloat16; weights, losses and the gate stay in float32.
        checkpoint_s: wall seconds between checkpoints.
        log_steps: steps between lines of the metrics file.
    """

    point_group: str = "6/mmm"
    seed: int = 1
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    weights: LossWeights = field(default_factory=LossWeights)
    rate: LearningRate = field(default_factory=LearningRate)
    clip: float = 1.0
    weight_decay: float = 1e-4
    bfloat16: bool = True
    checkpoint_s: float = 120.0
    log_steps: int = 50


class _Batches(Dataset[dict[str, np.ndarray[Any, Any]]]):
    """Batch number → arrays; workers compute them ahead."""

    def __init__(self, space_name: str, config: ExampleConfig, seed: int) -> None:
        self._name, self._config, self._seed = space_name, config, seed

    def __getitem__(self, number: int) -> dict[str, np.ndarray[Any, Any]]:
        return make_batch(np.random.default_rng([self._seed, number]), state_space(self._name), self._config)


def batches(config: TrainConfig, first: int, stride: int, offset: int, workers: int) -> Iterator[dict[str, Tensor]]:
    """Batches first, first + 1, … of this process: every `stride`-th number, shifted by `offset`."""
    dataset = _Batches(config.point_group, config.examples, config.seed)
    numbers = range(first * stride + offset, 2**40, stride)
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=cast(Any, numbers),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
    )
    return iter(loader)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def unpack(batch: dict[str, Tensor]) -> tuple[Conditions, Truth]:
    """The tensors of a batch as what goes in and what should come out."""
    given = {of.name: batch[of.name] for of in fields(Conditions)}
    given["index"] = given["index"].long()
    truth = Truth(batch["true_ebsd"], batch["true_light"], batch["valid"], batch["boundary"], batch["right"])
    return Conditions(**given), truth


class Trainer:
    """One training: networks, optimiser and progress."""

    def __init__(self, config: TrainConfig, device: str = "cpu") -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, torch.device(device)
        self.space: StateSpace = state_space(config.point_group)
        self.model = build_denoiser(self.space).to(self.device)
        cast(Any, self.model).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=1e-4, betas=(0.9, 0.98), weight_decay=config.weight_decay
        )
        self.step, self.seconds = 0, 0.0

    def train_step(self, batch: dict[str, Tensor], forward: nn.Module, cooldown: float = 1.0) -> dict[str, float]:
        """One optimiser step; `forward` is the model, possibly wrapped for several processes."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        given, truth = unpack({name: value.to(self.device) for name, value in batch.items()})
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate.at(self.step, cooldown)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            said = forward(given)
        loss, parts = total_loss(
            said, given, truth, self.model.sigma_data, self.space.chord_per_deg, self.config.weights
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        update_average(self.average, self.model, ema_decay(self.step))
        self.step += 1
        return parts | {"grad_norm": float(norm)}

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        config = json.dumps(asdict(self.config))
        save_checkpoint(path, self.model, self.average, self.optimiser, Progress(self.step, self.seconds, config))

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint."""
        progress = load_checkpoint(path, self.model, self.average, self.optimiser)
        self.step, self.seconds = progress.step, progress.seconds


def build_denoiser(space: StateSpace) -> Denoiser:
    """The network for a state space."""
    return Denoiser(torch.from_numpy(space.sigma_data), space.light_channels)


def train(
    trainer: Trainer,
    folder: Path,
    hours: float,
    *,
    cooldown_hours: float = 0.0,
    workers: int = 1,
    report: Callable[[int, float, dict[str, float]], None] | None = None,
    validate: Callable[[Trainer], dict[str, float]] | None = None,
    validate_s: float = 900.0,
) -> None:
    """Train for `hours` of wall time, writing `checkpoint.safetensors` and `metrics.csv` to `folder`.

    With torch.distributed initialised every process calls this; the first one writes.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    forward: nn.Module = trainer.model
    if world > 1:
        forward = nn.parallel.DistributedDataParallel(trainer.model)
    folder.mkdir(parents=True, exist_ok=True)
    metrics = _Metrics(folder / "metrics.csv", trainer.config.log_steps)
    start, before = time.monotonic(), trainer.seconds
    saved = validated = start
    for batch in batches(trainer.config, trainer.step, world, rank, workers):
        elapsed = time.monotonic() - start
        ahead = hours * 3600 - elapsed
        cooldown = min(1.0, max(0.0, ahead / (cooldown_hours * 3600))) if cooldown_hours else 1.0
        parts = trainer.train_step(batch, forward, cooldown)
        trainer.seconds = before + time.monotonic() - start
        last = _agree(ahead <= 0, world)
        now = time.monotonic()
        if rank == 0:
            metrics.add(trainer.step, trainer.seconds, parts)
            if report:
                report(trainer.step, trainer.seconds, parts)
            if validate and (last or now - validated > validate_s):
                metrics.write(trainer.step, trainer.seconds, validate(trainer))
                validated = time.monotonic()
            if last or now - saved > trainer.config.checkpoint_s:
                trainer.save(folder / "checkpoint.safetensors")
                saved = now
        if last:
            return


def _agree(stop: bool, world: int) -> bool:
    """Whether any process wants to stop; all leave at the same step."""
    if world == 1:
        return stop
    flag = torch.tensor(float(stop))
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag > 0)


class _Metrics:
    """Appends lines of step, seconds, name, value to a CSV file; running parts are averaged over `every` steps."""

    def __init__(self, path: Path, every: int) -> None:
        self._path, self._every, self._sums, self._count = path, every, dict[str, float](), 0
        if not path.exists():
            path.write_text("step,seconds,name,value\n", encoding="utf-8")

    def add(self, step: int, seconds: float, parts: dict[str, float]) -> None:
        """Count one step in."""
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if self._count == self._every:
            self.write(step, seconds, {name: value / self._count for name, value in self._sums.items()})
            self._sums, self._count = {}, 0

    def write(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Append one line per value."""
        lines = [f"{step},{seconds:.1f},{name},{value:.6g}\n" for name, value in values.items()]
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
