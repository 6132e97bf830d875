"""`grainloop reconstruct`: what is told and written, and one sentence for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from grainloop.cli import main
from grainloop.evaluate.sections.point_source import load_points
from grainloop.evaluate.sections.scenes import EXACT_POINTS, mount
from grainloop.model.crystal import disorientation_deg
from grainloop.model.diffusion.training.validation import regular_grid
from grainloop.model.maps import read_map
from tests.grainloop.cli.commands import FIGURES, refused, told
from tests.grainloop.small_maps import chessboard, two_phases, written

pytestmark = pytest.mark.usefixtures("fonts_are_open")


def test_json_holds_everything_and_nothing_else_is_printed(specimen: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "reconstruct", specimen, "--points", "grid:0.1", "--pl", "simulate")
    position = regular_grid((48, 60), 0.1)
    assert said["fraction_measured"] == len(position) / (48 * 60)
    assert said["points_measured"] == len(position)
    assert said["pl_used"]
    assert said["method"] == "joint"
    assert (said["weights_sha256"] is None) == any("pl_candidates is used" in note for note in said["degraded"])
    assert said["seconds"] > said["seconds_registration"] > 0
    for row in (said, said["baseline"]["nn"], said["baseline"]["pl_watershed"]):
        assert set(FIGURES) <= set(row)
        assert all(0 <= row[name] <= 1 for name in FIGURES[1:])
    # nearest neighbour is exact but for pixels nearer to a point of another grain
    nearest = np.argmin(((np.indices((48, 60)).reshape(2, -1).T[:, None] - position[None]) ** 2).sum(-1), axis=1)
    grain = np.arange(20).reshape(4, 5).repeat(12, 0).repeat(12, 1)
    wrong = grain[tuple(position[nearest].T)].reshape(48, 60) != grain
    assert said["baseline"]["nn"]["error_over_5deg"] == pytest.approx(wrong.mean(), abs=0.01)


def test_a_map_measured_everywhere_has_no_error(specimen: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "reconstruct", specimen, "--points", "random:1", "--pl", "none")
    assert said["fraction_measured"] == 1
    assert said["error_mean_deg"] < 0.01
    assert [said[name] for name in ("error_over_5deg", "boundary_f1")] == [0, 1]
    assert said["auroc"] is None
    assert not said["pl_used"]
    assert "There is no PL of this section." in said["notes"]


def test_noise_is_put_on_the_points(specimen: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "reconstruct", specimen, "--points", "grid:1", "--pl", "none", "--noise", "2", "--method", "nn")
    assert 1.5 < said["error_mean_deg"] < 2.1  # rms 2°


def test_what_is_written_marks_what_is_inferred(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "reconstruct", specimen, "--points", "grid:0.1", "--samples", "3", "--out", str(tmp_path))
    names = {"reconstruction.ang", "reconstruction.png", "uncertainty.npz", "summary.json"}
    assert {path.name for path in tmp_path.iterdir()} - {"samples.npz"} == names
    found, truth = read_map(tmp_path / "reconstruction.ang"), chessboard()
    at = tuple(regular_grid((48, 60), 0.1).T)
    measured = np.zeros((48, 60), bool)
    measured[at] = True
    assert found.measured is not None
    np.testing.assert_array_equal(found.measured, measured)
    error = disorientation_deg(found.orientation, truth.orientation, "6/mmm")
    assert error[measured].max() < 0.01
    assert np.mean(error > 5) == pytest.approx(said["error_over_5deg"], abs=1e-3)
    with np.load(tmp_path / "uncertainty.npz") as kept:
        np.testing.assert_array_equal(kept["measured"], measured)
        np.testing.assert_allclose(found.confidence[~measured], 1 - kept["p_wrong"][~measured], atol=1e-3)
        np.testing.assert_allclose(found.fit_deg[~measured], kept["expected_error_deg"][~measured], atol=1e-3)
        np.testing.assert_allclose(found.confidence[measured], 0.8, atol=1e-3)
        assert kept["p_wrong"].mean() == pytest.approx(said["predicted_over_5deg"], abs=1e-4)
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == said
    assert imread(tmp_path / "reconstruction.png")[..., :3].std() > 0.1
    if said["samples"]:
        with np.load(tmp_path / "samples.npz") as kept:
            assert kept["orientation"].shape == (3, 48, 60, 4)
            drawn = kept["orientation"][(slice(None), *at)]
        assert np.max(disorientation_deg(drawn, np.broadcast_to(truth.orientation[at], drawn.shape), "6/mmm")) < 0.01


def test_several_phases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(two_phases(), tmp_path / "two.ang")
    said = told(capsys, "reconstruct", name, "--points", "grid:0.25", "--samples", "2", "--out", str(tmp_path / "out"))
    assert said["point_groups"] == ["6/mmm", "m-3m"]
    assert said["pl_used"]
    assert any("of sections of one phase only: 0 of 2" in note for note in said["degraded"])
    assert said["error_over_5deg"] < 0.2
    found = read_map(tmp_path / "out" / "reconstruction.ang")
    assert np.mean(found.phase_id != two_phases().phase_id) <= said["error_over_5deg"]
    (tmp_path / "own.csv").write_text("3,4,10,20,30,2\n15,4,0,0,0,1\n")
    points = load_points(str(tmp_path / "own.csv"), two_phases(), mount(two_phases(), EXACT_POINTS, 0), 0)
    assert points.phase_id.tolist() == [2, 1]


def test_without_json_there_is_a_table(specimen: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", specimen, "--points", "grid:0.1", "--pl", "none"]) == 0
    shown = capsys.readouterr().out
    for word in (
        "joint",
        "nearest",
        "watershed",
        "AUROC",
        "285 points, 9.9% of ti.ang",
        "There is no PL of this section.",
    ):
        assert word in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.ang"], "There is no map file nowhere.ang, and no specimen of that name (known: ti64"),
        (["--points", "grid:0"], "The share 0 cannot be measured: give a share of the pixels above 0 and up to 1."),
        (["--points", "random:1.5"], "The share 1.5 cannot be measured"),
        (["--points", "grid:nan"], "The share nan cannot be measured"),
        (["--points", "grid:some"], "--points grid:some cannot be used: 'some' is not a share of the pixels."),
        (["--points", "none.csv"], "There is no file of points none.csv; --points takes grid:SHARE, random:SHARE or"),
        (["--method", "magic"], "There is no method 'magic'; known are joint, pl_candidates"),
        (["--method", "dps"], "The method 'dps' is made of posterior samples: give --samples 1 or more."),
        (["--samples", "257"], "--samples 257 cannot be used: give a whole number from 0 to 256."),
        (["--samples", "-1"], "--samples -1 cannot be used: give a whole number from 0 to 256."),
        (["--steps", "0"], "--steps 0 cannot be used: give a whole number from 1 to 1000."),
        (["--noise", "nan"], "--noise nan cannot be used: give degrees from 0 to 180."),
        (["--frame", "oblique"], "There is no frame 'oblique'; known are identity, edax-1"),
        (["--pl", "nowhere"], "There is no folder nowhere; --pl takes simulate, none or a folder of images."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], sentence: str, specimen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = [] if arguments[0] == "nowhere.ang" else [specimen]
    assert refused(capsys, "reconstruct", *file, *arguments).startswith(f"grainloop: {sentence}")
