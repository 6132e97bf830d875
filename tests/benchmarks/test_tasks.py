"""The frame of the tasks on a chessboard: what is kept, what is measured again, what the sentences say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.tasks import run
from benchmarks.tasks.materials import SYNTHETIC, Material
from benchmarks.tasks.measuring import measure
from benchmarks.tasks.pages.figure import draw, task_figure
from benchmarks.tasks.pages.index import write_index
from benchmarks.tasks.pages.judgement import comparisons, judgement, side_of
from benchmarks.tasks.pages.page import to_markdown, write_page
from benchmarks.tasks.results import Results, keys_of, load
from benchmarks.tasks.task import AUROC, MEAN_ERROR, WRONG_PIXELS, Level, Measured, Task, Trial, reconstructed
from grainloop.evaluate.cases import Case
from grainloop.evaluate.figures_of_merit import figures_of_merit
from grainloop.evaluate.methods import method_named
from grainloop.evaluate.runs import Row
from grainloop.evaluate.sections.given import solve
from grainloop.evaluate.sections.scenes import Setting, make_scene
from grainloop.instrument_sim.synthetic import TITANIUM
from tests.grainloop.small_maps import chessboard

pytestmark = pytest.mark.usefixtures("fonts_are_open")

BOARD = Material("board", "Chessboard", lambda seed: chessboard(3, 3, 11, seed))
CASES = (Case("nn", "nn"), Case("candidates", "pl_candidates"))


def task(**changes: object) -> Task:
    """A small one."""
    made = Task(
        name="small",
        title="A small task",
        text="What is measured. And more.",
        levels=(Level("few", 0.05, Setting(share=0.05)), Level("many", 0.2, Setting(share=0.2))),
        axis="share",
        cases=CASES,
        columns=(WRONG_PIXELS, MEAN_ERROR, AUROC),
        drawn=(WRONG_PIXELS,),
        ours="candidates",
        rivals=("nn",),
        materials=(BOARD,),
    )
    return replace(made, **changes)


def counted(calls: list[tuple[str, str, int, str]], error: float = 0.5) -> object:
    """A measure that only counts its calls; candidates err by a tenth less."""

    def one(trial: Trial, case: Case) -> Measured:
        calls.append((trial.material.name, trial.level.name, trial.seed, case.name))
        own = error - 0.1 * (case.name == "candidates") + 0.001 * trial.seed
        return Measured({"error_over_5deg": own, "error_mean_deg": 1.0, "auroc": None}, ("said",))

    return one


@pytest.fixture
def silent() -> object:
    return lambda said: None


def test_what_was_measured_is_kept(tmp_path: Path, silent: object) -> None:
    calls: list[tuple[str, str, int, str]] = []
    small = task(measure=counted(calls))
    first = measure(small, 2, silent, tmp_path)
    assert len(calls) == 2 * 2 * 2
    assert first.seeds == 2
    assert first.row("board", "few", "nn").figures["error_over_5deg"] == pytest.approx([0.5, 0.501])
    again = measure(small, 2, silent, tmp_path)
    assert len(calls) == 8
    for key, cell in first.cells.items():
        assert again.cells[key].seeds == cell.seeds == [0, 1]
        assert again.cells[key].row.figures["error_over_5deg"] == cell.row.figures["error_over_5deg"]
        assert np.isnan(again.cells[key].row.mean("auroc"))
    more = measure(small, 3, silent, tmp_path)
    assert [call[2] for call in calls[8:]] == [2] * 4
    assert more.seeds == 3
    measure(small, 1, silent, tmp_path, anew=True)
    assert len(calls) == 12 + 4


def test_a_level_that_changed_and_another_gate_are_measured_anew(
    tmp_path: Path, silent: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str, int, str]] = []
    small = task(measure=counted(calls))
    measure(small, 1, silent, tmp_path)
    few, many = small.levels
    other = replace(small, levels=(few, replace(many, setting=many.setting.with_light(noise=0.3))))
    measure(other, 1, silent, tmp_path)
    assert [call[1] for call in calls[4:]] == ["many", "many"]
    monkeypatch.setattr("benchmarks.tasks.results.gate_sha256", lambda: {"6/mmm": "new"})
    assert not load(other, tmp_path).cells
    measure(other, 1, silent, tmp_path)
    assert len(calls) == 6 + 4
    monkeypatch.setattr("benchmarks.tasks.results.gate_sha256", lambda: {"6/mmm": "new", "m-3m": "first"})
    assert len(load(other, tmp_path).cells) == 4  # of another Laue group than the material
    assert json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))["gate_sha256"] == {"6/mmm": "new"}


def test_another_free_branch_takes_only_those_cases_away_that_ask_it(
    tmp_path: Path, silent: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = task(measure=counted([]), whole_network=("nn",))
    measure(small, 1, silent, tmp_path)
    assert len(load(small, tmp_path).cells) == 4
    monkeypatch.setattr("benchmarks.tasks.results.shipped_weights", lambda: (("6/mmm", "new"),))
    assert {key[2] for key in load(small, tmp_path).cells} == {"candidates"}


def test_cases_and_levels_that_are_no_more_are_dropped(tmp_path: Path, silent: object) -> None:
    small = task(measure=counted([]))
    measure(small, 1, silent, tmp_path)
    fewer = replace(small, cases=CASES[:1], levels=small.levels[:1])
    assert list(load(fewer, tmp_path).cells) == list(keys_of(fewer)) == [("board", "few", "nn")]


def test_a_trial_is_the_scene_of_the_bench(tmp_path: Path, silent: object) -> None:
    small = task(levels=(Level("some", 0.1, Setting(share=0.1)),))
    results = measure(small, 1, silent, tmp_path)
    trial = Trial(BOARD, small.levels[0], 0)
    scene = make_scene(chessboard(3, 3, 11), Setting(share=0.1, seed=0))
    np.testing.assert_array_equal(trial.scene.points.position_px, scene.points.position_px)
    nearest = reconstructed(trial, CASES[0]).figures
    row = results.row("board", "some", "nn")
    assert row.fraction_measured == pytest.approx(scene.fraction_measured)
    assert row.figures["error_over_5deg"] == [nearest["error_over_5deg"]]
    reply = solve(scene.given, method_named("pl_candidates")).reply
    own = figures_of_merit(reply, scene.truth, scene.given.measured)
    assert results.row("board", "some", "candidates").figures["error_mean_deg"] == [own.error_mean_deg]


def test_a_level_may_change_registered_light() -> None:
    level = Level("blind", 0, Setting(share=0.1), change=lambda light, seed: None)
    blind, sighted = (Trial(BOARD, one, 0).given.problems for one in (level, replace(level, change=None)))
    assert [problem.light is None for problem in blind.values()] == [True]
    assert [problem.light is None for problem in sighted.values()] == [False]


def test_which_side_is_better() -> None:
    def row(*values: float) -> Row:
        return Row("x", 0.1, 0.1, {"error_over_5deg": list(values), "auroc": list(values)})

    assert side_of(row(0.1, 0.2, 0.3), row(0.2, 0.3, 0.41), WRONG_PIXELS) == 1
    assert side_of(row(0.1, 0.2, 0.3), row(0.2, 0.3, 0.41), AUROC) == -1
    assert side_of(row(0.1, 0.3), row(0.3, 0.1), WRONG_PIXELS) == 0
    assert side_of(row(0.1, 0.1), row(0.2, 0.2), WRONG_PIXELS) == 1
    assert side_of(row(0.1), row(0.1), WRONG_PIXELS) == 0
    assert side_of(row(float("nan")), row(0.1), WRONG_PIXELS) == 0


def test_sentences_pages_and_pictures(tmp_path: Path, silent: object) -> None:
    results = measure(task(measure=counted([])), 2, silent, tmp_path)
    assert [one.side for one in comparisons(results, WRONG_PIXELS)] == [1, 1]
    assert not comparisons(results, AUROC)  # nobody answered
    text = judgement(results)
    assert "**wrong by > 5°, %**: `candidates` is better than every rival at 2 of 2 places." in text
    assert "no clear difference at 2: Chessboard, few (1.00, nn 1.00)" in text
    assert "AUROC" not in text
    page = write_page(results, tmp_path).read_text(encoding="utf-8")
    assert page == to_markdown(results)
    assert "| few | candidates | 40.1 ± 0.1 | 1.00 ± 0.00 | – |" in page
    assert "- board, nn: said" in page
    picture = draw(results, tmp_path)
    assert f"]({picture.name})" in page
    assert imread(picture)[..., :3].std() > 0.05
    index = write_index([results.task, task(name="elsewhere")], tmp_path).read_text(encoding="utf-8")
    assert "- [A small task](small.md): What is measured.\n" in index
    assert "elsewhere" not in index


def test_constant_cases_stand_in_tables_once(tmp_path: Path, silent: object) -> None:
    results = measure(task(measure=counted([]), constant=("nn",)), 2, silent, tmp_path)
    lines = [line for line in to_markdown(results).splitlines() if "| nn |" in line or "| candidates |" in line]
    assert [line.split(" | ")[:2] for line in lines] == [
        ["| any", "nn"],
        ["| few", "candidates"],
        ["| many", "candidates"],
    ]


def test_lines_and_bars_show_the_same_numbers(tmp_path: Path, silent: object) -> None:
    results = measure(task(measure=counted([])), 2, silent, tmp_path)
    lines = task_figure(results).axes[0]
    shown = [container.lines[0].get_ydata() for container in lines.containers]
    bars = task_figure(Results(replace(results.task, kind="bars"), results.cells)).axes[0]
    heights = [[bar.get_height() for bar in group] for group in bars.containers if hasattr(group, "patches")]
    np.testing.assert_allclose(heights, shown)
    np.testing.assert_allclose(shown[0], [50.05, 50.05])
    assert [label.get_text() for label in bars.get_xticklabels()] == ["few", "many"]


def test_synthetic_specimens_differ_by_seed_and_are_not_indexed_where_nothing_is() -> None:
    one, other = (SYNTHETIC.specimen(seed) for seed in (0, 1))
    assert one is SYNTHETIC.specimen(0)
    assert one.phases == (TITANIUM,)
    assert not np.array_equal(one.orientation, other.orientation)
    assert (one.orientation[~one.indexed] == (1, 0, 0, 0)).all()


@pytest.mark.parametrize("name", run.NAMES)
def test_every_task_is_whole(name: str) -> None:
    found = run.task_named(name)
    assert found.name == name
    for names in ([level.name for level in found.levels], [case.name for case in found.cases]):
        assert len(set(names)) == len(names) > 0
    assert {found.ours, *found.rivals} <= {case.name for case in found.cases}
    assert set(found.drawn) <= set(found.columns)
    assert set(found.log_figures) <= {column.figure for column in found.drawn}
