"""The smallest training there is, of one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grainloop.cli import main

TINY = """
checkpoint_s = 3600
log_steps = 1
[examples]
shapes_px = [[32, 32]]
pixels = 2048
[validation]
specimens = 1
shape_px = [32, 32]
shares = [0.25]
real_maps = false
"""


ONE_STEP = ["--hours", "1e-9", "--threads", "1"]


def train(config: Path, out: Path, *more: str) -> int:
    return main(["train", "--config", str(config), "--out", str(out), *ONE_STEP, *more])


def card_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))
