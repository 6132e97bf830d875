"""Checkpoints of a training: safetensors and JSON, nothing that executes.

A checkpoint holds the weights, their average, the optimiser's moments and the step number. Everything random in
training is drawn from the seed and the step, so this is enough to resume exactly. A compact checkpoint leaves the
moments out and halves the precision: a quarter of the size, and a training that goes on from it differs a little.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from grainloop.protocols.files import parse_json, require_regular


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another network."""


@dataclass(frozen=True)
class Origin:
    """Weights that a training began from instead of random ones.

    Attributes:
        file: their name.
        sha256: of the file.
        step: of the training that they are from; 0 where the file does not say.
        seconds: wall seconds of that training up to there; None where the file does not say.
        cpu_seconds: processor seconds, likewise.
    """

    file: str
    sha256: str
    step: int
    seconds: float | None
    cpu_seconds: float | None


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        step: finished steps, those before the weights that it began from included.
        seconds: wall seconds spent in training so far, over all sittings, likewise.
        config: the configuration as JSON text.
        cpu_seconds: processor seconds of all processes, likewise; wall seconds where a checkpoint does not say.
        revisions: (first step, revision of the code) of every sitting that changed the code.
        origins: weights that it began from, and that those began from, earliest first.
    """

    step: int
    seconds: float
    config: str
    cpu_seconds: float = 0.0
    revisions: tuple[tuple[int, str], ...] = ()
    origins: tuple[Origin, ...] = ()


def save_checkpoint(
    path: Path, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write a checkpoint; the file is replaced at once, so a crash leaves the old one."""
    tensors = _prefixed("model.", model.state_dict()) | _prefixed("average.", average.state_dict())
    write_tensors(path, tensors | _moments(optimiser), metadata_of(progress))


def load_checkpoint(path: Path, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> Progress:
    """Restore everything in place; from a compact checkpoint the moments start anew.

    Raises:
        CheckpointError: no such file, not a checkpoint, or of another network.
    """
    tensors, meta = read_tensors(path)
    progress = _progress(path, meta)
    if not any(name.startswith("model.") for name in tensors):
        raise CheckpointError(f"Weights file {path} holds averaged weights alone; --from begins a training with them.")
    try:
        model.load_state_dict(_unprefixed("model.", tensors))
        average.load_state_dict(_unprefixed("average.", tensors))
    except RuntimeError as error:
        raise CheckpointError(f"Checkpoint {path} belongs to another network.") from error
    _restore_moments(optimiser, tensors)
    return progress


def read_progress(path: Path) -> Progress:
    """Where the training of a checkpoint stands, without reading its tensors.

    Raises:
        CheckpointError: no such file, or not a checkpoint.
    """
    return _progress(path, read_metadata(path))


def compact(source: Path, target: Path) -> None:
    """Store the weights and their average of a checkpoint in half precision, without the optimiser's moments.

    Raises:
        CheckpointError: `source` is missing or not a checkpoint.
    """
    tensors, meta = read_tensors(source)
    _progress(source, meta)
    write_tensors(target, halved({k: v for k, v in tensors.items() if not k.startswith("optimiser.")}), meta)


def save_average(path: Path, average: nn.Module, metadata: dict[str, str]) -> None:
    """Write the averaged weights alone, in half precision: what inference needs."""
    write_tensors(path, halved(_prefixed("average.", average.state_dict())), metadata)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a safetensors file.

    Raises:
        CheckpointError: no such file, or not safetensors.
    """
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, MemoryError, SafetensorError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise CheckpointError(f"Weights file {path} cannot be read: {why}.") from error


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        CheckpointError: no such file, or not safetensors.
    """
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, MemoryError, SafetensorError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise CheckpointError(f"Weights file {path} cannot be read: {why}.") from error


def config_of(progress: Progress) -> dict[str, Any]:
    """The stored configuration."""
    return cast(dict[str, Any], parse_json(progress.config))


def metadata_of(progress: Progress) -> dict[str, str]:
    """Progress as metadata of a file."""
    return {
        "step": str(progress.step),
        "seconds": repr(progress.seconds),
        "config": progress.config,
        "cpu_seconds": repr(progress.cpu_seconds),
        "revisions": json.dumps(progress.revisions),
        "origins": json.dumps([asdict(origin) for origin in progress.origins]),
    }


def _progress(path: Path, meta: dict[str, str]) -> Progress:
    try:
        seconds, revisions, origins = float(meta["seconds"]), revisions_in(meta), origins_in(meta)
        cpu_seconds = float(meta.get("cpu_seconds", seconds))
        return Progress(int(meta["step"]), seconds, meta["config"], cpu_seconds, revisions, origins)
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"Weights file {path} does not say where its training stands.") from error


def revisions_in(meta: dict[str, str]) -> tuple[tuple[int, str], ...]:
    """Revisions of the code in the metadata of a file."""
    return tuple((int(step), str(name)) for step, name in parse_json(meta.get("revisions", "[]")))


def origins_in(meta: dict[str, str]) -> tuple[Origin, ...]:
    """What weights began from, in the metadata of a file."""
    return tuple(Origin(**one) for one in parse_json(meta.get("origins", "[]")))


def write_tensors(path: Path, tensors: dict[str, Tensor], meta: dict[str, str]) -> None:
    """Write a safetensors file; it is replaced at once, so a crash leaves the old one.

    Raises:
        CheckpointError: it cannot be written.
    """
    part = path.with_suffix(".part")
    try:
        part.unlink(missing_ok=True)  # what is there may be no file
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata=meta)
        part.chmod(0o644)  # safetensors creates files that the owner alone may read
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise CheckpointError(f"Weights file {path} cannot be written: {why}.") from error


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Floating tensors in half precision."""
    return {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}


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
    parameters = [value for group in optimiser.param_groups for value in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _unprefixed("optimiser.", tensors).items():
        number, moment = name.split(".", 1)
        state.setdefault(int(number), {})[moment] = _laid_out_like(parameters[int(number)], value)
    whole: dict[str, Any] = optimiser.state_dict()
    optimiser.load_state_dict({**whole, "state": state})


def _laid_out_like(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in the memory format of its parameter: the fused optimiser walks both in order of memory."""
    return torch.empty_like(parameter).copy_(moment) if moment.shape == parameter.shape else moment
