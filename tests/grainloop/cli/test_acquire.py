"""`grainloop bench acquire`: one object per map, curves, a table, and one sentence for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from grainloop.cli import main
from grainloop.evaluate.sections.cropping import turned
from tests.grainloop.cli.commands import refused, told
from tests.grainloop.small_maps import chessboard, written

pytestmark = pytest.mark.usefixtures("fonts_are_open")

FIGURES = ("error_mean_deg", "error_over_5deg", "points_measured", "instrument_s", "decision_s", "adjacent_share")
QUICK = ("--method", "pl_candidates", "--seeds", "2")


def test_one_map_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, out = written(chessboard(), tmp_path / "ti.ang"), tmp_path / "out"
    arguments = ("--map", name, "--policy", "grid", "--budget", "0.1", "--batch", "20", "--out", str(out))
    said = told(capsys, "bench", "acquire", *arguments, *QUICK)
    assert (said["map"], said["policy"], said["budget"], said["seeds"]) == (name, "grid", 0.1, 2)
    for figure in FIGURES:
        assert set(said[figure]) == {"mean", "sd"}
        assert said[figure]["mean"] is not None
    assert said["points_measured"] == {"mean": 288, "sd": 0}
    assert said["adjacent_share"]["mean"] == 0
    points = [step["points"]["mean"] for step in said["curve"]]
    assert points == sorted(points)
    assert points[-1] == 288
    assert said["curve"][-1]["error_over_5deg"] == said["error_over_5deg"]
    assert json.loads((out / "acquire.json").read_text(encoding="utf-8")) == said
    assert imread(out / "acquire.png")[..., :3].std() > 0.05


def test_several_maps_are_a_list_and_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [written(chessboard(seed=seed), tmp_path / f"map{seed}.ang") for seed in range(2)]
    arguments = ["bench", "acquire", "--map", ",".join(names), "--noisy", "--pl", "wrong", "--queued", "0", *QUICK]
    assert main([*arguments, "--json"]) == 0
    assert [one["map"] for one in json.loads(capsys.readouterr().out)] == names
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert "0.05 of the pixels, 2 seeds" in table
    assert "map0.ang" in table
    assert "map1.ang" in table


def test_pl_helps_and_pl_of_another_section_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(chessboard(6, 6), tmp_path / "ti.ang")
    wrong = {
        light: told(capsys, "bench", "acquire", "--map", name, "--pl", light, *QUICK)["error_over_5deg"]["mean"]
        for light in ("simulate", "none", "wrong")
    }
    assert wrong["simulate"] < wrong["none"]
    assert wrong["wrong"] < 1.5 * wrong["none"]


def test_a_turned_map_is_the_same_map_upside_down() -> None:
    one = chessboard()
    np.testing.assert_array_equal(turned(one).orientation[0, 0], one.orientation[-1, -1])
    np.testing.assert_array_equal(turned(turned(one)).orientation, one.orientation)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--map", "nowhere.ang"], "There is no map file nowhere.ang, and no specimen of that name (known: ti64"),
        (["--map", ","], "--map is empty: give at least one entry."),
        (["--policy", "magic"], "--policy magic cannot be used: known are "),
        (["--budget", "0"], "In the command line, budget.fraction = 0.0 cannot be used: "),
        (["--budget", "1.5"], "In the command line, budget.fraction = 1.5 cannot be used: "),
        (["--first-pass", "0"], "In the command line, first_pass = 0.0 cannot be used: "),
        (["--exploration", "2"], "In the command line, exploration_share = 2.0 cannot be used: "),
        (["--seeds", "0"], "--seeds 0 cannot be used: give a whole number from 1 to 100."),
        (["--batch", "0"], "--batch 0 cannot be used: give a whole number from 1 to 1000000."),
        (["--queued", "9"], "--queued 9 cannot be used: give a whole number from 0 to 1."),
        (["--method", "magic"], "There is no method 'magic'; known are joint, pl_candidates"),
        (["--pl", "folder"], "--pl folder cannot be used: known are simulate, none, wrong."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, "bench", "acquire", *arguments).startswith(f"grainloop: {sentence}")
