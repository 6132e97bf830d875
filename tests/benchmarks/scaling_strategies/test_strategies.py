"""What holds of every strategy: its budget, its seed, its cancellation, and the form of what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from benchmarks.scaling_strategies.setting import Account, Outcome, OverBudget, Setting, apply, prepare
from benchmarks.scaling_strategies.strategies import STRATEGIES
from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.method import reconstruct
from grainloop.model.diffusion.network.denoiser import Conditions, Denoised, Denoiser
from grainloop.model.reconstruct import Options, Problem, never, no_report
from grainloop.protocols.errors import Cancelled

BUDGET = 13
SPENT = {"symmetry": 8, "symmetry, candidates kept": 8, "shift": 8, "best of N": 12, "best of each region": 12}
"""Where the parts into which a budget of 13 can be cut do not add up to 13: powers of two, pairs beside three."""


class Counting(Denoiser):
    """Counts its evaluations, one per map."""

    evaluations = 0

    def forward(self, given: Conditions, *, corrected: bool = True) -> Denoised:
        self.evaluations += len(given.x)
        return super().forward(given, corrected=corrected)


def counting(trained: Weights) -> Counting:
    denoiser = Counting(trained.denoiser.sigma_data.flatten(), trained.denoiser.light_channels)
    denoiser.load_state_dict(trained.denoiser.state_dict())
    return denoiser.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def alone(trained: Weights, problem: Problem) -> Callable[[str], Outcome]:
    """What a strategy finds in a setting that nobody used before it; found once."""
    return cache(lambda name: apply(STRATEGIES[name], prepare(trained, problem), BUDGET, 5))


@pytest.fixture(scope="module")
def used(trained: Weights, problem: Problem) -> Setting:
    """A setting that remembers something of every strategy."""
    setting = prepare(trained, problem)
    for strategy in STRATEGIES.values():
        apply(strategy, setting, 9, 5)
    return setting


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_booked_is_what_is_evaluated(trained: Weights, problem: Problem, name: str) -> None:
    denoiser = counting(trained)
    found = apply(STRATEGIES[name], prepare(replace(trained, denoiser=denoiser), problem), BUDGET, 5)
    assert denoiser.evaluations == found.evaluations == SPENT.get(name, BUDGET)


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("name", STRATEGIES)
def test_no_budget_is_exceeded(setting: Setting, name: str, budget: int) -> None:
    assert 1 <= apply(STRATEGIES[name], setting, budget, 5).evaluations <= budget


@pytest.mark.parametrize("name", STRATEGIES)
def test_one_evaluation_is_the_default_method(setting: Setting, problem: Problem, name: str) -> None:
    found = apply(STRATEGIES[name], setting, 1, 5).posterior
    default = reconstruct(setting.trained, problem, Options(members=8, seed=5), no_report, never)
    assert np.array_equal(found.orientation, default.orientation)
    assert found.p_wrong == pytest.approx(default.p_wrong, abs=1e-5)
    assert found.samples is not None
    assert default.samples is not None
    assert np.mean(np.any(found.samples != default.samples, axis=-1)) < 1e-3


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_seed_decides_everything(
    trained: Weights, problem: Problem, alone: Callable[[str], Outcome], name: str
) -> None:
    first, again = alone(name).posterior, apply(STRATEGIES[name], prepare(trained, problem), BUDGET, 5).posterior
    assert np.array_equal(first.orientation, again.orientation)
    assert np.array_equal(first.p_wrong, again.p_wrong)
    assert np.array_equal(first.samples, again.samples)


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_remembered_changes_nothing(used: Setting, alone: Callable[[str], Outcome], name: str) -> None:
    warm = apply(STRATEGIES[name], replace(used, memory=dict(used.memory)), BUDGET, 5)
    assert warm.evaluations == alone(name).evaluations
    assert np.array_equal(warm.posterior.p_wrong, alone(name).posterior.p_wrong)


@pytest.mark.parametrize("name", STRATEGIES)
def test_measured_pixels_keep_what_was_measured(problem: Problem, alone: Callable[[str], Outcome], name: str) -> None:
    found = alone(name).posterior
    at = tuple(problem.points.position_px.T)
    assert np.array_equal(found.orientation[at], problem.points.orientation)
    assert found.samples is not None
    assert np.array_equal(found.samples[0][at], problem.points.orientation)
    assert ((found.p_wrong >= 0) & (found.p_wrong <= 1)).all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_caller_can_withdraw_between_evaluations(setting: Setting, name: str) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 4

    with pytest.raises(Cancelled, match="evaluations"):
        apply(STRATEGIES[name], setting, BUDGET, 5, cancelled)


def test_an_account_cannot_be_overdrawn() -> None:
    account = Account(3)
    account.spend(2)
    with pytest.raises(OverBudget, match="2 evaluations asked for, 1 of 3 left"):
        account.spend(2)
    assert account.spent == 2


def test_without_a_measured_orientation_there_is_no_setting(trained: Weights, problem: Problem) -> None:
    empty = replace(problem, points=problem.points.select(np.zeros(len(problem.points), np.bool_)))
    with pytest.raises(ValueError, match="measured orientation"):
        prepare(trained, empty)


def test_the_ensemble_of_an_equivariant_answer_is_that_answer(setting: Setting) -> None:
    """Without a network there is only the prior, which turns with the section."""
    with torch.no_grad():
        blind = Denoiser(setting.trained.denoiser.sigma_data.flatten(), 5).eval()
    blind_setting = replace(setting, trained=replace(setting.trained, denoiser=blind), memory={})
    one, kept, anew = (
        apply(STRATEGIES[name], blind_setting, budget, 5).posterior.p_wrong
        for name, budget in (("symmetry", 1), ("symmetry, candidates kept", 8), ("symmetry", 8))
    )
    assert kept == pytest.approx(one, abs=2e-4)
    assert np.abs(anew - one).mean() < 0.01  # ties and the sweeps of the smoothing fall otherwise
