"""Test-time ensembles: the gate asked about the same section turned, mirrored or shifted, and its answers averaged.

An ideal network would answer alike; ours learnt the symmetries from examples only. What it is told of a turned specimen
is gathered anew (`views`); turning what it was told first, order of candidates and all, shows how much that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from benchmarks.scaling_strategies.pooling import geometric_mean
from benchmarks.scaling_strategies.setting import Account, Setting, from_gate
from benchmarks.scaling_strategies.symmetry import IDENTITY, SYMMETRIES, Symmetry, shifted, turned
from benchmarks.scaling_strategies.views import look
from grainloop.model.diffusion.inference.method import gate_evaluation
from grainloop.model.diffusion.network.conditions import SectionInput
from grainloop.model.reconstruct.problem import Posterior

Shift = tuple[int, int]
Ask = Callable[[Setting, Symmetry, Shift], Tensor]
"""(1, K + 1, h, w) what the gate says of the section seen otherwise, brought back; a grain never hit comes last."""

SHIFTS = tuple(
    (8 * a + 4 * b + 2 * c, 8 * d + 4 * e + 2 * f)
    for c, f in ((0, 0), (1, 1), (1, 0), (0, 1))
    for b, e in ((0, 0), (1, 1), (1, 0), (0, 1))
    for a, d in ((0, 0), (1, 1), (1, 0), (0, 1))
)
"""Rows and columns, coarse to fine within the 16 px of the coarsest grid of the network."""


def by_symmetry(setting: Setting, account: Account, seed: int) -> Posterior:
    """The eight symmetries, in sets of 1, 2, 4 or 8; with more evaluations each of them at several shifts."""
    members = [(symmetry, shift) for shift in SHIFTS for symmetry in SYMMETRIES]
    return averaged(setting, account, seed, _seen_anew, members)


def with_kept_candidates(setting: Setting, account: Account, seed: int) -> Posterior:
    """The eight symmetries of the section as it is, with the order of its candidates, up to eight evaluations."""
    return averaged(setting, account, seed, _turned, [(symmetry, (0, 0)) for symmetry in SYMMETRIES])


def by_shift(setting: Setting, account: Account, seed: int) -> Posterior:
    """Shifts alone."""
    return averaged(setting, account, seed, _turned, [(IDENTITY, shift) for shift in SHIFTS])


def averaged(
    setting: Setting, account: Account, seed: int, ask: Ask, members: Sequence[tuple[Symmetry, Shift]]
) -> Posterior:
    """The posterior of the pooled gates of the first members, as many as the largest power of two that is left."""
    opinions: list[Tensor] = []
    for member in members[: 1 << (min(account.left, len(members)).bit_length() - 1)]:
        account.spend()
        opinions.append(setting.once((ask, *member), partial(ask, setting, *member)))
    return from_gate(setting, geometric_mean(opinions)[:, :-1], seed)


def _turned(setting: Setting, symmetry: Symmetry, shift: Shift) -> Tensor:
    return symmetry.turn_back(_answer(setting, turned(setting.section, symmetry), shift))


def _seen_anew(setting: Setting, symmetry: Symmetry, shift: Shift) -> Tensor:
    if symmetry == IDENTITY:
        return _turned(setting, symmetry, shift)
    view = setting.once(("view", symmetry), lambda: look(setting.problem, setting.evidence, setting.section, symmetry))
    return view.brought_back(_answer(setting, view.section, shift)[:, :-1])


def _answer(setting: Setting, section: SectionInput, shift: Shift) -> Tensor:
    """(1, K + 1, h, w) what the gate says of a shifted section, without what was added to shift it."""
    said = gate_evaluation(setting.trained.denoiser, shifted(section, *shift))
    return torch.cat([said.weights, said.free_weight], 1)[..., shift[0] :, shift[1] :]
