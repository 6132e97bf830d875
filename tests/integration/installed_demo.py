"""The demo of an installation, outside the checkout: `make installed`.

The laboratory has files of our names where the demo is started, and the three services with it. Not a part of
`make test`, because a new installation compiles its kernels.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.installation import build, make_environment, run


@pytest.mark.timeout(1200)
def test_the_demo_of_an_installation(tmp_path: Path) -> None:
    built = build(tmp_path / "built")
    environment = make_environment(tmp_path / "venv")
    environment.install(built.wheel, built.data)
    lab = tmp_path / "lab"
    for name in ("model.py", "queue.py", "typing.py", "numpy.py", "controller/__init__.py"):
        (lab / name).parent.mkdir(parents=True, exist_ok=True)
        (lab / name).write_text(f"raise SystemExit('{name} of the laboratory')", encoding="utf-8")
    run([environment.command, "demo", "--map", "mg-twins", "--budget", "0.03", "--out", "out", "--json"], lab)
    summary = json.loads((lab / "out" / "summary.json").read_text(encoding="utf-8"))
    assert (lab / "out" / "session.h5").is_file()
    assert summary
