"""The network of the free branch: begins without effect, learns alone, and leaves the gate as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from grainloop.model.diffusion.checkpoints.averaged import FREE_BRANCH
from grainloop.model.diffusion.checkpoints.checkpoint import read_tensors
from grainloop.model.diffusion.checkpoints.shipped import load_uncalibrated
from grainloop.model.diffusion.network.denoiser import Denoised, Denoiser
from grainloop.model.diffusion.network.free_branch import detail_of
from grainloop.model.diffusion.network.state import StateSpace, state_space
from grainloop.model.diffusion.training.examples import ExampleConfig, make_batch, unpack
from grainloop.model.diffusion.training.losses import LossWeights
from grainloop.model.diffusion.training.trainer import FREE, TrainConfig, Trainer, build_denoiser
from grainloop.model.diffusion.training.validation import FREE_SELECTED_BY, validate_free
from grainloop.model.weights import weights_files
from tests.model.diffusion.conftest import SEED

ALONE = LossWeights(gate=0, mixture=0, free=1, light=0, boundary=0, wrong=0)


@pytest.fixture
def config(small: ExampleConfig) -> TrainConfig:
    return TrainConfig(learns=FREE, weights=ALONE, examples=replace(small, gate_share=0.0, prior_share=1.0))


def batch_of(config: TrainConfig) -> dict[str, torch.Tensor]:
    drawn = make_batch(np.random.default_rng(SEED), state_space(config.point_group), config.examples)
    return {name: torch.from_numpy(value) for name, value in drawn.items()}


def said(denoiser: Denoiser, config: TrainConfig, *, corrected: bool = True) -> Denoised:
    with torch.inference_mode():
        return denoiser(unpack(batch_of(config))[0], corrected=corrected)


@pytest.mark.parametrize("group", ["6/mmm", "m-3m"])
def test_it_begins_without_effect(group: str, config: TrainConfig) -> None:
    config = replace(config, point_group=group)
    denoiser = build_denoiser(state_space(group))
    with torch.no_grad():
        denoiser.head.weight.normal_(0, 0.1)
    assert torch.equal(said(denoiser, config).free, said(denoiser, config, corrected=False).free)


def test_alone_it_learns_and_the_gate_stays(config: TrainConfig) -> None:
    trainer = Trainer(config)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    batch = batch_of(config)
    losses = [trainer.train_step(batch, trainer.model) for _ in range(12)]
    assert set(losses[0]) == {"free", "loss", "grad_norm"}
    assert losses[-1]["free"] < losses[0]["free"]
    changed = {name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(FREE_BRANCH) for name in changed)


def test_a_checkpoint_of_it_alone_resumes(tmp_path: Path, config: TrainConfig) -> None:
    trainer, resumed = Trainer(config), Trainer(config)
    batch = batch_of(config)
    trainer.train_step(batch, trainer.model)
    trainer.save(tmp_path / "checkpoint.safetensors")
    resumed.resume(tmp_path / "checkpoint.safetensors")
    for one in (trainer, resumed):
        one.train_step(batch, one.model)
    for a, b in zip(trainer.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_weights_without_it_say_what_they_said(tmp_path: Path, config: TrainConfig) -> None:
    tensors, meta = read_tensors(weights_files()["6/mmm"].path)
    old = {name: value for name, value in tensors.items() if not name.startswith(FREE_BRANCH)}
    save_file(old, tmp_path / "old.safetensors", metadata={"point_group": meta["point_group"]})
    found = load_uncalibrated(tmp_path / "old.safetensors", "6/mmm").denoiser
    assert torch.equal(said(found, config).free, said(found, config, corrected=False).free)


def test_detail_is_the_departure_from_the_surroundings_in_noise_levels() -> None:
    flat, one = torch.full((1, 2, 5, 6), 0.7), torch.zeros(1, 1, 5, 5)
    assert detail_of(flat, torch.ones(())).abs().max() < 1e-6
    one[0, 0, 2, 2] = 0.09
    found = detail_of(one, torch.tensor(0.1))
    assert found[0, 0, 2, 2].item() == pytest.approx(np.tanh(0.9 * 8 / 9))
    assert found[0, 0, 1, 1].item() == pytest.approx(np.tanh(-0.9 / 9))
    assert found[0, 0, 0, 0].item() == 0


def test_validation_tries_it_on_the_same_states_every_time(space: StateSpace, small: ExampleConfig) -> None:
    denoiser = build_denoiser(space)
    found = validate_free(denoiser, space, small)
    assert found == validate_free(denoiser, space, replace(small, gate_share=0.3))
    with torch.no_grad():
        cast(torch.Tensor, denoiser.free_branch.leave.bias).fill_(3.0)
    assert validate_free(denoiser, space, small)[FREE_SELECTED_BY] > found[FREE_SELECTED_BY]
