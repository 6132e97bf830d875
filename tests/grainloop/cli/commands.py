"""What commands say: as JSON where they do their work, as one sentence where they cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grainloop.cli import main

FIGURES = ("error_mean_deg", "error_over_5deg", "boundary_f1", "auroc", "coverage90", "predicted_over_5deg")
"""Of merit, as `grainloop reconstruct` tells them; the first in degrees, all others 0 to 1."""


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON that a command prints, with nothing beside it."""
    assert main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command says of what it cannot do, with no JSON."""
    assert main([*arguments, "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err
