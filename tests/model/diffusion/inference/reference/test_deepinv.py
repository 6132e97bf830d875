"""Our updates against deepinv's own, fed with the random numbers that deepinv drew.

Conventions that differ: deepinv's DPS takes the guidance as a part of the score, so its step is `score_step`, and does
not divide the residual by σ_y. Its DiffPIR halves the state's range but not σ_y, so that its λ counts half of ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from grainloop.model.diffusion.inference.reference import sample_diffpir, sample_dps, score_step
from grainloop.model.diffusion.network.state import SIGMA_MAX
from tests.model.diffusion.inference.reference.toy import DTYPE, Section

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "deepinv_golden.json").read_text(encoding="utf-8"))


def _tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=DTYPE)


def _section() -> Section:
    """One measurement for each sample, as deepinv has it."""
    mask, noise = _tensor(GOLDEN["mask"]), GOLDEN["noise"]
    return Section(_tensor(GOLDEN["measured"]), torch.where(mask > 0, noise, SIGMA_MAX).to(DTYPE))


def _white(case: dict[str, Any]):
    centre, variance = case.get("centre", 0.0), case["spread"] ** 2
    return lambda x, sigma: centre + variance / (variance + sigma**2) * (x - centre)


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch):
    """Make `torch.randn` return the recorded numbers in turn."""

    def start(case: dict[str, Any]) -> torch.Generator:
        draws = iter(case["draws"])
        monkeypatch.setattr(torch, "randn", lambda *_, **__: _tensor(next(draws)))
        return torch.Generator()

    return start


def test_dps(replay) -> None:
    case = GOLDEN["dps"]
    scale = case["weight"] * GOLDEN["noise"]
    found = sample_dps(
        _white(case), _section(), _tensor(case["levels"]), replay(case), len(case["sample"]), scale, score_step
    )
    assert found.numpy() == pytest.approx(_tensor(case["sample"]).numpy(), abs=2e-5)


def test_diffpir(replay) -> None:
    """deepinv starts about ½ where we start about 0, and returns the last state without undoing √ᾱ."""
    case = GOLDEN["diffpir"]
    centre, given = case["centre"], _section()
    prior = _white(case | {"centre": 0.0})
    about = Section(given.measured - centre, given.level)
    found = sample_diffpir(
        prior,
        about,
        _tensor(case["levels"]),
        replay(case),
        len(case["sample"]),
        scale=case["weight"] / 2,
        churn=case["churn"],
    )
    assert (centre + case["last_sqrt_alpha"] * found).numpy() == pytest.approx(
        _tensor(case["sample"]).numpy(), abs=2e-4
    )
