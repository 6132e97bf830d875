"""What every strategy is given and gives back: a prepared section, an account of evaluations, a posterior.

A strategy spends evaluations of the network on one problem. Evaluations are remembered by what went into them, so that
strategies and budgets that share some cost no time twice; the account counts them all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.method import candidate_weights, gate_evaluation, gate_samples, map_of
from grainloop.model.diffusion.network.conditions import Evidence, SectionInput, gather_evidence, section_input
from grainloop.model.diffusion.network.denoiser import Conditions, Denoised
from grainloop.model.diffusion.network.tiles import evaluate
from grainloop.model.reconstruct.problem import IsCancelled, Options, Posterior, Problem, never
from grainloop.protocols.errors import Cancelled

MEMBERS = 8
"""Samples drawn from a gate by its Gumbel fields; they cost no evaluation."""

T = TypeVar("T")


class OverBudget(ValueError):
    """A strategy asked for more evaluations than it was given."""


class Account:
    """Evaluations given and spent; also where a strategy learns that it is no longer wanted."""

    def __init__(self, budget: int, cancelled: IsCancelled = never) -> None:
        self.budget, self.spent = budget, 0
        self._cancelled = cancelled

    @property
    def left(self) -> int:
        """Evaluations that may still be spent."""
        return self.budget - self.spent

    def spend(self, count: int = 1) -> None:
        """Book evaluations before they are made.

        Raises:
            Cancelled: the caller withdrew.
            OverBudget: there are not so many left.
        """
        self.check()
        if count > self.left:
            raise OverBudget(f"{count} evaluations asked for, {self.left} of {self.budget} left")
        self.spent += count

    def check(self, *_step: int) -> None:
        """Raise Cancelled if the caller withdrew; fits the hooks of the sampler and of tiles."""
        if self._cancelled():
            raise Cancelled(f"The reconstruction was cancelled after {self.spent} evaluations.")


@dataclass(frozen=True, eq=False)
class Setting:
    """One problem, ready for the network.

    Attributes:
        trained: the weights.
        problem: what is known.
        evidence: its seeds and candidates; at least one seed.
        section: the same as tensors.
        memory: results by what went into them.
    """

    trained: Weights
    problem: Problem
    evidence: Evidence
    section: SectionInput
    memory: dict[Hashable, Any] = field(default_factory=dict[Hashable, Any])

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The result of `compute`, remembered by `key`."""
        if key not in self.memory:
            self.memory[key] = compute()
        return self.memory[key]

    def first(self, account: Account) -> Denoised:
        """What the gate says at σ_max: one evaluation, shared by all strategies."""
        account.spend()
        return self.once("first", lambda: gate_evaluation(self.trained.denoiser, self.section))

    @torch.inference_mode()
    def denoise(self, given: Conditions) -> Denoised:
        """One evaluation; booked by whoever asks for it."""
        return evaluate(self.trained.denoiser, given)

    def denoise_at(self, x: Tensor, sigma: float) -> Denoised:
        """One evaluation of states `x` at level `sigma`, or at that of what was measured where it is lower."""
        return self.denoise(self.section.at(x, self.section.level.clamp_max(sigma)))


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a strategy made of its budget.

    Attributes:
        posterior: map, P(wrong) and samples.
        evaluations: of the network, at most the budget.
    """

    posterior: Posterior
    evaluations: int


Strategy = Callable[[Setting, Account, int], Posterior]
"""Called with the section, the evaluations that it may spend, and a seed; the same for the same three."""


def prepare(trained: Weights, problem: Problem) -> Setting:
    """A problem as strategies want it.

    Raises:
        ValueError: no point carries an orientation, so that no evaluation could help.
    """
    evidence = gather_evidence(problem, trained.space)
    if not len(evidence.seeds):
        raise ValueError("a strategy needs a measured orientation")
    return Setting(trained, problem, evidence, section_input(problem.shape, evidence, trained.space))


def apply(strategy: Strategy, setting: Setting, budget: int, seed: int, cancelled: IsCancelled = never) -> Outcome:
    """Spend up to `budget` evaluations, at least one.

    Raises:
        Cancelled: `cancelled` said so before one of the evaluations.
    """
    account = Account(budget, cancelled)
    found = strategy(setting, account, seed)
    return Outcome(found, account.spent)


def from_gate(setting: Setting, weights: Tensor, seed: int) -> Posterior:
    """The posterior of candidate weights (1, K, h, w), with samples from them."""
    at, weight = candidate_weights(setting.section, weights)
    found = map_of(setting.problem, setting.evidence, at, weight)
    return replace(found, samples=gate_samples(setting.evidence, at, weight, Options(members=MEMBERS, seed=seed)))
