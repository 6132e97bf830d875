"""Trainings that begin from weights, have another backbone, or are shipped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from grainloop.cli import main
from tests.grainloop.cli.train.small import ONE_STEP, TINY, card_of, train


def test_a_training_begins_from_weights_and_counts_what_was_before(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from grainloop.model.diffusion.checkpoints.averaged import file_hash

    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    assert train(config, first) == 0
    best = first / "best.safetensors"
    assert main(["train", "--from", str(best), "--out", str(second), *ONE_STEP]) == 0
    before, card = (card_of(folder) for folder in (first, second))
    assert card["configuration"] == before["configuration"]
    assert card["steps"] == 2
    assert card["wall_hours"] >= before["wall_hours"]
    (origin,) = card["origins"]
    assert (origin["file"], origin["sha256"], origin["step"]) == ("best.safetensors", file_hash(best), 1)
    text = (second / "card.md").read_text(encoding="utf-8")
    assert re.search(
        r"\| 1\. best\.safetensors \| step 1, 0\.\d\d h processor time, 0\.\d\d h wall time, SHA-256 [0-9a-f]{64} \|",
        text,
    )
    assert main(["train", "--out", str(second), "--resume", *ONE_STEP]) == 0
    assert main(["train", "--from", str(second / "checkpoint.safetensors"), "--out", str(third), *ONE_STEP]) == 0
    card = card_of(third)
    assert [one["step"] for one in card["origins"]] == [1, 3]
    assert card["origins"][0] == origin
    assert card["steps"] == 4
    assert train(config, third, "--from", str(best)) == 1
    assert "holds a training already; add --resume" in capsys.readouterr().err


def test_weights_of_another_network_begin_nothing(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from grainloop.model.weights import weights_files

    config.write_text('backbone = "dit"' + TINY)
    path = weights_files()["6/mmm"].path
    assert train(config, tmp_path / "out", "--from", str(path)) == 1
    assert capsys.readouterr().err == f"grainloop: Weights file {path} has the backbone unet, not dit.\n"
    assert not (tmp_path / "out").exists()


def test_weights_of_another_point_group_begin_a_training_that_counts_anew(config: Path, tmp_path: Path) -> None:
    from grainloop.model.weights import weights_files

    config.write_text('point_group = "m-3m"' + TINY)
    assert train(config, tmp_path / "out", "--from", str(weights_files()["6/mmm"].path)) == 0
    card = card_of(tmp_path / "out")
    assert card["steps"] == 1
    assert card["origins"][-1]["file"] == "6-mmm.safetensors"


def test_another_backbone_trains_and_resumes_by_the_same_command(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text('backbone = "dit"' + TINY)
    out = tmp_path / "dit"
    assert train(config, out) == 0
    assert main(["train", "--out", str(out), "--resume", *ONE_STEP]) == 0
    assert (card_of(out)["backbone"], card_of(out)["steps"]) == ("dit", 2)
    config.write_text(TINY)
    assert train(config, out, "--resume") == 1
    assert "checkpoint.safetensors has the backbone dit, not unet." in capsys.readouterr().err
    assert main(["train", "--from", str(out / "best.safetensors"), "--out", str(tmp_path / "next"), *ONE_STEP]) == 0


def test_a_training_ships_with_its_card_and_curves(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from grainloop.cli.train import outputs as train_outputs
    from grainloop.model.diffusion.checkpoints.shipped import load_shipped
    from grainloop.model.weights import weights_files

    out, package = tmp_path / "out", tmp_path / "package"
    package.mkdir()
    config.write_text('backbone = "dit"' + TINY)
    assert train(config, out) == 0
    train_outputs.ship(out, package, specimens=2, runs=1)
    names = {path.name for path in package.iterdir()}
    beside = {f"6-mmm.{name}" for name in ("card.json", "card.md", "curves.png", "metrics.csv", "share.json")}
    assert names == beside | {"6-mmm.safetensors", "index.json"}
    shipped = weights_files(package)["6/mmm"]
    card = json.loads(shipped.beside("card.json").read_text(encoding="utf-8"))
    assert {"seed", "revisions", "recipe_weights", "cpu_hours", "origins"} <= set(card)
    assert (card["shipped"]["sha256"], card["shipped"]["from"]) == (shipped.sha256, "best.safetensors")
    assert f"| sha256 | {shipped.sha256} |" in shipped.beside("card.md").read_text(encoding="utf-8")
    loaded = load_shipped("6/mmm", package)
    assert loaded.sha256 == shipped.sha256
    assert loaded.calibration is not None
    assert loaded.share is not None
    assert "Calibrating" in capsys.readouterr().out

    monkeypatch.setattr(train_outputs, "MAX_METRICS_BYTES", 10)
    train_outputs.ship(out / "checkpoint.safetensors", package, specimens=2, runs=1)
    assert not shipped.beside("metrics.csv").exists()
    again = weights_files(package)["6/mmm"]
    assert load_shipped("6/mmm", package).sha256 == again.sha256
    card = json.loads(again.beside("card.json").read_text(encoding="utf-8"))
    assert card["shipped"]["from"] == "checkpoint.safetensors"

    before = {path.name: path.read_bytes() for path in package.iterdir()}
    (out / "card.json").write_text("[]")
    capsys.readouterr()
    assert main(["train", "--ship", str(out)]) == 1
    assert capsys.readouterr().err == f"grainloop: {out / 'card.json'} is not the card of a training.\n"
    assert {path.name: path.read_bytes() for path in package.iterdir()} == before
