"""Figures of a session are drawn whatever it lacks: truth, PL, reconstructions, evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from grainloop.controller.figures import write_figures
from grainloop.controller.figures.evidence import (
    MOST_OF_A_BATCH,
    MOST_POINTS,
    evidence_sheet,
    free_corner,
    lines_of,
    most_promising,
)
from grainloop.controller.figures.panels import number_points, scatter_reasons
from grainloop.controller.figures.sheets import uncertainty_sheet
from grainloop.controller.figures.style import Corner, house_style, round_length_um
from grainloop.controller.figures.summary import GridBaseline, score
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import Requested, Session, load_session
from grainloop.model.maps import MapPhase, OrientationMap
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import Grid
from tests.controller.fakes import FakeInstrument, FakeModel, capabilities

pytestmark = pytest.mark.usefixtures("fonts_are_open")


async def session_of(folder: Path, light: bool = True, model: FakeModel | None = None) -> Session:
    plan = RunPlan(budget=Budget(fraction=0.2), batches=2, decision_s=0)
    instrument = FakeInstrument(capabilities((24, 20), light))
    await Run(plan, folder, instrument, model or FakeModel()).execute()
    return load_session(folder / "session.h5")


def truth_of(session: Session) -> OrientationMap:
    shape = session.capabilities.grid.shape_px
    orientation = np.zeros((*shape, 4), np.float32)
    orientation[..., 0] = 1
    orientation[:, shape[1] // 2 :] = (np.cos(0.2), np.sin(0.2), 0, 0)
    phase_id = np.ones(shape, np.uint8)
    phase_id[:2] = 0
    ones = np.ones(shape, np.float32)
    return OrientationMap(orientation, phase_id, ones, ones, 1.0, (MapPhase(1, "Ti", "6/mmm"),))


async def test_all_figures_with_the_truth(tmp_path: Path) -> None:
    session = await session_of(tmp_path)
    truth = truth_of(session)
    grid = GridBaseline(96, truth.orientation, score(truth.orientation, truth))
    before = dict(mpl.rcParams)
    written = write_figures(session, tmp_path / "figures", truth, grid)
    assert dict(mpl.rcParams) == before
    names = ["light_points.png", "evidence.png", "orientation.png", "uncertainty.png", "error.png", "demo.png"]
    assert [path.name for path in written] == names
    for path in written:
        pixels = imread(path)[..., :3]
        assert min(pixels.shape[:2]) > 300
        assert pixels.std() > 0.05


async def test_doubts_are_drawn_without_the_bound_that_an_older_file_lacks(tmp_path: Path) -> None:
    session = await session_of(tmp_path)
    assert session.result is not None
    older = replace(session, final=replace(session.result, bound90_deg=None))
    with house_style():
        with_bound, without = (uncertainty_sheet(one, one.result) for one in (session, older) if one.result)
    assert [len(figure.axes) for figure in (with_bound, without)] == [8, 6]
    titles = [axes.get_title(loc="left") for axes in with_bound.axes]
    assert [title for title in titles if title][:2] == ["Expected error", "Bound of the error (90 %)"]


async def test_without_truth_and_without_light(tmp_path: Path) -> None:
    session = await session_of(tmp_path, light=False)
    names = {path.name for path in write_figures(session, tmp_path)}
    assert names == {"light_points.png", "evidence.png", "orientation.png", "uncertainty.png"}


async def test_without_any_reconstruction(tmp_path: Path) -> None:
    from grainloop.protocols.errors import Unavailable

    silent = FakeModel(trouble=[Unavailable("gone")] * 10)
    session = await session_of(tmp_path, model=silent)
    assert [path.name for path in write_figures(session, tmp_path)] == ["light_points.png"]


@pytest.mark.parametrize(
    ("about", "length"), [(20.0, 20), (19.9, 10), (5.5, 5), (1.0, 1), (0.9, 0.5), (0.03, 0.02), (1234.0, 1000)]
)
def test_scale_bars_have_round_lengths(about: float, length: float) -> None:
    assert round_length_um(about) == pytest.approx(length)


@pytest.mark.parametrize(
    ("position_px", "corner"),
    [
        ([(50, 50)], Corner(upper=False, right=False)),
        ([(97, 3)], Corner(upper=True, right=False)),
        ([(97, 3), (2, 20)], Corner(upper=False, right=True)),
        ([(97, 3), (2, 20), (99, 80)], Corner(upper=True, right=True)),
    ],
)
def test_the_scale_bar_keeps_out_of_the_way(position_px: list[tuple[int, int]], corner: Corner) -> None:
    assert free_corner(np.array(position_px, np.int32), (100, 100)) == corner


def test_numbered_discs_stay_inside_the_frame() -> None:
    axes = Figure().add_subplot()
    edge = np.array([(0, 0), (99, 49), (50, 20)], np.int32)
    number_points(axes, edge, np.zeros(3, np.uint8), Grid(shape_px=(100, 50), step_um=0.5))
    (discs,) = axes.collections
    centres = np.asarray(discs.get_offsets())
    assert np.allclose(centres, [(1, 1), (24, 49), (10.25, 25.25)])


async def test_the_legend_of_the_points_tells_what_they_promised(tmp_path: Path) -> None:
    session = await session_of(tmp_path)
    angle = np.where(session.requested.reason == 3, 30.0, np.nan).astype(np.float32)
    told = replace(session, requested=replace(session.requested, misorientation_deg=angle))
    for shown, words in ((told, ", grains 30° apart)"), (session, ")")):
        figure = Figure()
        axes = figure.add_subplot()
        scatter_reasons(axes, shown)
        legend = axes.get_legend()
        assert legend is not None
        labels = [text.get_text() for text in legend.get_texts()]
        first, chosen = (next(label for label in labels if label.startswith(name)) for name in ("first", "uncertain"))
        gain = session.requested.gain[session.requested.reason == 3].mean()
        count = int((session.requested.reason == 3).sum())
        assert first == f"first pass, regular grid ({int((session.requested.reason == 0).sum())})"
        assert chosen == f"uncertain ({count}; {gain:.2g} px to gain each{words}"


def asked_for(gain: np.ndarray, batches: int = 5, edge: int = 100) -> Requested:
    count, rng = len(gain), np.random.default_rng(0)
    where = rng.integers(0, edge, (count, 2)).astype(np.int32)
    batch = np.sort(rng.integers(0, batches, count)).astype(np.int32)
    return Requested(np.arange(count), where, batch, np.full(count, 2, np.uint8), gain.astype(np.float32))


def test_the_most_promising_points_are_few_of_a_batch_and_apart() -> None:
    asked = asked_for(np.random.default_rng(1).random(400))
    rows = most_promising(asked, (100, 100))
    assert len(rows) == MOST_POINTS
    assert rows[0] == asked.gain.argmax()
    assert np.all(np.diff(asked.gain[rows]) <= 0)
    assert np.bincount(asked.batch[rows]).max() <= MOST_OF_A_BATCH
    apart = np.linalg.norm(asked.position_px[rows][:, None] - asked.position_px[rows], axis=-1)
    assert apart[~np.eye(len(rows), dtype=bool)].min() >= 7


def test_points_without_a_forecast_promise_nothing() -> None:
    assert len(most_promising(asked_for(np.zeros(20)), (100, 100))) == 0
    assert len(most_promising(asked_for(np.zeros(0)), (100, 100))) == 0


async def test_the_table_tells_the_evidence_of_each_point(tmp_path: Path) -> None:
    session = await session_of(tmp_path)
    count = len(session.requested.point_id)
    columns = {
        "gain": np.where(np.arange(count) == count - 1, 12.34, 0).astype(np.float32),
        "p_wrong": np.full(count, 0.756, np.float32),
        "competing": np.full(count, 3, np.uint8),
        "misorientation_deg": np.full(count, 27.4, np.float32),
        "travel_px": np.full(count, np.nan, np.float32),
    }
    told = replace(session, requested=replace(session.requested, **columns))
    asked, step_um = told.requested, session.capabilities.grid.step_um
    y, x = (asked.position_px[-1] + 0.5) * step_um
    (line,) = lines_of(told, most_promising(asked, session.capabilities.grid.shape_px))
    assert line[:3] == ("1", f"{asked.batch[-1]}", f"{x:.1f}, {y:.1f}")
    assert line[4:] == ("12.3", "3", "27°", "0.76", "–")
    older = replace(told.requested, p_wrong=None, competing=None, misorientation_deg=None, travel_px=None)
    (line,) = lines_of(replace(told, requested=older), np.array([count - 1]))
    assert line[5:] == ("–",) * 4
    with house_style():
        words = {text.get_text() for axes in evidence_sheet(told, "note").axes for text in axes.texts}
    assert {"gain (px)", "12.3", "27°"} <= words
