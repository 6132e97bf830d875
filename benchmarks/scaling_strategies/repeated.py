"""More samples and more steps: what many samples agree on, and whether samples get better with care.

The map of many samples is their medoid, the vote of their pixels for a candidate (self-consistency, Wang et al. 2023),
or the mean of the gate at their last steps, which is the vote's expectation (Rao–Blackwell).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.scaling_strategies.draws import STEPS, Draw, draw, orientation_of, votes
from benchmarks.scaling_strategies.setting import Account, Setting, from_gate
from grainloop.model.crystal import disorientation_deg
from grainloop.model.reconstruct.problem import WRONG_DEG, Posterior
from grainloop.model.reconstruct.readout import grain_labels

SAMPLES = 4
"""Samples that `more_steps` takes with as many steps as it can afford."""


def medoid(setting: Setting, account: Account, seed: int) -> Posterior:
    """Each pixel takes the orientation nearest to those of all samples."""
    gate, draws = _drawn(setting, account, seed)
    if len(draws) < 2:
        return gate
    samples = orientations(setting, draws)
    angle = np.stack([disorientation_deg(samples, each, setting.problem.laue_group) for each in samples])
    chosen = angle.mean(axis=1).argmin(axis=0)[None]
    from_chosen = np.take_along_axis(angle, chosen[None], axis=0)[0]
    orientation = np.take_along_axis(samples, chosen[..., None], axis=0)[0]
    return with_map(setting, replace(gate, samples=samples), orientation, from_chosen)


def vote(setting: Setting, account: Account, seed: int) -> Posterior:
    """Each pixel of a sample votes for the candidate nearest to it; the share of votes is the probability."""
    gate, draws = _drawn(setting, account, seed)
    if not draws:
        return gate
    shares = torch.stack([votes(setting, each.x) for each in draws]).mean(0)
    return replace(from_gate(setting, shares, seed), samples=orientations(setting, draws))


def mean_gate(setting: Setting, account: Account, seed: int) -> Posterior:
    """The mean of the gate over the last steps of all samples."""
    gate, draws = _drawn(setting, account, seed)
    return of_mean_gate(setting, draws, seed) if draws else gate


def more_steps(setting: Setting, account: Account, seed: int) -> Posterior:
    """`SAMPLES` samples, each of as many steps as there are evaluations for; the map by `mean_gate`."""
    first = setting.first(account)
    steps = account.left // SAMPLES
    if not steps:
        return from_gate(setting, first.weights, seed)
    draws = [draw(setting, account, first, seed + number, steps) for number in range(SAMPLES)]
    return of_mean_gate(setting, draws, seed)


def of_mean_gate(setting: Setting, draws: list[Draw], seed: int) -> Posterior:
    """The posterior of the mean gate of some draws, with themselves as its samples."""
    mean = torch.stack([each.weights for each in draws]).mean(0)
    return replace(from_gate(setting, mean, seed), samples=orientations(setting, draws))


def _drawn(setting: Setting, account: Account, seed: int) -> tuple[Posterior, list[Draw]]:
    """What the gate says, and as many samples as there are evaluations for."""
    first = setting.first(account)
    draws = [draw(setting, account, first, seed + number) for number in range(account.left // STEPS)]
    return from_gate(setting, first.weights, seed), draws


def orientations(setting: Setting, draws: list[Draw]) -> NDArray[np.float32]:
    """(n, h, w, 4) the maps of some draws."""
    return np.stack([orientation_of(setting, each.x) for each in draws])


def with_map(
    setting: Setting, gate: Posterior, orientation: NDArray[np.float32], angle_deg: NDArray[np.floating]
) -> Posterior:
    """A posterior that takes another map; its doubt is how many samples are off it, by angles (n, h, w)."""
    return replace(
        gate,
        orientation=orientation,
        p_wrong=(angle_deg > WRONG_DEG).mean(axis=0).astype(np.float32),
        expected_error_deg=angle_deg.mean(axis=0).astype(np.float32),
        grain=grain_labels(orientation, setting.problem.laue_group),
        bound90_deg=None,
        candidates=None,
    )
