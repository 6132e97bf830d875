"""A recorded run decided anew: on its own points alone, or on a whole map; what is told of it, and what is refused."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainloop.cli import main
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.record.mending import repair
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.recorded.agreement import AskedPixels, agreement, limits
from grainloop.controller.recorded.compare import compare
from grainloop.controller.recorded.instrument import RecordedPoints
from grainloop.controller.recorded.redecide import Recorded, recorded_run, redecide
from grainloop.controller.run.run import Run
from grainloop.controller.session.reader import load_session
from grainloop.evaluate.sections.known_map import known_map
from grainloop.model.crystal import disorientation_deg
from grainloop.protocols.errors import BadInput, DeviceFailed
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason
from grainloop.protocols.values import PointBlock
from tests.controller.fakes import FakeInstrument, FakeModel, block_of, broken
from tests.controller.run.test_asynchronous import real
from tests.controller.timed import TimedModel
from tests.controller.virtual_time import run
from tests.integration.processes import cropped, written

PLAN = RunPlan(budget=Budget(fraction=0.25), batches=4)
SAMPLE = Path(__file__).parents[1] / "journal" / "samples" / "v1"
SIDE = 30


def entries(folder: Path) -> tuple[Any, ...]:
    return read_journal(folder / JOURNAL_NAME).entries


def recorded(plan: RunPlan, instrument: Any, model: Any) -> Recorded:
    with tempfile.TemporaryDirectory() as folder:
        run(Run(plan, Path(folder), instrument, model).execute())
        return recorded_run(entries(Path(folder)))


@given(
    fraction=st.floats(0.02, 0.4),
    batches=st.integers(1, 6),
    repeats=st.integers(0, 2),
    failing=st.frozensets(st.integers(0, 479), max_size=60),
    seconds=st.lists(st.sampled_from([0.0, 0.05, 0.4, 5.0]), min_size=1, max_size=3),
    simulated=st.booleans(),
    trouble=st.lists(st.none() | st.just(broken()), max_size=2),
)
@settings(deadline=None, max_examples=8)
def test_only_what_was_measured_is_asked_for_and_answered_as_it_was(
    fraction: float,
    batches: int,
    repeats: int,
    failing: frozenset[int],
    seconds: list[float],
    simulated: bool,
    trouble: list[Any],
) -> None:
    before = recorded(PLAN, real(0.02, 0.05, 100, failing=failing, simulated=simulated), TimedModel(seconds))
    plan = PLAN.model_copy(
        update={"budget": Budget(fraction=fraction), "batches": batches, "repeats": repeats, "seed": 3}
    )
    with tempfile.TemporaryDirectory() as name:
        found = redecide(before, plan, FakeModel(trouble), Path(name))
        again = entries(Path(name))
        points = load_session(Path(name) / SESSION_NAME).points
    assert found.finished.reason is FinishReason.COMPLETED, found.finished
    assert found.map_points == 0
    assert len(points) == found.recorded_points <= plan.budget.max_points(480)
    had, has = (Counter(map(tuple, one.position_px.tolist())) for one in (before.points, points))
    assert has <= had
    for pixel in has:
        first, second = (_at(one, pixel) for one in (before.points, points))
        assert np.array_equal(first.status[: len(second)], second.status)
        assert np.array_equal(first.orientation[: len(second)], second.orientation)
    same = replay(again)
    assert same.difference is None, str(same.difference)
    assert not same.notes


def _at(points: PointBlock, pixel: tuple[int, ...]) -> PointBlock:
    return points.select((points.position_px == pixel).all(axis=1))


def test_decided_anew_twice_it_is_the_same_twice(tmp_path: Path) -> None:
    before = recorded(PLAN, FakeInstrument(), TimedModel([0.3, 0.1]))
    for name in ("a", "b"):
        redecide(before, PLAN, FakeModel(), tmp_path / name)
    assert compare(entries(tmp_path / "a"), entries(tmp_path / "b")).decision is None


def test_what_was_not_recorded_is_measured_where_that_can_be_done(tmp_path: Path) -> None:
    before, asked = recorded(PLAN, FakeInstrument(), FakeModel()), list[ScanRequest]()

    def measure(request: ScanRequest) -> PointBlock:
        asked.append(request)
        return block_of(request, 0.0)

    plan = PLAN.model_copy(update={"budget": Budget(fraction=0.5), "batches": 2})
    found = redecide(before, plan, FakeModel(), tmp_path, measure)
    assert found.finished.points_measured == 240 == found.recorded_points + found.map_points
    known = set(map(tuple, before.points.position_px.tolist()))
    there = [tuple(pixel) for request in asked for pixel in request.position_px.tolist()]
    assert len(there) == found.map_points > 0
    assert not known & set(there)
    assert replay(entries(tmp_path)).difference is None
    assert (np.diff(load_session(tmp_path / SESSION_NAME).points.time_s) > 0).all()


def test_a_pixel_that_was_not_measured_is_not_made_up() -> None:
    before = recorded(PLAN, FakeInstrument(), FakeModel())
    free = np.argwhere(RecordedPoints(before.points).times((24, 20)) == 0)[:1].astype(np.int32)
    request = ScanRequest(batch=0, point_id=np.array([0]), position_px=free, dwell_s=0.01)
    with pytest.raises(DeviceFailed, match=f"Row {free[0, 0]}, column {free[0, 1]} was not measured"):
        RecordedPoints(before.points).take(request, np.zeros(1))


def test_a_run_without_a_finished_batch_is_refused() -> None:
    whole = recorded(PLAN, FakeInstrument(), FakeModel()).entries
    with pytest.raises(BadInput, match="holds no finished batch"):
        recorded_run(whole[:5])


def test_a_model_that_fails_is_told(tmp_path: Path) -> None:
    before = recorded(PLAN, FakeInstrument(), FakeModel())
    found = redecide(before, PLAN, FakeModel([None, broken()]), tmp_path)
    told = limits(before, found, entries(tmp_path), None)
    assert any("The model failed at 1 decision, which space filling made: The detector" in words for words in told)


def test_agreement_is_that_of_as_many_points() -> None:
    one = AskedPixels(np.arange(8), np.zeros(8, np.bool_), (4, 8), 2)
    other = AskedPixels(np.array([0, 1, 9, 2, 3, 7]), np.zeros(6, np.bool_), (3, 6), 2)
    found = agreement(one, other)
    assert (found.points, found.shared, found.halfway) == (6, 4 / 6, 2 / 3)
    assert found.curve == ((3, 2 / 3), (6, 4 / 6))


# --- the command ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of the simulator, recorded over sockets."""
    folder = tmp_path_factory.mktemp("session")
    shutil.copytree(SAMPLE / JOURNAL_NAME, folder / JOURNAL_NAME)
    (folder / SESSION_NAME).write_bytes(gzip.decompress((SAMPLE / f"{SESSION_NAME}.gz").read_bytes()))
    return folder


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The map that it was measured on."""
    return written(cropped(SIDE), tmp_path_factory.mktemp("map") / "ti.ang")


def told(capsys: pytest.CaptureFixture[str], *arguments: Any) -> dict[str, Any]:
    assert main(["replay", *(str(one) for one in arguments), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    assert main(["replay", *(str(one) for one in arguments)]) == 1
    return capsys.readouterr().err


@pytest.mark.usefixtures("fonts_are_open")
def test_another_policy_on_the_recorded_points(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, session, "--policy", "grid", "--model", "nn", "--budget", 0.06, "--out", tmp_path)
    assert (found["recorded"]["points"], found["again"]["points"]) == (72, 54)
    assert found["recorded"]["predicted_wrong"] == pytest.approx(0.125, abs=5e-4)
    assert 0 < found["again"]["predicted_wrong"] < 1
    assert found["again"]["error_over_5deg"] is None
    assert 0 < found["agreement"]["shared"] < 1
    assert (found["plan"]["policy"], found["plan"]["method"]) == ("grid", "nn")
    assert any("Only the 72 pixels that were measured could be asked for" in words for words in found["limits"])
    assert found["session"] == str(tmp_path / SESSION_NAME)
    assert (tmp_path / "orientation.png").is_file()
    assert told(capsys, tmp_path)["difference"] is None
    assert main(["diff", str(session), str(tmp_path)]) == 3
    assert "The plans differ in" in capsys.readouterr().out
    before = load_session(tmp_path / SESSION_NAME).points
    repair(tmp_path / JOURNAL_NAME, tmp_path / SESSION_NAME)
    assert load_session(tmp_path / SESSION_NAME).points == before
    assert "exists already" in refused(capsys, session, "--policy", "grid", "--model", "nn", "--out", tmp_path)


def test_on_the_whole_map_a_run_comes_out_as_before(
    session: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The simulator is asked for what was not recorded; decided anew once more, every decision is the same."""
    changed = told(capsys, session, "--model", "classical", "--truth", truth, "--out", tmp_path / "a")
    assert changed["plan"]["method"] == "pl_candidates"
    assert 0 < changed["recorded"]["error_over_5deg"] < 0.5
    assert 0 < changed["again"]["error_mean_deg"] < 20
    assert "points were answered as recorded" in changed["limits"][0]
    same = told(capsys, tmp_path / "a", "--truth", truth)
    assert same["apart"]["decision"] is None
    assert same["agreement"]["shared"] == 1
    for name in ("predicted_wrong", "error_mean_deg", "error_over_5deg"):
        assert same["again"][name] == changed["again"][name]


