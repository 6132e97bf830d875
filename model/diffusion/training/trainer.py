"""The training loop: streamed synthetic examples, averaged weights, exact resume, any number of processes.

Each step is a function of the seed and its number: examples, noise and step size are drawn from them, so that a resumed
training continues as if it had not stopped. What is learnt is in `losses`, what from in `examples`, what is written in
`records`.
"""

from __future__ import annotations

import copy
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from grainloop.model.diffusion.checkpoints.averaged import Averaged, read_averaged
from grainloop.model.diffusion.checkpoints.checkpoint import (
    CheckpointError,
    Origin,
    Progress,
    config_of,
    load_checkpoint,
    read_progress,
    save_checkpoint,
)
from grainloop.model.diffusion.network.backbone import DEFAULT
from grainloop.model.diffusion.network.denoiser import Conditions, Denoised, Denoiser
from grainloop.model.diffusion.network.state import StateSpace, state_space
from grainloop.model.diffusion.training.card import code_revision
from grainloop.model.diffusion.training.examples import ExampleConfig, make_batch, unpack
from grainloop.model.diffusion.training.losses import LossWeights, total_loss
from grainloop.model.diffusion.training.schedule import LearningRate, ema_decay, update_average
from grainloop.model.diffusion.training.transfer import transferred
from grainloop.model.diffusion.training.validation import ValidationConfig

ALL, FREE = "all", "free"
LEARNS = (ALL, FREE)
"""What `TrainConfig.learns` may be."""
CPU_SECONDS = "cpu_seconds"
"""Processor time that a batch took to make, in the batch beside its arrays."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a training.

    Attributes:
        point_group: of the EBSD channels.
        seed: of examples, noise and initial weights.
        backbone: name of the network between stem and heads.
        learns: "all", or "free": the network of the free branch alone, everything that the gate says stays as it is.
        examples: what an example looks like.
        weights: of the losses.
        rate: step sizes.
        clip: largest gradient norm.
        weight_decay: of AdamW.
        bfloat16: whether the backbone computes in bfloat16; weights, losses and the gate stay in float32.
        checkpoint_s: wall seconds between checkpoints.
        log_steps: steps between lines of the metrics file.
        validation: what the averaged weights are tried on.
    """

    point_group: str = "6/mmm"
    seed: int = 1
    backbone: str = DEFAULT
    learns: str = ALL
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    weights: LossWeights = field(default_factory=LossWeights)
    rate: LearningRate = field(default_factory=LearningRate)
    clip: float = 1.0
    weight_decay: float = 1e-4
    bfloat16: bool = True
    checkpoint_s: float = 120.0
    log_steps: int = 50
    validation: ValidationConfig = field(default_factory=ValidationConfig)


class _Batches(Dataset[dict[str, np.ndarray[Any, Any]]]):
    """Batch number → arrays; workers compute them ahead."""

    def __init__(self, space_name: str, config: ExampleConfig, seed: int) -> None:
        self._name, self._config, self._seed = space_name, config, seed

    def __getitem__(self, number: int) -> dict[str, np.ndarray[Any, Any]]:
        began = time.process_time()
        batch = make_batch(np.random.default_rng([self._seed, number]), state_space(self._name), self._config)
        return batch | {CPU_SECONDS: np.array(time.process_time() - began)}


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
        worker_init_fn=_begin_worker,
    )
    return iter(loader)


