"""`grainloop train`: sentences for what cannot be, sittings that go on, a smaller checkpoint, curves."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from grainloop.cli import main
from tests.grainloop.cli.train.small import ONE_STEP, TINY, train


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
