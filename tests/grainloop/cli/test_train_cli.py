"""`grainloop train`: sentences for what cannot be, sittings that go on, a smaller checkpoint, curves, two processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.cli import main
from grainloop.cli.train.curves import draw_curves

TINY = """
checkpoint_s = 3600
log_steps = 1
[examples]
shapes_px = [[32, 32]]
pixels = 2048
[validation]
specimens = 1
shape_px = [32, 32]
shares = [0.25]
real_maps = false
"""
ONE_STEP = ["--hours", "1e-9", "--threads", "1"]
TWO_PROCESSES = """
import hashlib, json, os, signal, sys
from contextlib import contextmanager
import grainloop.cli.train.command as command
from grainloop.cli import main

class Watched(command.Trainer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        made.append(self)

@contextmanager
def stop_the_first_at_three(hours, quiet):
    yield lambda done: signal.raise_signal(signal.SIGINT) if done.step == 3 else None

made, rank = [], os.environ["RANK"]
command.Trainer, command.show_training = Watched, stop_the_first_at_three
code = main(["train", "--config", sys.argv[1], "--out", f"{sys.argv[2]}/{rank}", "--hours", "1", "--threads", "1"])
tensors = made[0].model.state_dict().values(), made[0].average.state_dict().values()
weights = hashlib.sha256(b"".join(t.numpy().tobytes() for group in tensors for t in group)).hexdigest()
with open(f"{sys.argv[2]}/said-{rank}.json", "w") as file:
    json.dump({"code": code, "steps": made[0].step, "weights": weights}, file)
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path / "tiny.toml"


@pytest.fixture(autouse=True, scope="module")
def fonts_are_open(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Matplotlib keeps the font files that it has used open for good."""
    folder = tmp_path_factory.mktemp("curves")
    (folder / "metrics.csv").write_text("step,seconds,name,value\n1,2.0,gate,0.5\n")
    draw_curves(folder / "metrics.csv", folder / "curves.png")


@pytest.fixture(autouse=True)
def threads_as_before() -> Generator[None]:
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def train(config: Path, out: Path, *more: str) -> int:
    return main(["train", "--config", str(config), "--out", str(out), *ONE_STEP, *more])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sed = 1", "sed = 1 cannot be used: there is no such field (known: point_group, seed, "),
        ("[rate]\npeek = 1", "rate.peek = 1 cannot be used: there is no such field (known: rate.peak, "),
        ("examples = 3", "examples = 3 cannot be used: it must be a table."),
        ('seed = "x"', 'seed = "x" cannot be used: input should be a valid integer'),
        ("seed = -1", "seed = -1 cannot be used: it must be 0 or more."),
        ("[rate]\npeak = nan", "rate.peak = NaN cannot be used: it must be above 0."),
        ("[weights]\ngate = -0.5", "weights.gate = -0.5 cannot be used: it must be 0 or more."),
        ("[examples]\nshapes_px = [[30, 32]]", "examples.shapes_px = [[30, 32]] cannot be used: edges must be multip"),
        ("[examples]\ngate_share = 2", "examples.gate_share = 2.0 cannot be used: it must lie between 0 and 1."),
        ("[validation]\nshares = []", "validation.shares = [] cannot be used: give shares above 0 up to 1."),
        ('point_group = "mmm"', 'point_group = "mmm" cannot be used: no embedding for mmm'),
        ('point_group = "622"', 'point_group = "622" cannot be used: its Laue group is 6/mmm; give that.'),
        ('learns = "nothing"', 'learns = "nothing" cannot be used: there are all and free.'),
        ('backbone = "cnn"', 'backbone = "cnn" cannot be used: there are unet and dit.'),
        ("seed =", "is not valid TOML: "),
    ],
)
def test_bad_configurations_are_one_sentence(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "bad.toml", tmp_path / "out"
    config.write_text(text)
    assert train(config, out) == 1
    said = capsys.readouterr()
    assert told in said.err
    assert said.err.startswith("grainloop: ")
    assert said.err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--hours", "0"], "--hours 0 cannot be used: give a number above 0."),
        (["--hours", "1", "--cooldown", "2"], "--cooldown 2 cannot be used: give a number from 0 up to --hours."),
        (["--resume", "--out", "{here}"], "There is no checkpoint in {here} to resume; leave out --resume to begin"),
        (["--config", "{here}/none.toml"], "The configuration {here}/none.toml cannot be read: No such file"),
        (["--from", "{here}/none.safetensors"], "Weights file {here}/none.safetensors cannot be read: No such file or"),
        (["--from", "{here}/x", "--resume"], "--resume goes on with a training and --from begins another: give one of"),
        (["--ship", "{here}"], "There is no best.safetensors in {here} to ship."),
        (["--ship", "{here}/x.safetensors"], "There is no x.safetensors in {here} to ship."),
        (["--compact", "{here}"], "There is no checkpoint.safetensors in {here} to make compact."),
        (["--curves", "{here}"], "There is no metrics.csv in {here} to draw."),
    ],
)
def test_bad_options_are_one_sentence(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *[one.format(here=tmp_path) for one in arguments]]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"grainloop: {told.format(here=tmp_path)}")
    assert list(tmp_path.iterdir()) == []


def test_a_training_is_never_overwritten_and_resumes(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert train(config, out) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {"best.safetensors", "card.json", "card.md", "checkpoint.safetensors", "metrics.csv"}
    assert re.search(r"1 steps, 0\.0\d processor hours in all", capsys.readouterr().out)
    before = (out / "checkpoint.safetensors").read_bytes()
    assert train(config, out) == 1
    assert "holds a training already; add --resume to continue it" in capsys.readouterr().err
    assert (out / "checkpoint.safetensors").read_bytes() == before
    assert main(["train", "--out", str(out), "--resume", *ONE_STEP]) == 0
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert (card["steps"], card["configuration"]["examples"]["pixels"]) == (2, 2048)
    assert card["validation"]["step"] == 2

    config.write_text(TINY.replace("checkpoint_s = 3600", 'point_group = "m-3m"'))
    assert train(config, out, "--resume") == 1
    assert "checkpoint.safetensors is for point group 6/mmm, not m-3m." in capsys.readouterr().err
    config.write_text("clip = 2.0" + TINY)
    assert train(config, out, "--resume") == 0
    assert "From here on clip: 1.0 → 2.0" in capsys.readouterr().err


def test_a_compact_checkpoint_resumes_and_curves_are_drawn(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert train(config, out) == 0
    assert main(["train", "--compact", str(out), "--curves", str(out)]) == 0
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    (out / "checkpoint.safetensors").unlink()
    assert main(["train", "--out", str(out), "--resume", *ONE_STEP]) == 0
    said = capsys.readouterr()
    assert "without the optimiser's moments: not exactly" in said.err
    assert said.out.splitlines()[-1].startswith("2 steps")
    (out / "metrics.csv").write_text("nonsense\n1\n")
    assert main(["train", "--curves", str(out)]) == 1
    assert "metrics.csv is not a metrics file of a training." in capsys.readouterr().err


def test_ctrl_c_saves_and_says_how_to_go_on(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def interrupt_at_two(hours: float, quiet: bool) -> Generator[Callable[..., None]]:
        yield lambda done: signal.raise_signal(signal.SIGINT) if done.step == 2 else None

    monkeypatch.setattr("grainloop.cli.train.command.show_training", interrupt_at_two)
    out = tmp_path / "out"
    assert main(["train", "--config", str(config), "--out", str(out), "--hours", "1", "--threads", "1"]) == 130
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert card["steps"] == 3  # step 2 was over when it was asked, so that one more was finished
    assert f"go on with: grainloop train --out {out} --resume" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_a_terminal_progress_is_a_line_at_the_beginning_and_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    from grainloop.cli.train.progress import show_training
    from grainloop.model.diffusion.training.records import StepReport

    with show_training(2.0) as report:
        for step, ahead_s in ((1, 7200.0), (2, 3600.0), (3, 0.0)):
            report(StepReport(step, 7200.0 - ahead_s, ahead_s, 16, {"gate": 0.25}))
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("step 1 · ")
    assert first.endswith(" examples/s · gate loss 0.2500 · 2.00 h left")
    assert last.startswith("step 3 · ")


def test_cubic_crystals_train_by_the_same_command(config: Path, tmp_path: Path) -> None:
    config.write_text('point_group = "m-3m"' + TINY)
    out = tmp_path / "cubic"
    assert train(config, out) == 0
    assert main(["train", "--out", str(out), "--resume", *ONE_STEP]) == 0
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert (card["point_group"], card["steps"]) == ("m-3m", 2)
    assert 0 <= card["validation"]["val_synth_wrong"] < 1
    names = (out / "metrics.csv").read_text(encoding="utf-8")
    assert ",gate," in names
    assert ",light," not in names


def test_real_maps_are_registered_problems_with_known_answers() -> None:
    from grainloop.evaluate.sections.real_maps import real_cases

    cases = real_cases("6/mmm")
    assert [(case.name, case.share) for case in cases] == [
        (name, share) for name in ("ti64", "mg_twins") for share in (0.0625, 0.021)
    ]
    for case in cases:
        assert case.problem.light is not None
        measured = len(case.problem.points) / case.inside.size
        assert measured == pytest.approx(case.share, rel=0.08)
        at = tuple(case.problem.points.position_px.T)
        same = np.abs((case.problem.points.orientation * case.truth[at]).sum(-1))[case.inside[at]]
        assert same == pytest.approx(1, abs=1e-4)
    assert [(case.name, case.problem.light) for case in real_cases("m-3m")] == [("ni", None)] * 2


def test_a_training_begins_from_weights_and_counts_what_was_before(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from grainloop.model.diffusion.checkpoints.averaged import file_hash

    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    assert train(config, first) == 0
    best = first / "best.safetensors"
    assert main(["train", "--from", str(best), "--out", str(second), *ONE_STEP]) == 0
    before, card = (_card(folder) for folder in (first, second))
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
    card = _card(third)
    assert [one["step"] for one in card["origins"]] == [1, 3]
    assert card["origins"][0] == origin
    assert card["steps"] == 4
    assert train(config, third, "--from", str(best)) == 1
    assert "holds a training already; add --resume" in capsys.readouterr().err


def _card(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


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
    card = _card(tmp_path / "out")
    assert card["steps"] == 1
    assert card["origins"][-1]["file"] == "6-mmm.safetensors"


def test_another_backbone_trains_and_resumes_by_the_same_command(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text('backbone = "dit"' + TINY)
    out = tmp_path / "dit"
    assert train(config, out) == 0
    assert main(["train", "--out", str(out), "--resume", *ONE_STEP]) == 0
    assert (_card(out)["backbone"], _card(out)["steps"]) == ("dit", 2)
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


def test_two_processes_train_one_model_and_one_of_them_writes(config: Path, tmp_path: Path) -> None:
    config.write_text(TINY.replace("specimens = 1", "specimens = 0"))
    (tmp_path / "script.py").write_text(TWO_PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(tmp_path / "script.py"), str(config), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"said-{rank}.json").read_text()) for rank in "01")
    assert first["steps"] == second["steps"] == 4
    assert first["weights"] == second["weights"]
    assert (first["code"], second["code"]) == (130, 130)
    assert (tmp_path / "0" / "checkpoint.safetensors").is_file()
    assert json.loads((tmp_path / "0" / "card.json").read_text(encoding="utf-8"))["processes"] == 2
    assert list((tmp_path / "1").iterdir()) == []