def _begin_worker(_: int) -> None:
    """One thread each; Ctrl-C is for the process that trains, which stops its workers itself."""
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class Trainer:
    """One training: networks, optimiser and progress."""

    def __init__(self, config: TrainConfig, device: str = "cpu") -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, torch.device(device)
        self.space: StateSpace = state_space(config.point_group)
        self.model = build_denoiser(self.space, config.backbone).to(self.device)
        cast(Any, self.model).to(memory_format=torch.channels_last)
        # DistributedDataParallel copies a lone buffer onto a flat view of itself, which needs plain strides.
        self.model.sigma_data = self.model.sigma_data.clone(memory_format=torch.contiguous_format)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        if config.learns == FREE:
            self.model.requires_grad_(False)
            self.model.free_branch.requires_grad_(True)
        self.learning = [value for value in self.model.parameters() if value.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.learning, lr=1e-4, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True
        )
        self.step, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
        self.revisions: tuple[tuple[int, str], ...] = ()
        self.origins: tuple[Origin, ...] = ()

    def train_step(
        self, batch: dict[str, Tensor], forward: Callable[[Conditions], Denoised], cooldown: float = 1.0
    ) -> dict[str, float]:
        """One optimiser step; `forward` is the model, possibly wrapped for several processes."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        given, truth = unpack({name: value.to(self.device) for name, value in batch.items()})
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate.at(self.step, cooldown) * self._moments_ready()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            said = forward(given)
        loss, parts = total_loss(
            said, given, truth, self.model.sigma_data, self.space.chord_per_deg, self.config.weights
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.learning, self.config.clip)
        self.optimiser.step()
        update_average(self.average, self.model, ema_decay(self.step))
        self.step += 1
        return parts | {"grad_norm": float(norm)}

    def _moments_ready(self) -> float:
        """1, or less while moments that are younger than the weights warm up."""
        state = list(self.optimiser.state.values())
        age = int(state[0]["step"]) if state else 0
        return 1.0 if age >= self.step else min(1.0, (age + 1) / self.config.rate.warmup)

    def progress(self) -> Progress:
        """Where the training stands."""
        config = json.dumps(asdict(self.config))
        return Progress(self.step, self.seconds, config, self.cpu_seconds, self.revisions, self.origins)

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        save_checkpoint(path, self.model, self.average, self.optimiser, self.progress())

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint, exactly; from a compact one with fresh moments.

        Raises:
            CheckpointError: it is missing, damaged, or of another point group or network.
        """
        stored = config_of(read_progress(path))
        group, backbone = stored["point_group"], stored.get("backbone", DEFAULT)
        if group != self.config.point_group:
            raise CheckpointError(f"Checkpoint {path} is for point group {group}, not {self.config.point_group}.")
        if backbone != self.config.backbone:
            raise CheckpointError(f"Checkpoint {path} has the backbone {backbone}, not {self.config.backbone}.")
        self._stand_at(load_checkpoint(path, self.model, self.average, self.optimiser))

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights in any file: fresh moments, the steps and hours before them counted in.

        Weights for another point group lend what does not depend on it; counting then begins anew.

        Raises:
            CheckpointError: the file is missing, damaged, or of another network.
        """
        found = read_averaged(path)
        group = found.point_group or self.config.point_group
        found.check_fits(group, self.config.backbone)
        if group != self.config.point_group:
            self._borrow(found, group)
            return
        for network in (self.model, self.average):
            found.load_into(network, kept=("sigma_data",))  # half-precision files hold it rounded
        self._stand_at(found.before())

    def _borrow(self, found: Averaged, group: str) -> None:
        with found.read_as_network():
            lent = transferred(found.tensors, state_space(group), self.model, self.space)
            for network in (self.model, self.average):
                network.load_state_dict(lent)
        self.origins = found.before().origins

    def _stand_at(self, progress: Progress) -> None:
        self.step, self.seconds, self.cpu_seconds = progress.step, progress.seconds, progress.cpu_seconds
        self.revisions, self.origins = progress.revisions, progress.origins

    def note_revision(self) -> None:
        """Remember which code trains from here on."""
        if not self.revisions or self.revisions[-1][1] != code_revision():
            self.revisions = (*self.revisions, (self.step, code_revision()))


def build_denoiser(space: StateSpace, backbone: str = DEFAULT) -> Denoiser:
    """The network for a state space."""
    return Denoiser(torch.from_numpy(space.sigma_data), space.light_channels, backbone)
