"""`grainloop reconstruct`: what is measured, read, told and written, and one sentence for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray
from skimage.io import imsave

from controller.cli import main
from controller.cli.bench.scenes import EXACT_POINTS, Setting, make_scene, mount
from controller.cli.light_source import load_light
from controller.cli.point_source import load_points
from controller.figures.panels import ipf_key_image
from model.crystal import disorientation_deg, euler_from_quaternion, multiply, quaternion_from_axis_angle
from model.diffusion.validation import regular_grid
from model.maps import read_map
from protocols.errors import BadInput
from protocols.values import Grid
from tests.controller.small_maps import chessboard, two_phases, with_hole, written

ERRORS = ("error_mean_deg", "error_over_5deg", "boundary_f1")
FIGURES = (*ERRORS, "auroc", "coverage90", "predicted_over_5deg")
GRID = Grid(shape_px=(30, 40), step_um=0.5)


@pytest.fixture(autouse=True, scope="module")
def fonts_are_open() -> None:
    """Matplotlib keeps the font files that it has used open for good."""
    ipf_key_image("6/mmm")


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(chessboard(), tmp_path_factory.mktemp("maps") / "ti.ang")


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["reconstruct", *arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_json_holds_everything_and_nothing_else_is_printed(specimen: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, specimen, "--points", "grid:0.1", "--pl", "simulate")
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
    said = told(capsys, specimen, "--points", "random:1", "--pl", "none")
    assert said["fraction_measured"] == 1
    assert said["error_mean_deg"] < 0.01
    assert [said[name] for name in ("error_over_5deg", "boundary_f1")] == [0, 1]
    assert said["auroc"] is None
    assert not said["pl_used"]
    assert "There is no PL of this section." in said["notes"]


def test_noise_is_put_on_the_points(specimen: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, specimen, "--points", "grid:1", "--pl", "none", "--noise", "2", "--method", "nn")
    assert 1.5 < said["error_mean_deg"] < 2.1  # rms 2°


def write_csv(path: Path, position: NDArray[np.int32], turn_deg: float) -> str:
    truth = chessboard()
    turn = quaternion_from_axis_angle(np.array([0.0, 1.0, 0.0]), np.array(np.deg2rad(turn_deg)))
    turned = multiply(turn, truth.orientation[tuple(position.T)].astype(np.float64))
    rows = np.concatenate([position, np.rad2deg(euler_from_quaternion(turned))], axis=1)
    np.savetxt(path, rows, fmt="%d,%d,%.4f,%.4f,%.4f", header="row,column,phi1,Phi,phi2", comments="")
    return str(path)


def test_pixels_of_a_file_are_those_of_the_grid(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    position = regular_grid((48, 60), 0.1)
    listed = "\n".join(f"{row},{column}" for row, column in position)
    (tmp_path / "pixels.csv").write_text(f"# chosen by hand\nrow,column\n{listed}\n\n")
    by_file = told(capsys, specimen, "--points", str(tmp_path / "pixels.csv"))
    by_grid = told(capsys, specimen, "--points", "grid:0.1")
    assert [by_file[name] for name in FIGURES] == [by_grid[name] for name in FIGURES]


def test_own_measurements_are_taken_as_they_are(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    position = regular_grid((48, 60), 0.1)
    right, wrong = (write_csv(tmp_path / f"{turn}.csv", position, turn) for turn in (0.0, 12.0))
    exact = told(capsys, specimen, "--points", "grid:0.1", "--pl", "none")
    assert told(capsys, specimen, "--points", right, "--pl", "none")["error_over_5deg"] == exact["error_over_5deg"]
    assert told(capsys, specimen, "--points", wrong, "--pl", "none")["error_over_5deg"] > 0.9


def test_points_that_are_not_indexed_stay_so(tmp_path: Path) -> None:
    holed = with_hole(chessboard(), slice(0, 12), slice(0, 12))
    points = load_points("grid:1", holed, mount(holed, EXACT_POINTS, 0), 0)
    at = tuple(points.position_px.T)
    np.testing.assert_array_equal(points.indexed, holed.indexed[at])
    np.testing.assert_array_equal(points.orientation[points.indexed], holed.orientation[at][points.indexed])
    np.testing.assert_array_equal(points.confidence, holed.confidence[at])
    (tmp_path / "own.csv").write_text("3,4,10,20,30\n5,6,,,\n")
    own = load_points(str(tmp_path / "own.csv"), holed, mount(holed, EXACT_POINTS, 0), 0)
    assert own.indexed.tolist() == [True, False]
    assert own.phase_id.tolist() == [1, 0]


def test_what_is_written_marks_what_is_inferred(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, specimen, "--points", "grid:0.1", "--samples", "3", "--out", str(tmp_path))
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
    said = told(capsys, name, "--points", "grid:0.25", "--samples", "2", "--out", str(tmp_path / "out"))
    assert said["point_groups"] == ["6/mmm", "m-3m"]
    assert said["pl_used"]
    assert any("Laue group m-3m" in note for note in said["degraded"])
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
    assert main(["reconstruct", *file, *arguments, "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"grainloop: {sentence}")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("row,column\n3,4\n5,x\n", "line 3: 'x' is not a number."),
        ("3,4\n48,2\n", "line 2: the pixel (48, 2) lies outside the map of 48×60 px."),
        ("3,4\n-1,2\n", "line 2: the pixel (-1, 2) lies outside the map of 48×60 px."),
        ("row,col\n1,2\n", "line 1: the columns are row,col; rows are row,column or row,column,phi1,Phi,phi2[,phase]."),
        ("3,4,1,2\n", "line 1: 4 columns; rows are row,column or"),
        ("\n1,2\n1,2,3,4,5\n", "line 3: 5 columns, 2 in the first row."),
        ("1.5,2\n", "line 1: row and column are whole numbers, not 1.5, 2."),
        ("1,2,10,,20\n", "line 1: an Euler angle is missing; leave out all three where a point was not indexed."),
        ("1,2,1,2,3,7\n", "line 1: phase 7; the map has the phases 1."),
        ("1,2,1,inf,3\n", "line 1: 'inf' is not a number."),
    ],
)
def test_a_bad_row_is_named(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        load_points(str(path), chessboard(), mount(chessboard(), EXACT_POINTS, 0), 0)
    assert str(caught.value).startswith(f"The file of points {path}, {fault}")


@pytest.mark.parametrize(("text", "fault"), [("", "holds no points."), ("row,column\n", "holds no points.")])
def test_a_file_without_points(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(BadInput, match=fault):
        load_points(str(tmp_path / "points.csv"), chessboard(), mount(chessboard(), EXACT_POINTS, 0), 0)


def test_none_indexed_is_refused(specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "points.csv").write_text("1,2,,,\n")
    assert main(["reconstruct", specimen, "--points", str(tmp_path / "points.csv")]) == 1
    assert "None of the 1 points is indexed: there is no map to make." in capsys.readouterr().err


def save(path: Path, values: NDArray[Any]) -> None:
    imsave(path, values, check_contrast=False)


def test_a_folder_of_images_is_as_good_as_the_camera(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    light = make_scene(chessboard(), Setting()).light
    assert light is not None
    (tmp_path / "notes.txt").write_text("not an image")
    for angle, image in zip(light.angles_deg, light.images, strict=True):
        save(tmp_path / f"ti_PL-2024_{angle:03.0f}deg.tif", (image * 65535).round().astype(np.uint16))
    read = load_light(tmp_path, Grid(shape_px=(48, 60), step_um=0.5), None)
    assert read.angles_deg == light.angles_deg
    assert read.pixel_um == light.pixel_um
    np.testing.assert_allclose(read.images, light.images, atol=1e-5)
    by_folder = told(capsys, specimen, "--points", "grid:0.1", "--pl", str(tmp_path))
    by_camera = told(capsys, specimen, "--points", "grid:0.1")
    assert by_folder["pl_used"]
    assert by_folder["notes"][0].startswith("PL: 18 images of 48×60 px of 0.5 µm at the stage angles 0, 10, 20,")
    assert by_folder["error_over_5deg"] == pytest.approx(by_camera["error_over_5deg"], abs=0.01)


def test_names_and_kinds_of_images(tmp_path: Path) -> None:
    image = np.arange(1200, dtype=np.uint8).reshape(30, 40)
    names = {"pl_010.png": 10, "pl-020.png": 20, "pl_-30.png": -30, "a=45.5°.png": 45.5, "n_3_70deg.png": 70}
    for name in names:
        save(tmp_path / name, np.stack([image] * 4, axis=-1))  # a grey camera that saves in colour, opaque
    read = load_light(tmp_path, GRID, 0.25)
    assert read.angles_deg == tuple(sorted(names.values()))
    assert read.pixel_um == 0.25
    np.testing.assert_allclose(read.images[0], image / 255, atol=1e-6)


def test_one_colour_image(tmp_path: Path) -> None:
    image = np.zeros((15, 20, 3), np.uint8)
    image[..., 1] = 51
    save(tmp_path / "colour.png", image)
    read = load_light(tmp_path, GRID, None)
    assert (read.kind, read.pixel_um) == ("rgb", 1.0)
    assert np.unique(read.images[1]) == pytest.approx([0.2])
    assert not read.images[[0, 2]].any()


GREY = np.zeros((5, 6), np.uint8)
BAD_FOLDERS: list[tuple[dict[str, Any], str]] = [
    ({}, "The folder {0} holds no image (.png"),
    ({"a_1.png": GREY}, "The only PL image {0}/a_1.png is grey: a stack of stage angles or one RGB image is needed."),
    ({"a.png": GREY, "b_1.png": GREY}, "The name of the PL image {0}/a.png holds no stage angle, such as pl_010.png."),
    ({"a_0.png": GREY, "b_0.png": GREY}, "a_0.png and b_0.png in {0} are both of the stage angle 0°."),
    ({"a_0.png": GREY, "b_9.png": GREY[1:]}, "The PL image {0}/b_9.png has 4×6 px, a_0.png has 5×6."),
    ({"a_0.png": b"nonsense"}, "The PL image {0}/a_0.png cannot be read as an image."),
    ({"a_0.tif": np.zeros((7, 5, 6), np.uint8)}, "The PL image {0}/a_0.tif is an array of 7×5×6, not one image."),
]


@pytest.mark.parametrize(("files", "sentence"), BAD_FOLDERS)
def test_a_bad_folder_is_one_sentence(files: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            save(tmp_path / name, content)
    with pytest.raises(BadInput) as caught:
        load_light(tmp_path, GRID, None)
    assert str(caught.value).startswith(sentence.format(tmp_path))


def test_angles_that_tell_nothing_are_refused(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for angle in (0, 90):
        save(tmp_path / f"pl_{angle}.png", np.full((48, 60), 9, np.uint8))
    assert main(["reconstruct", specimen, "--pl", str(tmp_path), "--json"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"grainloop: The folder {tmp_path} cannot be used. PL is not used: PL cannot be fitted")
    assert error.count("\n") == 1
