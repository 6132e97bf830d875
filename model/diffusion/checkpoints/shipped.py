"""Trained weights for inference: found by Laue group, checked against their hash, never unpickled.

Which files ship is said by `model.weights`; how weights come about is `training`'s affair.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import torch

from grainloop.model.diffusion.checkpoints.averaged import FREE_BRANCH, Averaged, file_hash, read_averaged
from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError, halved, write_tensors
from grainloop.model.diffusion.network.denoiser import Denoiser
from grainloop.model.diffusion.network.state import StateSpace, state_space
from grainloop.model.estimate.calibration import Calibration, CalibrationError, read_calibration
from grainloop.model.estimate.share import ShareCorrection, ShareError, read_share_correction
from grainloop.model.weights import FOLDER, WeightsFile, WeightsIndexError, weights_files, weights_path
from grainloop.protocols.files import parse_json, read_text, write_text

CALIBRATION = "calibration"
"""Metadata entry of a weights file that holds `Calibration.to_json`."""
SHARE = "share.json"
"""File beside shipped weights that holds `ShareCorrection.to_json`."""


@dataclass(frozen=True)
class Weights:
    """A trained denoiser, ready for inference.

    Attributes:
        denoiser: in evaluation mode.
        space: channel layout it was trained for.
        sha256: of the file, which names it in every output.
        calibration: of what it claims, if the file holds one.
        share: how the share of wrong pixels of a section follows from its doubt, if that was learnt.
    """

    denoiser: Denoiser
    space: StateSpace
    sha256: str
    calibration: Calibration | None = None
    share: ShareCorrection | None = None


@cache
def load_shipped(group: str, folder: Path = FOLDER) -> Weights:
    """The weights for a Laue group.

    Raises:
        CheckpointError: there are none, or the file is missing, altered or of another network.
    """
    try:
        entry = weights_files(folder).get(group)
    except WeightsIndexError as error:
        raise CheckpointError(str(error)) from error
    if entry is None:
        raise CheckpointError(f"No trained model for Laue group {group} is installed.")
    return replace(load_weights(entry.path, group, entry.sha256), share=_share(entry))


def load_weights(path: Path, group: str, sha256: str | None = None) -> Weights:
    """Weights of any file, optionally only if it has the hash expected.

    Raises:
        CheckpointError: the file is missing, altered or of another network.
    """
    return _inference(read_averaged(path, sha256), group)


def load_uncalibrated(path: Path, group: str) -> Weights:
    """Weights of any file without the calibration that it may hold, which is not read.

    Raises:
        CheckpointError: the file is missing, altered or of another network.
    """
    return _uncalibrated(read_averaged(path), group)


def _inference(found: Averaged, group: str) -> Weights:
    return replace(_uncalibrated(found, group), calibration=_calibration(found))


def _uncalibrated(found: Averaged, group: str) -> Weights:
    """A denoiser with the weights found."""
    found.check_fits(group, found.backbone)
    space = state_space(group)
    denoiser = Denoiser(torch.from_numpy(space.sigma_data), space.light_channels, found.backbone)
    found.load_into(denoiser)
    return Weights(denoiser.eval().requires_grad_(False), space, found.sha256)


def _calibration(found: Averaged) -> Calibration | None:
    text = found.meta.get(CALIBRATION)
    try:
        return None if text is None else read_calibration(text)
    except CalibrationError as error:
        raise CheckpointError(f"Weights file {found.path}: {error}") from error


def _share(entry: WeightsFile) -> ShareCorrection | None:
    path = entry.beside(SHARE)
    try:
        return read_share_correction(read_text(path), entry.sha256) if path.exists() else None
    except (OSError, ShareError) as error:
        raise CheckpointError(f"File {path}: {error}") from error


def with_the_gate_of(source: Path, group: str, folder: Path = FOLDER) -> Weights | None:
    """The weights that ship for a group if they differ from those in a file in nothing but the free branch.

    Their claims are then those of the others: what the gate says does not depend on that branch.

    Raises:
        CheckpointError: the file is missing, damaged or of another group or network.
    """
    candidate = _uncalibrated(read_averaged(source), group).denoiser.state_dict()
    try:
        shipped = load_shipped(group, folder)
    except CheckpointError:
        return None
    held = shipped.denoiser.state_dict()
    same = all(
        torch.equal(value.half(), held[name].half())
        for name, value in candidate.items()
        if not name.startswith(FREE_BRANCH)
    )
    return shipped if same else None


def ship_share(group: str, correction: ShareCorrection, folder: Path = FOLDER) -> Path:
    """Write a correction beside the shipped weights whose doubt it corrects."""
    entry = weights_files(folder)[group]
    path = entry.beside(SHARE)
    write_text(path, correction.to_json(entry.sha256) + "\n")
    load_shipped.cache_clear()
    return path


def ship_weights(
    source: Path, group: str, folder: Path = FOLDER, extra: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """Write the averaged weights of a file to `folder` in half precision, and name them in its index.

    A correction beside earlier weights of the group belongs to those and is removed.

    Args:
        source: best weights, or a whole or compact checkpoint.
        group: Laue group that they are for.
        folder: where weights are looked for.
        extra: more metadata for the file, as JSON text or other; it overrules that of `source`.

    Raises:
        CheckpointError: the file is missing, damaged or of another group or network.
    """
    found = read_averaged(source)
    half = halved(_uncalibrated(found, group).denoiser.state_dict())
    meta = found.meta | {"point_group": group, "backbone": found.backbone} | dict(extra)
    path = weights_path(group, folder)
    write_tensors(path, half, meta)
    path.with_name(f"{path.stem}.{SHARE}").unlink(missing_ok=True)
    index = folder / "index.json"
    entries = parse_json(read_text(index)) if index.exists() else {}
    entries[group] = {"file": path.name, "sha256": file_hash(path)}
    write_text(index, json.dumps(entries, indent=2) + "\n")
    weights_files.cache_clear()
    load_shipped.cache_clear()
    return path
