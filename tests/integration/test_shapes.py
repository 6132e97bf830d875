"""A section measured by windows alone, with real processes over real sockets, and decided again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grainloop.controller.session.reader import load_session
from tests.integration.processes import cropped, grainloop, written


@pytest.mark.timeout(3000)
def test_a_map_queue_is_asked_for_rectangles_alone(tmp_path: Path) -> None:
    specimen = written(cropped(), tmp_path / "crop.ang")
    options = ["--preset", "queue", "--shape", "rectangles", "--budget", "0.6", "--json"]
    with grainloop("demo", "--map", str(specimen), "--out", "out", *options, cwd=tmp_path) as demo:
        code, stdout, stderr = demo.finish()
        assert code == 0, stderr
    session = load_session(tmp_path / "out" / "session.h5")
    most = int(0.6 * 48**2)
    assert most - 64 < json.loads(stdout)["points_measured"] == len(session.points) <= most
    shapes = [shape for decision in session.decisions for shape in decision["shapes"]]
    assert len(session.decisions) > 1
    assert {shape["shape"] for shape in shapes} == {"rectangles"}
    assert sum(shape["points"] for shape in shapes) >= len(session.points)
    assert all(min(shape["lines"], shape["points_per_line"]) >= 8 for shape in shapes)
    assert json.loads(stdout)["warnings"] == []
    with grainloop("replay", "out", "--json", cwd=tmp_path) as again:
        code, stdout, stderr = again.finish()
        assert code == 0, stderr
