"""Trained weights for inference: found by Laue group, checked against their hash, never unpickled.

Which files ship is said by `model.weights`; how weights come about is `training`'s affair.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.diffusion.checkpoint import CheckpointError, read_tensors
from model.diffusion.denoiser import Denoiser
from model.diffusion.state import StateSpace, state_space
from model.weights import FOLDER, weights_files


@dataclass(frozen=True)
class Weights:
    """A trained denoiser, ready for inference.

    Attributes:
        denoiser: in evaluation mode.
        space: channel layout it was trained for.
        sha256: of the file, which names it in every output.
    """

    denoiser: Denoiser
    space: StateSpace
    sha256: str


@cache
def load_shipped(group: str, folder: Path = FOLDER) -> Weights:
    """The weights for a Laue group.

    Raises:
        CheckpointError: there are none, or the file is missing, altered or of another network.
    """
    entry = weights_files(folder).get(group)
    if entry is None:
        raise CheckpointError(f"No trained model for Laue group {group} is installed.")
    return load_weights(entry.path, group, entry.sha256)


def load_weights(path: Path, group: str, sha256: str | None = None) -> Weights:
    """Weights of any file, optionally only if it has the hash expected.

    Raises:
        CheckpointError: the file is missing, altered or of another network.
    """
    found = file_hash(path)
    if sha256 is not None and found != sha256:
        raise CheckpointError(
            f"Weights file {path} is not the one expected: SHA-256 {found[:12]}…, not {sha256[:12]}…."
        )
    tensors, meta = read_tensors(path)
    if meta.get("point_group", group) != group:
        raise CheckpointError(f"Weights file {path} is for Laue group {meta['point_group']}, not {group}.")
    space = state_space(group)
    denoiser = Denoiser(torch.from_numpy(space.sigma_data), space.light_channels)
    averaged = {name.removeprefix("average."): value.float() for name, value in tensors.items() if _is_average(name)}
    try:
        denoiser.load_state_dict(averaged)
    except RuntimeError as error:
        raise CheckpointError(f"Weights file {path} belongs to another network than that for {group}.") from error
    return Weights(denoiser.eval().requires_grad_(False), space, found)


def ship_weights(checkpoint: Path, group: str, folder: Path = FOLDER) -> Path:
    """Write the averaged weights of a checkpoint to `folder` in half precision, and name them in its index.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
    """
    trained = load_weights(checkpoint, group)
    _, meta = read_tensors(checkpoint)
    path = folder / f"{group.replace('/', '-')}.safetensors"
    half = {name: value.half().contiguous() for name, value in trained.denoiser.state_dict().items()}
    save_file(half, path, metadata=meta | {"point_group": group})
    path.chmod(0o644)
    index = folder / "index.json"
    entries = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    entries[group] = {"file": path.name, "sha256": file_hash(path)}
    index.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    return path


def file_hash(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"Weights file {path} cannot be read: {error.strerror}.") from error


def _is_average(name: str) -> bool:
    """Whole checkpoints hold more than the averaged weights."""
    return not name.startswith(("model.", "optimiser."))
