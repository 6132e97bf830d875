"""The points that `grainloop reconstruct` starts from: of a file, of a grid, and a file that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from grainloop.cli import main
from grainloop.evaluate.sections.point_source import MOST_BYTES_OF_POINTS, load_points, read_rows
from grainloop.evaluate.sections.scenes import EXACT_POINTS, mount
from grainloop.model.crystal import euler_from_quaternion, multiply, quaternion_from_axis_angle
from grainloop.model.diffusion.training.validation import regular_grid
from grainloop.protocols.errors import BadInput
from tests.grainloop.cli.commands import FIGURES, told
from tests.grainloop.small_maps import chessboard, with_hole


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
    by_file = told(capsys, "reconstruct", specimen, "--points", str(tmp_path / "pixels.csv"))
    by_grid = told(capsys, "reconstruct", specimen, "--points", "grid:0.1")
    assert [by_file[name] for name in FIGURES] == [by_grid[name] for name in FIGURES]


def test_own_measurements_are_taken_as_they_are(
    specimen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    position = regular_grid((48, 60), 0.1)
    right, wrong = (write_csv(tmp_path / f"{turn}.csv", position, turn) for turn in (0.0, 12.0))
    exact = told(capsys, "reconstruct", specimen, "--points", "grid:0.1", "--pl", "none")
    assert (
        told(capsys, "reconstruct", specimen, "--points", right, "--pl", "none")["error_over_5deg"]
        == exact["error_over_5deg"]
    )
    assert told(capsys, "reconstruct", specimen, "--points", wrong, "--pl", "none")["error_over_5deg"] > 0.9


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
    assert "1 point, none of them indexed: there is no map to make." in capsys.readouterr().err


def test_more_points_than_pixels_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("0,0\n" * 1_000_000)
    with pytest.raises(BadInput, match=r"holds 1000000 points, and the map 2880 pixels\."):
        read_rows(path, (48, 60))


def test_a_file_of_points_without_end_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES_OF_POINTS + 1)
    with pytest.raises(BadInput, match="cannot be read: it holds more than"):
        read_rows(path, (48, 60))
