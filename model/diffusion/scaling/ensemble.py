"""Test-time ensembles: the gate asked about the same section turned, mirrored or shifted, and its answers averaged.

An ideal network would answer alike; ours learnt the symmetries from examples only.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from model.diffusion.method import gate_evaluation
from model.diffusion.scaling.pooling import geometric_mean
from model.diffusion.scaling.setting import Account, Setting, from_gate
from model.diffusion.scaling.symmetry import IDENTITY, SYMMETRIES, Symmetry, shifted, turned
from model.reconstruct.problem import Posterior

SHIFTS = tuple(
    (8 * a + 4 * b + 2 * c, 8 * d + 4 * e + 2 * f)
    for c, f in ((0, 0), (1, 1), (1, 0), (0, 1))
    for b, e in ((0, 0), (1, 1), (1, 0), (0, 1))
    for a, d in ((0, 0), (1, 1), (1, 0), (0, 1))
)
"""Rows and columns, coarse to fine within the 16 px of the coarsest grid of the network."""

Member = tuple[Symmetry, tuple[int, int]]


def by_symmetry(setting: Setting, account: Account, seed: int) -> Posterior:
    """The eight symmetries, in sets of 1, 2, 4 or 8; with more evaluations each of them at several shifts."""
    members = [(symmetry, shift) for shift in SHIFTS for symmetry in SYMMETRIES]
    return averaged(setting, account, seed, members[: _power_of_two(account.left)])


def by_shift(setting: Setting, account: Account, seed: int) -> Posterior:
    """Shifts alone."""
    return averaged(setting, account, seed, [(IDENTITY, shift) for shift in SHIFTS[: _power_of_two(account.left)]])


def averaged(setting: Setting, account: Account, seed: int, members: Iterable[Member]) -> Posterior:
    """The posterior of the mean gate of some members."""
    return from_gate(setting, geometric_mean([ask(setting, account, *member) for member in members])[:, :-1], seed)


def ask(setting: Setting, account: Account, symmetry: Symmetry, shift: tuple[int, int]) -> Tensor:
    """(1, K + 1, h, w) what the gate says of the section seen otherwise, brought back; a grain never hit comes last."""
    account.spend()
    return setting.once((symmetry, shift), lambda: _ask(setting, symmetry, *shift))


def _ask(setting: Setting, symmetry: Symmetry, down: int, right: int) -> Tensor:
    section = shifted(turned(setting.section, symmetry), down, right)
    said = gate_evaluation(setting.trained.denoiser, section)
    probability = torch.cat([said.weights, said.free_weight], 1)[..., down:, right:]
    return symmetry.turn_back(probability)


def _power_of_two(limit: int) -> int:
    return 1 << (min(limit, len(SHIFTS)).bit_length() - 1)
