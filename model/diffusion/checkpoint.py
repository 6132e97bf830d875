"""Checkpoints of a training: safetensors and JSON, nothing that executes.

A checkpoint holds the weights, their average, the optimiser's moments and the step number. Everything random in
training is drawn from the seed and the step, so this is enough to resume exactly.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another network."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        step: finished steps.
        seconds: wall seconds spent in training so far, over all sittings.
        config: the configuration as JSON text.
    """

    step: int
    seconds: float
    config: str


def save_checkpoint(
    path: Path, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write a checkpoint; the file is replaced at once, so a crash leaves the old one."""
    tensors = _prefixed("model.", model.state_dict()) | _prefixed("average.", average.state_dict())
    tensors |= _moments(optimiser)
    meta = {"step": str(progress.step), "seconds": repr(progress.seconds), "config": progress.config}
    part = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata=meta)
    os.replace(part, path)


def load_checkpoint(path: Path, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> Progress:
    """Restore everything in place.

    Raises:
        CheckpointError: no such file, not a checkpoint, or of another network.
    """
    tensors, meta = read_tensors(path)
    try:
        model.load_state_dict(_unprefixed("model.", tensors))
        average.load_state_dict(_unprefixed("average.", tensors))
    except RuntimeError as error:
        raise CheckpointError(f"Checkpoint {path} belongs to another network.") from error
    _restore_moments(optimiser, tensors)
    return Progress(int(meta["step"]), float(meta["seconds"]), meta["config"])


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a safetensors file.

    Raises:
        CheckpointError: no such file, or not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"Weights file {path} cannot be read: {error}.") from error


def _prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value.detach().clone() for name, value in state.items()}


def _unprefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _moments(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = cast(dict[int, dict[str, Tensor]], optimiser.state_dict()["state"])
    return {
        f"optimiser.{number}.{name}": value.detach().clone()
        for number, of in state.items()
        for name, value in of.items()
    }


def _restore_moments(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _unprefixed("optimiser.", tensors).items():
        number, moment = name.split(".", 1)
        state.setdefault(int(number), {})[moment] = value
    whole: dict[str, Any] = optimiser.state_dict()
    optimiser.load_state_dict({**whole, "state": state})


def config_of(progress: Progress) -> dict[str, Any]:
    """The stored configuration."""
    return cast(dict[str, Any], json.loads(progress.config))