def test_a_known_map_measures_near_what_it_shows(session: Path, truth: Path) -> None:
    one = recorded_run(entries(session))
    pixels = np.argwhere(RecordedPoints(one.points).times((SIDE, SIDE)) == 0)[::9].astype(np.int32)
    ids = np.arange(len(pixels), dtype=np.int64)
    known = known_map(str(truth), one)
    points = known.measure(ScanRequest(batch=0, point_id=ids, position_px=pixels, dwell_s=0.02))
    good = points.select(points.indexed)
    shown = known.map.orientation[tuple(good.position_px.T)]
    off = np.asarray(disorientation_deg(good.orientation, shown, "6/mmm"))
    assert 0.05 < np.median(off) < 1
    assert "with the errors of the simulator" in known.words


def test_the_table_names_both_runs(session: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(session), "--model", "nn", "--truth", str(truth)]) == 0
    out, err = capsys.readouterr()
    for word in ("recorded", "decided", "predicted", "Of 72 points", "It ended because the budget is spent."):
        assert word in out
    assert "Measuring at most 72 points." in err


def test_what_cannot_be_used_is_told(
    session: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "There is no policy 'magic'; known are spread" in refused(capsys, session, "--policy", "magic")
    assert "There is no model 'magic': known are" in refused(capsys, session, "--model", "magic")
    assert "budget.fraction = 0.0 cannot be used" in refused(capsys, session, "--budget", 0)
    assert "--out needs --policy" in refused(capsys, session, "--out", tmp_path)
    assert "The weights cannot be used" in refused(capsys, session, "--model", tmp_path)
    other = written(cropped(SIDE + 1), tmp_path / "other.ang")
    assert f"has ({SIDE + 1}, {SIDE + 1}) px, the session ({SIDE}, {SIDE})" in refused(
        capsys, session, "--truth", other
    )
    turned = cropped(SIDE)
    off = written(_flipped(turned), tmp_path / "flipped.ang")
    assert "it is another map, or in another frame" in refused(capsys, session, "--truth", off)


def _flipped(one: Any) -> Any:
    from dataclasses import replace

    columns = ("orientation", "phase_id", "confidence", "fit_deg")
    q = np.random.default_rng(4).normal(size=one.orientation.shape).astype(np.float32)
    parts = {name: getattr(one, name)[::-1, ::-1].copy() for name in columns[1:]}
    return replace(one, orientation=q / np.linalg.norm(q, axis=-1, keepdims=True), **parts)
