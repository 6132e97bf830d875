"""The short form of `make chaos`: each process is killed at five random moments, and nothing is lost."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grainloop.controller.record.recording import SESSION_NAME
from grainloop.controller.session.reader import load_session
from tests.integration.chaos import laboratory
from tests.integration.chaos.deaths import chaos
from tests.integration.chaos.laboratory import NAMES, Laboratory, Nursery
from tests.integration.chaos.story import KINDS, POINTS, Tally, check

MOMENTS = 5
TOML = f"""
batches = 6
method = "nn"
policy = "bluenoise"
use_light = false
[budget]
points = {POINTS}
fraction = 1.0
"""
SEED = random.randrange(2**32)  # noqa: S311


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with laboratory.nursery() as forks:
        yield forks


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_lost_and_nothing_exposed_twice(nursery: Nursery, tmp_path: Path, name: str) -> None:
    tally = chaos(nursery, tmp_path, name, MOMENTS, SEED)
    sys.stdout.write(f"seed {SEED}: {tally}\n")
    assert not tally.faults
    assert tally.recovered == tally.deaths >= MOMENTS


@pytest.mark.timeout(3000)
def test_one_command_goes_on_after_the_death_of_everybody(nursery: Nursery, tmp_path: Path) -> None:
    place = Laboratory(nursery, tmp_path / "laboratory", "simulated")
    plan = tmp_path / "plan.toml"
    plan.write_text(TOML)
    try:
        place.start(*NAMES)
        asked = place.ask("run", "--plan", str(plan), "--out", "out")
        asked.wait_for("points measured")
        place.kill(*NAMES)
        assert asked.bury() == 1
        before = set(place.stored().point_id.tolist())
        place.start(*NAMES)
        resumed = place.ask("resume", "out")
        assert resumed.bury() == 0, resumed.said
        assert "The run has completed: the budget is spent" in resumed.said
        again = place.ask("resume", "out")
        assert again.bury() == 1
        assert "was completed: the budget is spent." in again.said
    finally:
        place.close()
    check(place, Tally())
    session = load_session(place.session / SESSION_NAME)
    assert before <= set(session.points.point_id.tolist())
    assert session.final is not None
