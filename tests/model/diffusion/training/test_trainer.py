"""Training: examples are functions of the seed, steps reduce the loss, a checkpoint resumes exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from grainloop.model.diffusion.checkpoints.averaged import file_hash
from grainloop.model.diffusion.checkpoints.checkpoint import (
    CheckpointError,
    Origin,
    Progress,
    compact,
    metadata_of,
    read_progress,
    save_average,
    save_checkpoint,
)
from grainloop.model.diffusion.network.backbone import parameter_count
from grainloop.model.diffusion.network.state import StateSpace, state_space
from grainloop.model.diffusion.training.examples import ExampleConfig, make_batch
from grainloop.model.diffusion.training.schedule import LearningRate, ema_decay
from grainloop.model.diffusion.training.trainer import TrainConfig, Trainer, batches

MAX_PARAMETERS = 6_000_000
MAX_COMPACT_BYTES = 22_000_000
CUBIC = TrainConfig(point_group="m-3m")
OLD = {"step": "7", "seconds": "12.5", "config": '{"point_group": "6/mmm"}'}


def _tensors(number: int, config: TrainConfig) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng([config.seed, number])
    batch = make_batch(rng, state_space(config.point_group), config.examples)
    return {name: torch.from_numpy(value) for name, value in batch.items()}


@pytest.mark.parametrize("group", ["6/mmm", "m-3m"])
def test_batches_depend_on_the_seed_alone(group: str, small: ExampleConfig) -> None:
    space = state_space(group)
    first, second = (make_batch(np.random.default_rng(3), space, small) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert first["x"].shape == (2, space.channels, 32, 32)


def test_a_worker_delivers_what_the_number_says(small: ExampleConfig) -> None:
    config = TrainConfig(examples=small)
    batch = next(batches(config, first=4, stride=1, offset=0, workers=0))
    assert torch.equal(batch["x"], _tensors(4, config)["x"])


def test_measured_pixels_wait_at_their_own_level(space: StateSpace, small: ExampleConfig) -> None:
    batch = make_batch(np.random.default_rng(8), space, ExampleConfig(small.shapes_px, small.pixels, gate_share=1.0))
    sigma = batch["sigma"][:, 0]
    measured = sigma < 1
    nearest = np.take_along_axis(batch["points"][:, :, 0], batch["index"][:, 0].reshape(2, -1).astype(np.int64), 1)
    assert set(np.unique(sigma[~measured])) <= {np.float32(80)}
    assert batch["x"][:, 0][measured] == pytest.approx(nearest.reshape(sigma.shape)[measured])


def test_the_network_is_small_enough_and_learns_one_batch(small: ExampleConfig) -> None:
    config = TrainConfig(examples=small, rate=LearningRate(warmup=1, peak=5e-4))
    trainer, batch = Trainer(config), _tensors(0, config)
    assert parameter_count(trainer.model) < MAX_PARAMETERS
    losses = [trainer.train_step(batch, trainer.model)["loss"] for _ in range(12)]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("backbone", ["unet", "dit"])
def test_a_checkpoint_resumes_exactly(backbone: str, tmp_path: Path, small: ExampleConfig) -> None:
    """With steps so large that moments in another order than their weights would show."""
    config = TrainConfig(examples=small, backbone=backbone, rate=LearningRate(warmup=1, peak=3e-3))
    whole = Trainer(config)
    for number in range(2):
        whole.train_step(_tensors(number, config), whole.model)
    whole.save(tmp_path / "checkpoint.safetensors")
    expected = whole.train_step(_tensors(2, config), whole.model)
    resumed = Trainer(config)
    resumed.resume(tmp_path / "checkpoint.safetensors")
    assert resumed.step == 2
    assert resumed.train_step(_tensors(2, config), resumed.model)["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    for one, other in ((whole.average, resumed.average), (whole.model, resumed.model)):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def test_a_checkpoint_of_another_point_group_is_refused(tmp_path: Path) -> None:
    Trainer(TrainConfig()).save(tmp_path / "hexagonal.safetensors")
    with pytest.raises(CheckpointError, match="is for point group 6/mmm, not m-3m"):
        Trainer(TrainConfig(point_group="m-3m")).resume(tmp_path / "hexagonal.safetensors")


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path, hexagonal, cubic = tmp_path / "mixed.safetensors", Trainer(TrainConfig()), Trainer(CUBIC)
    save_checkpoint(path, cubic.model, cubic.average, cubic.optimiser, hexagonal.progress())
    with pytest.raises(CheckpointError, match="another network"):
        hexagonal.resume(path)


def test_weights_alone_are_no_checkpoint(tmp_path: Path) -> None:
    trainer = Trainer(TrainConfig())
    save_average(tmp_path / "best.safetensors", trainer.average, {"step": "3"})
    with pytest.raises(CheckpointError, match="does not say where its training stands"):
        trainer.resume(tmp_path / "best.safetensors")
    save_average(tmp_path / "best.safetensors", trainer.average, metadata_of(trainer.progress()))
    with pytest.raises(CheckpointError, match="holds averaged weights alone; --from begins a training with them"):
        trainer.resume(tmp_path / "best.safetensors")


def test_checkpoints_without_processor_time_count_their_wall_time(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    save_file({"model.log_tolerance": torch.zeros(())}, path, metadata=OLD)
    assert read_progress(path) == Progress(7, 12.5, '{"point_group": "6/mmm"}', 12.5, ())


def test_a_compact_checkpoint_is_small_and_goes_on_with_warming_moments(tmp_path: Path, small: ExampleConfig) -> None:
    config = TrainConfig(examples=small, rate=LearningRate(warmup=4, peak=5e-4))
    whole, resumed = Trainer(config), Trainer(config)
    for number in range(6):
        whole.train_step(_tensors(number, config), whole.model)
    whole.save(tmp_path / "checkpoint.safetensors")
    compact(tmp_path / "checkpoint.safetensors", tmp_path / "compact.safetensors")
    assert (tmp_path / "compact.safetensors").stat().st_size < MAX_COMPACT_BYTES
    resumed.resume(tmp_path / "compact.safetensors")
    assert resumed.progress() == whole.progress()
    for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4, rtol=1e-3)
    rates = []
    for number in range(6, 11):
        resumed.train_step(_tensors(number, config), resumed.model)
        rates.append(resumed.optimiser.param_groups[0]["lr"] / config.rate.at(number))
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert resumed.step == 11


def test_a_training_begins_from_averaged_weights_with_warming_moments(tmp_path: Path, small: ExampleConfig) -> None:
    config = TrainConfig(examples=small, rate=LearningRate(warmup=4, peak=5e-4))
    before, begun = Trainer(config), Trainer(config)
    for number in range(6):
        before.train_step(_tensors(number, config), before.model)
    before.seconds, before.cpu_seconds, before.revisions = 7.0, 9.0, ((0, "abc"),)
    before.save(tmp_path / "checkpoint.safetensors")
    begun.start_from(tmp_path / "checkpoint.safetensors")
    for network in (begun.model, begun.average):
        for name, value in network.state_dict().items():
            assert torch.equal(value, before.average.state_dict()[name]), name
    found = begun.progress()
    assert (found.step, found.seconds, found.cpu_seconds, found.revisions) == (6, 7.0, 9.0, ((0, "abc"),))
    sha256 = file_hash(tmp_path / "checkpoint.safetensors")
    assert found.origins == (Origin("checkpoint.safetensors", sha256, 6, 7.0, 9.0),)
    begun.train_step(_tensors(6, config), begun.model)
    assert begun.optimiser.param_groups[0]["lr"] == pytest.approx(0.25 * config.rate.at(6))
    begun.save(tmp_path / "begun.safetensors")
    assert read_progress(tmp_path / "begun.safetensors") == begun.progress()


def test_weights_that_say_nothing_begin_a_training_at_its_beginning(tmp_path: Path) -> None:
    trainer = Trainer(TrainConfig())
    save_average(tmp_path / "bare.safetensors", trainer.average, {"point_group": "6/mmm"})
    trainer.start_from(tmp_path / "bare.safetensors")
    sha256 = file_hash(tmp_path / "bare.safetensors")
    assert trainer.progress().origins == (Origin("bare.safetensors", sha256, 0, None, None),)
    assert (trainer.step, trainer.seconds, trainer.cpu_seconds, trainer.revisions) == (0, 0.0, 0.0, ())
    assert torch.equal(trainer.model.sigma_data.flatten(), torch.from_numpy(trainer.space.sigma_data))


def test_weights_of_another_backbone_or_network_begin_nothing(tmp_path: Path) -> None:
    Trainer(TrainConfig()).save(tmp_path / "hexagonal.safetensors")
    with pytest.raises(CheckpointError, match="has the backbone unet, not dit"):
        Trainer(TrainConfig(backbone="dit")).start_from(tmp_path / "hexagonal.safetensors")
    save_file({"stem.weight": torch.zeros(3)}, tmp_path / "other.safetensors", metadata={"step": "3"})
    with pytest.raises(CheckpointError, match="belongs to another network"):
        Trainer(TrainConfig()).start_from(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        Trainer(TrainConfig()).start_from(tmp_path / "none.safetensors")
    state = Trainer(TrainConfig()).average
    save_average(tmp_path / "odd.safetensors", state, {"step": "some"})
    with pytest.raises(CheckpointError, match="does not say where its training stands"):
        Trainer(TrainConfig()).start_from(tmp_path / "odd.safetensors")


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(CheckpointError, match=r"bad\.safetensors"):
        Trainer(TrainConfig()).resume(tmp_path / "bad.safetensors")


def test_schedules() -> None:
    rate = LearningRate(peak=1.0, warmup=10, hold=100)
    assert rate.at(4) == pytest.approx(0.5)
    assert rate.at(400) == pytest.approx(0.5)
    assert rate.at(400, cooldown=0.5) == pytest.approx(0.25)
    assert ema_decay(0) == 0
    assert ema_decay(10_000) == pytest.approx(1 - 1 / 500, rel=1e-3)
