"""Weights are loaded by hash, for their own Laue group, and never from a damaged file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from grainloop.model.diffusion.checkpoints.checkpoint import CheckpointError, read_metadata
from grainloop.model.diffusion.checkpoints.shipped import (
    load_shipped,
    load_weights,
    ship_share,
    ship_weights,
    with_the_gate_of,
)
from grainloop.model.diffusion.network.backbones.dit import DiT
from grainloop.model.diffusion.network.backbones.unet import UNet
from grainloop.model.diffusion.network.state import state_space
from grainloop.model.diffusion.training.trainer import TrainConfig, Trainer, build_denoiser
from grainloop.model.estimate.share import Line, ShareCorrection


def written(folder: Path, group: str = "6/mmm") -> str:
    """Random weights in `folder` with their index; returns the hash."""
    torch.manual_seed(0)
    state = build_denoiser(state_space(group)).state_dict()
    path = folder / "weights.safetensors"
    save_file({name: value.half() for name, value in state.items()}, path, metadata={"point_group": group})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "index.json").write_text(json.dumps({group: {"file": path.name, "sha256": sha256}}))
    return sha256


def test_weights_are_found_by_group_and_named_by_hash(tmp_path: Path) -> None:
    sha256 = written(tmp_path)
    found = load_shipped("6/mmm", tmp_path)
    assert found.sha256 == sha256
    assert found.space.group.name == "6/mmm"
    assert not found.denoiser.training
    assert next(found.denoiser.parameters()).dtype == torch.float32


def test_a_group_without_weights_is_told(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(CheckpointError, match="No trained model for Laue group m-3m"):
        load_shipped("m-3m", tmp_path)


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="not the one expected"):
        load_shipped("6/mmm", tmp_path)


def test_weights_of_another_group_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(CheckpointError, match="is for Laue group 6/mmm, not m-3m"):
        load_weights(tmp_path / "weights.safetensors", "m-3m")


def test_a_checkpoint_ships_as_its_average_in_half_precision(tmp_path: Path) -> None:
    trainer = Trainer(TrainConfig())
    with torch.no_grad():
        for value in trainer.average.parameters():
            value.add_(0.25)
    trainer.save(tmp_path / "checkpoint.safetensors")
    path = ship_weights(tmp_path / "checkpoint.safetensors", "6/mmm", tmp_path)
    assert path.stat().st_size < 20e6
    found = load_shipped("6/mmm", tmp_path).denoiser.state_dict()
    for name, value in trainer.average.state_dict().items():
        assert torch.allclose(found[name], value, atol=2e-3, rtol=1e-3), name


def test_weights_that_differ_in_the_free_branch_alone_have_the_same_gate(tmp_path: Path) -> None:
    trainer, file = Trainer(TrainConfig()), tmp_path / "checkpoint.safetensors"
    trainer.save(file)
    assert with_the_gate_of(file, "6/mmm", tmp_path) is None
    ship_weights(file, "6/mmm", tmp_path)
    shipped = load_shipped("6/mmm", tmp_path)
    with torch.no_grad():
        trainer.average.free_branch.enter.weight.add_(0.25)
    trainer.save(file)
    found = with_the_gate_of(file, "6/mmm", tmp_path)
    assert found is not None
    assert found.sha256 == shipped.sha256
    with torch.no_grad():
        trainer.average.head.weight.add_(0.25)
    trainer.save(file)
    assert with_the_gate_of(file, "6/mmm", tmp_path) is None


def test_the_backbone_and_more_metadata_ship_with_the_weights(tmp_path: Path) -> None:
    trainer = Trainer(TrainConfig(backbone="dit"))
    trainer.save(tmp_path / "checkpoint.safetensors")
    path = ship_weights(tmp_path / "checkpoint.safetensors", "6/mmm", tmp_path, {"note": '{"slope": 1.5}'})
    meta = read_metadata(path)
    assert (meta["backbone"], meta["note"], meta["step"]) == ("dit", '{"slope": 1.5}', "0")
    assert isinstance(load_shipped("6/mmm", tmp_path).denoiser.backbone, DiT)
    with pytest.raises(CheckpointError, match="is for Laue group 6/mmm, not m-3m"):
        ship_weights(path, "m-3m", tmp_path)


def test_weights_of_a_backbone_to_come_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "new.safetensors", metadata={"backbone": "mamba"})
    with pytest.raises(CheckpointError, match="needs the backbone mamba, which this version does not have"):
        load_weights(tmp_path / "new.safetensors", "6/mmm")
    save_file({"x": torch.zeros(1)}, tmp_path / "bad.safetensors", metadata={"config": "no JSON"})
    with pytest.raises(CheckpointError, match="holds no valid configuration"):
        load_weights(tmp_path / "bad.safetensors", "6/mmm")


def test_weights_that_name_no_backbone_are_a_unet(tmp_path: Path) -> None:
    written(tmp_path)
    assert "backbone" not in read_metadata(tmp_path / "weights.safetensors")
    assert isinstance(load_shipped("6/mmm", tmp_path).denoiser.backbone, UNet)


def test_a_correction_lies_beside_the_weights_it_belongs_to(tmp_path: Path) -> None:
    Trainer(TrainConfig()).save(tmp_path / "checkpoint.safetensors")
    ship_weights(tmp_path / "checkpoint.safetensors", "6/mmm", tmp_path)
    assert load_shipped("6/mmm", tmp_path).share is None
    learnt = ShareCorrection(Line(slope=1.2))
    path = ship_share("6/mmm", learnt, tmp_path)
    assert load_shipped("6/mmm", tmp_path).share == learnt
    path.write_text(learnt.to_json("of others"))
    load_shipped.cache_clear()
    with pytest.raises(CheckpointError, match=r"6-mmm\.share\.json: .* belongs to other weights"):
        load_shipped("6/mmm", tmp_path)
    ship_weights(tmp_path / "checkpoint.safetensors", "6/mmm", tmp_path)
    assert not path.exists()
    assert load_shipped("6/mmm", tmp_path).share is None


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda value: value.fill_(float("nan")), "values that are no numbers"),
        (lambda value: value.fill_(float("inf")), "values that are no numbers"),
        (lambda value: value.int(), "as int32; weights are floating-point numbers"),
        (lambda value: value.bool(), "as bool; weights are floating-point numbers"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, made: Callable[[Any], Any], told: str) -> None:
    torch.manual_seed(0)
    state = build_denoiser(state_space("6/mmm")).state_dict()
    name = next(name for name, value in state.items() if value.is_floating_point() and value.ndim)
    path = tmp_path / "weights.safetensors"
    save_file(state | {name: made(state[name].clone())}, path, metadata={"point_group": "6/mmm"})
    with pytest.raises(CheckpointError, match=told) as refused:
        load_weights(path, "6/mmm")
    assert name in str(refused.value)
