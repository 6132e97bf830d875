"""What tests of commands and figures share."""

from __future__ import annotations

import pytest

from grainloop.controller.figures.panels import ipf_key_image
from tests.grainloop.small_maps import chessboard, written


@pytest.fixture(scope="session")
def fonts_are_open() -> None:
    """Matplotlib keeps the font files that it has used open for good."""
    ipf_key_image("6/mmm")


@pytest.fixture(scope="session")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with a map of one phase."""
    return written(chessboard(), tmp_path_factory.mktemp("maps") / "ti.ang")
