"""The averaged weights in any file of ours: shipped, best, compact, or a whole checkpoint; and whose they are.

Inference and a training that begins from them read them here. Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from grainloop.model.diffusion.checkpoints.checkpoint import (
    CheckpointError,
    Origin,
    Progress,
    origins_in,
    read_tensors,
    revisions_in,
)
from grainloop.model.diffusion.network.backbone import BACKBONES, DEFAULT
from grainloop.protocols.files import parse_json, sha256_of

FREE_BRANCH = "free_branch."
"""How the names of the tensors of that network of the denoiser begin."""


@dataclass(frozen=True, eq=False)
class Averaged:
    """Averaged weights and what their file says of them.

    Attributes:
        path: of the file.
        sha256: of the file.
        tensors: by the names of the denoiser, float32.
        meta: its metadata.
    """

    path: Path
    sha256: str
    tensors: dict[str, Tensor]
    meta: dict[str, str]

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of their training; empty where the file does not hold it."""
        return cast(dict[str, Any], parse_json(self.meta.get("config", "{}")))

    @property
    def point_group(self) -> str | None:
        """The Laue group they are for, if the file says so."""
        return self.meta.get("point_group") or self.config.get("point_group")

    @property
    def backbone(self) -> str:
        """The backbone they are of."""
        return self.meta.get("backbone") or self.config.get("backbone") or DEFAULT

    def check_fits(self, group: str, backbone: str) -> None:
        """See that they are for a Laue group and of a backbone.

        Raises:
            CheckpointError: they are not.
        """
        if (self.point_group or group) != group:
            raise CheckpointError(f"Weights file {self.path} is for Laue group {self.point_group}, not {group}.")
        if self.backbone != backbone:
            raise CheckpointError(f"Weights file {self.path} has the backbone {self.backbone}, not {backbone}.")

    def load_into(self, module: nn.Module, kept: tuple[str, ...] = ()) -> None:
        """Copy them into a denoiser, except for the buffers named in `kept`.

        Weights from before the free branch had a network of its own leave it as it begins: without effect.

        Raises:
            CheckpointError: they are of another network.
        """
        held = module.state_dict()
        if not any(name.startswith(FREE_BRANCH) for name in self.tensors):
            kept = (*kept, *(name for name in held if name.startswith(FREE_BRANCH)))
        with self.read_as_network():
            module.load_state_dict(self.tensors | {name: held[name] for name in kept})

    @contextmanager
    def read_as_network(self) -> Generator[None]:
        """Tells of tensors that do not fit.

        Raises:
            CheckpointError: they are of another network.
        """
        try:
            yield
        except (KeyError, IndexError, RuntimeError) as error:
            raise CheckpointError(f"Weights file {self.path} belongs to another network.") from error

    def before(self) -> Progress:
        """Where a training stands that begins from them; what the file does not say counts as nothing.

        Raises:
            CheckpointError: the file says something that cannot be.
        """
        try:
            step, seconds, cpu_seconds = int(self._said("step") or 0), self._said("seconds"), self._said("cpu_seconds")
            origin = Origin(self.path.name, self.sha256, step, seconds, cpu_seconds)
            revisions, origins = revisions_in(self.meta), (*origins_in(self.meta), origin)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"Weights file {self.path} does not say where its training stands.") from error
        wall = seconds or 0.0
        return Progress(step, wall, "", wall if cpu_seconds is None else cpu_seconds, revisions, origins)

    def _said(self, name: str) -> float | None:
        """A number in the metadata, if it is there."""
        return float(self.meta[name]) if name in self.meta else None


def read_averaged(path: Path, sha256: str | None = None) -> Averaged:
    """The averaged weights in a file, optionally only if it has the hash expected.

    Raises:
        CheckpointError: the file is missing, altered, no safetensors, or of a backbone that there is not.
    """
    found = file_hash(path)
    if sha256 is not None and found != sha256:
        raise CheckpointError(
            f"Weights file {path} is not the one expected: SHA-256 {found[:12]}…, not {sha256[:12]}…."
        )
    tensors, meta = read_tensors(path)
    averaged = {name.removeprefix("average."): value for name, value in tensors.items() if _is_average(name)}
    weights = Averaged(path, found, {name: _numbers(path, name, value) for name, value in averaged.items()}, meta)
    try:
        backbone = weights.backbone
    except (AttributeError, ValueError) as error:
        raise CheckpointError(f"Weights file {path} holds no valid configuration.") from error
    if backbone not in BACKBONES:
        raise CheckpointError(f"Weights file {path} needs the backbone {backbone}, which this version does not have.")
    return weights


def file_hash(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"Weights file {path} cannot be read: {error.strerror}.") from error


def _numbers(path: Path, name: str, value: Tensor) -> Tensor:
    """A tensor of weights in float32.

    Raises:
        CheckpointError: it holds no weights: it is of another kind, or of values that are no finite numbers.
    """
    if not value.is_floating_point():
        kind = str(value.dtype).removeprefix("torch.")
        raise CheckpointError(f"Weights file {path} holds {name} as {kind}; weights are floating-point numbers.")
    if not torch.isfinite(value.float()).all():
        raise CheckpointError(f"Weights file {path} holds {name} with values that are no numbers (NaN or infinity).")
    return value.float()


def _is_average(name: str) -> bool:
    """Whole checkpoints hold more than the averaged weights."""
    return not name.startswith(("model.", "optimiser."))
