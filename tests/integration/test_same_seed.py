"""The same seed decides the same, with real processes: on a quiet computer, and on a busy one with one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grainloop.controller.session.reader import Session, load_session
from tests.integration.processes import cropped, grainloop, written

ONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
SIDE = 96
PATIENCE_S = 1200


@contextmanager
def busy() -> Generator[None]:
    """As many processes as cores that do nothing but keep them from others."""
    loop = [sys.executable, "-c", "import os\nwhile os.getppid() > 1: pass"]
    loops = [subprocess.Popen(loop) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for one in loops:
            one.kill()
            one.wait()


def session_of(specimen: Path, folder: Path) -> Session:
    with grainloop("demo", "--map", str(specimen), "--out", str(folder), "--seed", "3", cwd=specimen.parent) as demo:
        code, stdout, stderr = demo.finish(PATIENCE_S)
        assert code == 0, stderr
        assert "so the same seed decides the same anywhere" in stdout
    return load_session(folder / "session.h5")


@pytest.mark.timeout(2 * PATIENCE_S)
def test_one_seed_decides_the_same_quiet_and_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specimen = written(cropped(SIDE), tmp_path / "crop.ang")
    quiet = session_of(specimen, tmp_path / "quiet")
    with monkeypatch.context() as single, busy():
        for name, value in ONE.items():
            single.setenv(name, value)
        slow = session_of(specimen, tmp_path / "busy")
    assert quiet.plan == slow.plan
    assert any(row["when"]["question"] for row in quiet.decisions)
    assert quiet.decisions == slow.decisions
    assert quiet.batches == slow.batches
    assert quiet.points == slow.points
    assert [event.text for event in quiet.events] == [event.text for event in slow.events]
    for first, second in ((quiet.requested, slow.requested), (quiet.final, slow.final)):
        assert first is not None
        assert second is not None
        for name in ("position_px", "gain", "p_wrong"):
            if hasattr(first, name):
                assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
