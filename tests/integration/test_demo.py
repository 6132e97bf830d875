"""The whole demo, with real processes over real sockets, on small maps."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from grainloop.controller.session.reader import Session, load_session
from tests.integration.processes import cropped, cubic, grainloop, written
from tests.patience import HANG_S

SUMMARY = {
    "map", "fraction_measured", "points_measured", "rounds", "error_mean_deg", "error_over_5deg", "boundary_f1",
    "baseline", "instrument_s", "decision_s", "wall_s", "instrument_idle_fraction", "errors", "warnings",
    "points_lost", "versions",
}  # fmt: skip
ERRORS = {"error_mean_deg", "error_over_5deg", "boundary_f1"}


@pytest.fixture(scope="module")
def titanium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(cropped(), tmp_path_factory.mktemp("maps") / "crop.ang")


@pytest.fixture(scope="module")
def nickel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(cubic(), tmp_path_factory.mktemp("maps") / "nickel.ang")


@pytest.fixture(scope="module")
def undisturbed(nickel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session, str]:
    """A demo on half of the nickel map: its folder, its session, what it said."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with grainloop("demo", "--map", str(nickel), "--out", "out", "--budget", "0.5", cwd=folder) as demo:
        code, stdout, stderr = demo.finish()
        assert code == 0, stderr
    return folder, load_session(folder / "out" / "session.h5"), stderr + stdout


def in_real_time(nickel: Path) -> list[str]:
    """The same, slower than the instrument's own pace: many seconds are left after the first batches."""
    return ["demo", "--map", str(nickel), "--out", "out", "--budget", "0.5", "--speed-up", "0.25"]


def test_the_whole_demo_on_a_small_map(titanium: Path, tmp_path: Path) -> None:
    out, compiled = tmp_path / "out", tmp_path / "compiled"
    arguments = ("demo", "--map", str(titanium), "--out", str(out), "--json")
    with grainloop(*arguments, cwd=tmp_path, compiled=compiled) as demo:
        code, stdout, stderr = demo.finish()
        assert (code, stderr) == (0, "")
        assert demo.family() == {}
    assert not compiled.exists(), f"not prepared: {compiled.read_text()}"
    summary = json.loads(stdout)
    assert summary == json.loads((out / "summary.json").read_text())
    assert set(summary) == SUMMARY
    assert summary["points_measured"] == 138
    assert summary["fraction_measured"] == pytest.approx(138 / 48**2)
    assert 1 <= summary["rounds"] <= 8  # fewer where a decision takes longer than a batch
    grid = summary["baseline"]["grid_nn"]
    assert set(grid) > ERRORS
    assert 138 <= grid["points_measured"] <= 1.05 * 138
    assert 0 < summary["error_over_5deg"] < 1
    assert 0 <= summary["instrument_idle_fraction"] < 1
    session = load_session(out / "session.h5")
    assert len(session.points) == 138
    assert session.finish_reason == "completed"
    assert session.final is not None
    assert session.light is not None
    assert set(os.listdir(out / "logs")) == {"instrument.log", "model.log", "controller.log"}
    for name in ("demo", "orientation", "uncertainty", "light_points", "evidence", "error"):
        assert imread(out / f"{name}.png").std() > 0.05


def test_everything_of_a_cubic_map_can_be_measured_without_light(
    nickel: Path, undisturbed: tuple[Path, Session, str]
) -> None:
    """And the folder of an earlier demo may be used again."""
    folder, half, said = undisturbed
    assert "Ni (m-3m) is cubic and shows no PL contrast: EBSD alone." in said
    assert "coarse grid" in said
    assert half.light is None
    assert len(half.points) == 24 * 24 // 2
    with grainloop("demo", "--map", str(nickel), "--out", "out", "--budget", "1", cwd=folder) as demo:
        code, _, stderr = demo.finish()
        assert code == 0, stderr
        assert demo.family() == {}
    session = load_session(folder / "out" / "session.h5")
    assert len(np.unique(session.points.position_px, axis=0)) == 24 * 24
    assert json.loads((folder / "out" / "summary.json").read_text())["fraction_measured"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_and_keeps_its_points(
    number: signal.Signals, nickel: Path, tmp_path: Path, undisturbed: tuple[Path, Session, str]
) -> None:
    """And what it had decided is what the undisturbed demo decided: the same plan, the same replies."""
    with grainloop(*in_real_time(nickel), cwd=tmp_path) as demo:
        demo.wait_for("Batch 1: ")
        demo.process.send_signal(number)
        code, stdout, stderr = demo.finish()
        assert demo.family() == {}
    assert code == 130
    assert stdout == ""
    assert "grainloop: interrupted; what was measured is in out/session.h5." in stderr
    session = load_session(tmp_path / "out" / "session.h5")
    assert session.finish_reason == "aborted"
    assert len(session.points) >= 100
    decided = session.requested.position_px
    assert np.array_equal(decided, undisturbed[1].requested.position_px[: len(decided)])


def test_a_killed_demo_takes_its_services_with_it(nickel: Path, tmp_path: Path) -> None:
    """The services notice that their parent is gone: waiting for the ends of their log pipes proves that they left."""
    with grainloop(*in_real_time(nickel), cwd=tmp_path) as demo:
        demo.wait_for("Batch 0: ")
        watched = [os.pidfd_open(pid) for pid, command in demo.family().items() if "serve" in command]
        assert len(watched) == 3
        demo.process.kill()
        for process in watched:
            assert _ended(process)
        assert demo.family() == {}
    assert load_session(tmp_path / "out" / "session.h5").finish_reason == "aborted"


def _measured(told: str) -> int:
    """Of "Batch 0: 76 of 76 points measured."."""
    return int(told.split("Batch 0: ")[1].split(maxsplit=1)[0])


@pytest.mark.parametrize("service", ["instrument", "model", "controller"])
def test_a_service_that_dies_in_the_middle_is_named(service: str, nickel: Path, tmp_path: Path) -> None:
    with grainloop(*in_real_time(nickel), cwd=tmp_path) as demo:
        told = demo.wait_for("Batch 0: ")
        os.kill(demo.child(service), signal.SIGKILL)
        code, stdout, stderr = demo.finish()
        assert demo.family() == {}
    assert code == 1
    assert stdout == ""
    assert f"grainloop: The {service} service died (exit code -9)" in stderr.splitlines()[-1]
    assert f"{service}.log" in stderr
    session = load_session(tmp_path / "out" / "session.h5")
    assert len(session.points) >= _measured(told) > 0
    came = session.points.point_id.tolist()
    assert came == session.requested.point_id[: len(came)].tolist()


def test_a_method_that_does_not_exist_is_refused_by_name(titanium: Path, tmp_path: Path) -> None:
    with grainloop("demo", "--map", str(titanium), "--out", "out", "--method", "magic", cwd=tmp_path) as demo:
        code, _, stderr = demo.finish()
        assert demo.family() == {}
    assert code == 1
    assert stderr.splitlines()[-1].startswith("grainloop: The model service has no method 'magic'; it has: ")
    assert not (tmp_path / "out" / "session.h5").exists()


def _ended(process: int) -> bool:
    """Whether the process of this descriptor ended; waits for it."""
    import select

    try:
        return bool(select.select([process], [], [], HANG_S)[0])
    finally:
        os.close(process)
