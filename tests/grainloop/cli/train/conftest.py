"""What tests of `grainloop train` share."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from grainloop.cli.train.curves import draw_curves
from tests.grainloop.cli.train.small import TINY


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path / "tiny.toml"


@pytest.fixture(autouse=True, scope="module")
def fonts_are_open(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Matplotlib keeps the font files that it has used open for good."""
    folder = tmp_path_factory.mktemp("curves")
    (folder / "metrics.csv").write_text("step,seconds,name,value\n1,2.0,gate,0.5\n")
    draw_curves(folder / "metrics.csv", folder / "curves.png")


@pytest.fixture(autouse=True)
def threads_as_before() -> Generator[None]:
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
