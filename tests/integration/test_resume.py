"""Real processes killed with `kill -9` in the middle of a run, which is then gone on with over real sockets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.cli.processes import free_endpoints
from controller.journal.reading import read_journal
from controller.recording import JOURNAL_NAME
from controller.replay import replay
from controller.session_reader import load_session
from tests.integration.processes import Grainloop, cropped, grainloop, written

SEED, DEATHS = 20261128, 5
PLAN = "batches = 3\nuse_light = false\n[budget]\nfraction = 0.1\n"
SPEED_UP = "0.3"
"""A run of 230 points then takes half a minute, so that it can be killed in the middle."""


class Laboratory:
    """Three services that can die and be started again at the same endpoints; the instrument keeps a spool."""

    def __init__(self, map_file: Path, folder: Path) -> None:
        self._at = dict(zip(("instrument", "model", "controller"), free_endpoints(3), strict=True))
        self._folder = folder
        self._options = {
            "instrument": ["--map", str(map_file), "--speed-up", SPEED_UP, "--spool", str(folder / "spool")],
            "model": [],
            "controller": ["--instrument", self._at["instrument"], "--model", self._at["model"]],
        }
        self.at_controller = ("--controller", self._at["controller"])
        self.running: dict[str, Grainloop] = {}

    def start(self, *names: str) -> None:
        for name in names:
            at = self._at[name]
            self.running[name] = Grainloop("serve", name, "--endpoint", at, *self._options[name], cwd=self._folder)
        for name in names:
            self.running[name].wait_for(f"ready {name}", "stdout")

    def kill(self, *names: str) -> None:
        for name in names:
            self.running[name].process.kill()
            self.running[name].process.communicate()

    def command(self, *words: str) -> tuple[int, str, str]:
        with grainloop(*words, *self.at_controller, cwd=self._folder) as one:
            return one.finish()

    def run_until(self, word: str) -> None:
        """Start the run, and return when it has told an event that holds `word`."""
        options = ("--plan", "plan.toml", "--out", "out", *self.at_controller)
        with grainloop("run", *options, cwd=self._folder) as asked:
            asked.wait_for(word)


@pytest.fixture(scope="module")
def titanium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(cropped(), tmp_path_factory.mktemp("maps") / "crop.ang")


@pytest.mark.timeout(600)
def test_a_run_goes_on_however_often_services_die(titanium: Path, tmp_path: Path) -> None:
    """The controller alone, and every process at once, at moments that a seed chooses."""
    (tmp_path / "plan.toml").write_text(PLAN)
    rng, laboratory = np.random.default_rng(SEED), Laboratory(titanium, tmp_path)
    everybody = ("instrument", "model", "controller")
    laboratory.start(*everybody)
    try:
        laboratory.run_until("Measuring at most")
        for death in range(DEATHS):
            killed = everybody if death % 2 else ("controller",)
            laboratory.kill(*killed)
            before = points_in(tmp_path)
            laboratory.start(*killed)
            with grainloop("resume", "out", *laboratory.at_controller, cwd=tmp_path) as going_on:
                for _ in range(int(rng.integers(1, 3))):
                    going_on.wait_for("points")
                assert set(before) <= set(points_in(tmp_path)), f"seed {SEED}"
        laboratory.kill("controller")
        laboratory.start("controller")
        code, out, err = laboratory.command("resume", "out")
        assert code == 0, err
        assert "The run has completed: the budget is spent" in out
        code, _, err = laboratory.command("resume", "out")
        assert code == 1
        assert "was completed: the budget is spent." in err
    finally:
        laboratory.kill(*everybody)
    stored = points_in(tmp_path)
    assert len(stored) == len(set(stored)) == 230
    session = load_session(tmp_path / "out" / "session.h5")
    assert session.points.point_id.tolist() == stored
    assert session.final is not None
    again = replay(read_journal(tmp_path / "out" / JOURNAL_NAME).entries)
    assert again.difference is None, str(again.difference)
    assert not again.notes


def points_in(folder: Path) -> list[int]:
    """Ids of the points in the journal of the run."""
    entries = read_journal(folder / "out" / JOURNAL_NAME).entries
    return [point for entry in entries if entry.kind == "points" for point in entry.points.point_id.tolist()]
