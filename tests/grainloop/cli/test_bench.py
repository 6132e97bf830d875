"""`grainloop bench reconstruct`: rows, pages and pictures of a small map, crops, one sentence for what cannot be."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from grainloop.cli import main
from grainloop.evaluate.cases import NOISE, OURS, WITHOUT, WRONG, cases_of
from grainloop.evaluate.methods import REFERENCES, method_named
from grainloop.evaluate.runs import Row
from grainloop.evaluate.sections.cropping import centre_window, crop_given, crop_map
from grainloop.evaluate.sections.given import solve
from grainloop.evaluate.sections.scenes import Setting, make_scene
from grainloop.model.diffusion.inference.reference import REFERENCE_METHODS
from tests.grainloop.cli.commands import refused, told
from tests.grainloop.small_maps import ZIRCON, chessboard, two_phases, written

pytestmark = pytest.mark.usefixtures("fonts_are_open")


def test_json_pages_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, out = written(chessboard(), tmp_path / "ti.ang"), tmp_path / "out"
    said = told(
        capsys, "bench", "reconstruct", "--maps", name, "--shares", "0.1,0.25", "--seeds", "2", "--out", str(out)
    )
    rows = said["maps"][name]["rows"]
    names = ["nn", "pl_watershed", "pl_candidates", OURS, WITHOUT, WRONG, NOISE]
    assert [(row["case"], row["share"]) for row in rows] == [(case, share) for share in (0.1, 0.25) for case in names]
    by_case = {(row["case"], row["share"]): row["figures"] for row in rows}
    for figures in by_case.values():
        assert len(figures["error_over_5deg"]["per_seed"]) == 2
        mean = figures["error_over_5deg"]["mean"]
        assert mean == pytest.approx(np.mean(figures["error_over_5deg"]["per_seed"]), abs=1e-5)
    assert by_case["nn", 0.1]["error_over_5deg"]["sd"] == 0  # seeds leave exact points alone
    assert by_case["pl_watershed", 0.1]["error_mean_deg"]["sd"] > 0
    assert by_case["pl_candidates", 0.25]["error_mean_deg"]["mean"] < by_case["nn", 0.25]["error_mean_deg"]["mean"]
    assert "centre" not in said["maps"][name]
    assert json.loads((out / "reconstruct.json").read_text(encoding="utf-8")) == said
    page = (out / "reconstruct.md").read_text(encoding="utf-8")
    wrong = 100 * by_case["nn", 0.1]["error_over_5deg"]["mean"]
    assert f"| nn | {wrong:.1f} ± 0.0 |" in page
    assert "PL was taken away. EBSD alone is used." in page
    for picture in ("wrong_pixels.png", "maps_ti_ang.png"):
        assert f"({picture})" in page
        assert imread(out / picture)[..., :3].std() > 0.05


def test_slow_methods_see_the_centre_with_all_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[tuple[int, int], int]] = []

    def sampled(problem: Any, options: Any, report: Any, cancelled: Any) -> Any:
        seen.append((problem.shape, options.members))
        return method_named("nn")(problem, options, report, cancelled)

    monkeypatch.setattr(type(REFERENCE_METHODS["dps"]), "__call__", lambda _, *given: sampled(*given))
    name = written(chessboard(), tmp_path / "ti.ang")
    options = ["--shares", "0.1", "--seeds", "1", "--methods", "nn,dps", "--samples", "3", "--crop", "32"]
    said = told(capsys, "bench", "reconstruct", "--maps", name, *options)["maps"][name]
    assert [row["case"] for row in said["rows"]] == ["nn"]
    assert [row["case"] for row in said["centre"]["rows"]] == ["nn", "dps"]
    assert seen == [((32, 32), 3)]
    assert main(["bench", "reconstruct", "--maps", name, *options]) == 0
    assert "ti.ang, centre of 32 px" in capsys.readouterr().out


def test_the_names_of_the_reference_methods() -> None:
    assert tuple(REFERENCE_METHODS) == REFERENCES
    assert all(method_named(name).name == name for name in REFERENCES)
    assert [case.name for case in cases_of(["nn", "nn", "dps"])] == ["nn", "dps"]


@pytest.mark.parametrize("specimen", [chessboard(), two_phases()], ids=["one phase", "two phases"])
def test_a_crop_holds_the_same_points_and_light(specimen: Any) -> None:
    scene = make_scene(specimen, Setting(share=0.1))
    window = centre_window(specimen.shape_px, 24)
    assert window == (slice(12, 36), slice(18, 42))
    small, truth = crop_given(scene.given, window), crop_map(specimen, window)
    at = tuple(small.points.position_px.T)
    np.testing.assert_array_equal(small.points.orientation, truth.orientation[at])
    np.testing.assert_array_equal(small.measured, scene.given.measured[window])
    for number, problem in small.problems.items():
        whole = scene.given.problems[number]
        assert problem.shape == (24, 24)
        assert (problem.light is None) == (whole.light is None)
        if problem.light is not None and whole.light is not None:
            np.testing.assert_array_equal(problem.light.features, whole.light.features[:, 12:36, 18:42])
    nearest = [solve(one, method_named("nn")).reply.orientation for one in (small, scene.given)]
    np.testing.assert_array_equal(nearest[0][4:-4, 4:-4], nearest[1][window][4:-4, 4:-4])


def test_a_crop_of_everything_changes_nothing() -> None:
    scene = make_scene(chessboard(), Setting(share=0.1))
    whole = crop_given(scene.given, centre_window((48, 60), 100))
    one, other = (solve(given, method_named("pl_candidates")).reply for given in (scene.given, whole))
    assert one == other.model_copy(update={"seconds": one.seconds})


def test_rows_leave_out_what_has_no_answer() -> None:
    row = Row("nn", 0.1, 0.1)
    for value in (0.5, None, 0.7):
        row.add({"auroc": value}, ["said"])
    assert row.mean("auroc") == pytest.approx(0.6)
    assert row.sd("auroc") == pytest.approx(math.sqrt(0.02))
    assert row.degraded == ["said"]
    nothing = Row("nn", 0.1, 0.1, {"auroc": [math.nan]})
    assert math.isnan(nothing.mean("auroc"))
    assert nothing.sd("auroc") == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--maps", "nowhere.ang"], "There is no map file nowhere.ang, and no specimen of that name (known: ti64"),
        (["--maps", ","], "--maps is empty: give at least one entry."),
        (["--shares", "0.1,0"], "--shares 0 cannot be used: give shares of the pixels above 0 and up to 1."),
        (["--shares", "some"], "--shares some cannot be used: give numbers between commas."),
        (["--seeds", "0"], "--seeds 0 cannot be used: give a whole number from 1 to 100."),
        (["--methods", "nn,magic"], "There is no method 'magic'; known are joint, pl_candidates"),
        (["--samples", "0"], "--samples 0 cannot be used: give a whole number from 1 to 256."),
        (["--crop", "3"], "--crop 3 cannot be used: give a whole number from 16 to 100000."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, "bench", "reconstruct", *arguments).startswith(f"grainloop: {sentence}")


def test_a_reference_method_needs_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(two_phases(other=ZIRCON), tmp_path / "two.ang")
    arguments = ["--maps", name, "--methods", "diffpir", "--shares", "0.1", "--seeds", "1", "--samples", "1"]
    assert main(["bench", "reconstruct", *arguments, "--crop", "16"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("grainloop: The method 'diffpir' cannot be used here: No trained model for Laue group ")
    assert error.count("\n") == 1
