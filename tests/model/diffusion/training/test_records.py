"""The folder of a training: metrics, best weights, card; interrupted and resumed it ends as if it had not stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from grainloop.model.diffusion.checkpoints.checkpoint import read_metadata
from grainloop.model.diffusion.checkpoints.shipped import load_weights
from grainloop.model.diffusion.training import card
from grainloop.model.diffusion.training.examples import ExampleConfig
from grainloop.model.diffusion.training.metrics import last_validation, read_metrics
from grainloop.model.diffusion.training.records import StepReport
from grainloop.model.diffusion.training.sitting import train
from grainloop.model.diffusion.training.trainer import FREE, TrainConfig, Trainer
from grainloop.model.diffusion.training.validation import FREE_SELECTED_BY, SELECTED_BY, ValidationConfig

ALWAYS = ValidationConfig(every_s=0.0)


@pytest.fixture
def config(small: ExampleConfig) -> TrainConfig:
    """One line of metrics and one validation per step; checkpoints at the end alone."""
    return TrainConfig(examples=small, log_steps=1, validation=ALWAYS, checkpoint_s=3600)


def after(steps: int) -> Callable[[], bool]:
    """To be asked once per step: stop after so many."""
    left = iter(range(steps - 1))
    return lambda: next(left, None) is None


def sit(trainer: Trainer, folder: Path, steps: int, values: list[float] | None = None) -> list[StepReport]:
    """A sitting of some steps, interrupted; validation says one of `values` each time."""
    reports, said = list[StepReport](), iter(values or [])
    train(
        trainer,
        folder,
        hours=1.0,
        workers=0,
        report=reports.append,
        validate=(lambda _: {SELECTED_BY: next(said)}) if values else None,
        stop=after(steps),
    )
    return reports


def test_a_training_in_two_sittings_equals_one(tmp_path: Path, config: TrainConfig) -> None:
    whole, begun, resumed = (Trainer(config) for _ in range(3))
    reports = sit(whole, tmp_path / "whole", 4)
    sit(begun, tmp_path / "parts", 2)
    resumed.resume(tmp_path / "parts" / "checkpoint.safetensors")
    sit(resumed, tmp_path / "parts", 2)
    assert [one.step for one in reports] == [1, 2, 3, 4]
    assert all(one.examples == 2 for one in reports)
    for a, b in zip(whole.average.parameters(), resumed.average.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    series = [read_metrics(tmp_path / name / "metrics.csv")["gate"] for name in ("whole", "parts")]
    assert series[0].step == series[1].step == [1, 2, 3, 4]
    assert series[0].value == pytest.approx(series[1].value, rel=1e-4)


def test_where_the_free_branch_learns_alone_its_loss_says_which_weights_are_best(
    tmp_path: Path, config: TrainConfig
) -> None:
    said = iter([0.5, 0.4, 0.6])

    def validate(_: Trainer) -> dict[str, float]:
        return {SELECTED_BY: 0.1, FREE_SELECTED_BY: next(said)}

    train(Trainer(replace(config, learns=FREE)), tmp_path, 1.0, workers=0, stop=after(3), validate=validate)
    meta = read_metadata(tmp_path / "best.safetensors")
    assert (meta["step"], meta[FREE_SELECTED_BY]) == ("2", "0.4")


def test_lines_of_steps_that_were_lost_are_dropped(tmp_path: Path, config: TrainConfig) -> None:
    sit(Trainer(config), tmp_path, 2)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("3,1.0,gate,9\n4,1.5,ga")
    resumed = Trainer(config)
    resumed.resume(tmp_path / "checkpoint.safetensors")
    sit(resumed, tmp_path, 1)
    gate = read_metrics(tmp_path / "metrics.csv")["gate"]
    assert gate.step == [1, 2, 3]
    assert gate.value[-1] != 9


def test_the_best_weights_are_kept_over_sittings(tmp_path: Path, config: TrainConfig) -> None:
    trainer, best = Trainer(config), tmp_path / "best.safetensors"
    sit(trainer, tmp_path, 4, values=[0.5, 0.4, 0.6])
    assert read_metadata(best)["step"] == "2"
    resumed = Trainer(config)
    resumed.resume(tmp_path / "checkpoint.safetensors")
    sit(resumed, tmp_path, 2, values=[0.45])
    assert read_metadata(best)["step"] == "2"
    sit(resumed, tmp_path, 2, values=[0.3])
    assert read_metadata(best)["step"] == str(resumed.step - 1)


def test_the_best_weights_are_the_average_in_half_precision(tmp_path: Path, config: TrainConfig) -> None:
    trainer = Trainer(config)
    train(trainer, tmp_path, hours=1e-9, workers=0, validate=lambda _: {SELECTED_BY: 0.5})
    path = tmp_path / "best.safetensors"
    assert all(value.dtype == torch.float16 for value in load_file(path).values())
    loaded = load_weights(path, "6/mmm").denoiser
    for a, b in zip(trainer.average.parameters(), loaded.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-3, rtol=1e-3)


def test_an_interrupted_training_does_not_wait_for_validation(tmp_path: Path, config: TrainConfig) -> None:
    sit(Trainer(config), tmp_path, 1, values=[0.5])
    assert last_validation(tmp_path / "metrics.csv") == {}
    assert not (tmp_path / "best.safetensors").exists()


def test_the_card_says_where_the_weights_come_from(tmp_path: Path, config: TrainConfig) -> None:
    trainer = Trainer(replace(config, seed=11))
    train(trainer, tmp_path, hours=1e-9, workers=0, validate=lambda _: {SELECTED_BY: 0.25, "val_x_auroc": math.nan})
    told = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert (told["seed"], told["steps"], told["point_group"], told["processes"]) == (11, 1, "6/mmm", 1)
    assert told["validation"] == {"step": 1, SELECTED_BY: 0.25}
    assert told["best"]["step"] == "1"
    assert told["revisions"] == [{"from_step": 0, "revision": card.code_revision()}]
    assert told["configuration"]["examples"]["pixels"] == config.examples.pixels
    assert torch.__version__.startswith(told["libraries"]["torch"])
    assert 0 < trainer.cpu_seconds < 600
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert f"| {SELECTED_BY} | 0.25 |" in text
    assert "| macrozone | 0.3 |" in text


def test_another_revision_is_added_to_the_card(
    tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sit(Trainer(config), tmp_path, 2)
    resumed = Trainer(config)
    resumed.resume(tmp_path / "checkpoint.safetensors")
    monkeypatch.setattr("grainloop.model.diffusion.training.trainer.code_revision", lambda: "another")
    sit(resumed, tmp_path, 1)
    assert [step for step, _ in resumed.revisions] == [0, 2]
    assert resumed.revisions[1][1] == "another"


def test_outside_a_checkout_the_version_stands_for_the_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card, "_ROOT", tmp_path)
    assert card.code_revision.__wrapped__().startswith("grainloop ")
