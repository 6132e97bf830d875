"""Best of N with a verifier (Cobbe et al. 2021): samples made without some of the points, judged by those and by PL.

Samples are drawn down to a middle noise level from the reduced problem, judged there, and finished with all points: the
best as a whole, the best of each region, or all of them weighed by how well they did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from benchmarks.scaling_strategies.draws import Draw, generator, orientation_of, walk
from benchmarks.scaling_strategies.repeated import orientations
from benchmarks.scaling_strategies.setting import Account, Setting, from_gate
from benchmarks.scaling_strategies.verifier import withhold
from benchmarks.scaling_strategies.weighing import tempered
from grainloop.model.diffusion.inference.sampler import START, karras_levels, renoise
from grainloop.model.diffusion.network.denoiser import Denoised
from grainloop.model.reconstruct.problem import Posterior

STEPS = 2
"""Evaluations of a sample before it is judged."""
FINISH = 0.6
"""Noise level at which all points join: the second of three levels of the sampler."""
WINDOW_PX = 8.0
"""Standard deviation of the window in which scores are summed for the best of each region."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Samples of the reduced problem.

    Attributes:
        x: (n, C, h, w) their states.
        score: (n, h, w) log-likelihood of what was withheld, per pixel.
    """

    x: Tensor
    score: NDArray[np.float64]


def best(setting: Setting, account: Account, seed: int) -> Posterior:
    """The sample that does best over the whole section, finished."""
    judged = _judged(setting, account, seed, finishing=1, each=0)
    if judged is None:
        return _gate(setting, account, seed)
    winner = int(judged.score.sum(axis=(1, 2)).argmax())
    return from_gate(setting, finish(setting, account, judged.x[winner][None], seed).weights, seed)


def best_of_each_region(setting: Setting, account: Account, seed: int) -> Posterior:
    """A mosaic of the samples that do best around each pixel, finished."""
    judged = _judged(setting, account, seed, finishing=1, each=0)
    if judged is None:
        return _gate(setting, account, seed)
    smooth = np.stack([gaussian_filter(score, WINDOW_PX, mode="nearest") for score in judged.score])
    winner = torch.from_numpy(smooth.argmax(axis=0))[None, None].expand(1, *judged.x.shape[1:])
    return from_gate(setting, finish(setting, account, judged.x.gather(0, winner), seed).weights, seed)


def weighed(setting: Setting, account: Account, seed: int) -> Posterior:
    """The mean gate of all samples, weighed by a softmax of their scores that keeps half of them effective."""
    judged = _judged(setting, account, seed, finishing=0, each=1)
    if judged is None:
        return _gate(setting, account, seed)
    draws = [finish(setting, account, x[None], seed + number) for number, x in enumerate(judged.x)]
    share = torch.from_numpy(tempered(judged.score.sum(axis=(1, 2)))).float()
    mean = torch.einsum("n,n...->...", share, torch.stack([each.weights for each in draws]))
    return replace(from_gate(setting, mean, seed), samples=orientations(setting, draws))


def finish(setting: Setting, account: Account, x: Tensor, seed: int) -> Draw:
    """A state (1, C, h, w) put back to `FINISH` with all points in place, and denoised once."""
    account.spend()
    noisy = renoise(setting.section, x, FINISH, generator(seed, 0x666E))
    said = setting.denoise_at(noisy, FINISH)
    return Draw(said.state, said.weights)


def _gate(setting: Setting, account: Account, seed: int) -> Posterior:
    return from_gate(setting, setting.first(account).weights, seed)


def _judged(setting: Setting, account: Account, seed: int, *, finishing: int, each: int) -> Judged | None:
    """As many samples as leave `finishing` evaluations, and `each` per sample; None if there is none."""
    count = (account.left - 1 - finishing) // (STEPS + each)
    if count < 1:
        return None
    reduced, verify = withhold(setting, seed)
    first = reduced.first(account)
    found: list[tuple[Tensor, NDArray[np.float64]]] = []
    for number in range(count):
        account.spend(STEPS)
        x = reduced.once(("early", seed, number), partial(_early, reduced, account, first, generator(seed, number)))
        found.append((x, verify(orientation_of(reduced, x))))
    return Judged(torch.cat([x for x, _ in found]), np.stack([score for _, score in found]))


def _early(setting: Setting, account: Account, first: Denoised, noise: torch.Generator) -> Tensor:
    """The denoised estimate (1, C, h, w) after the first `STEPS` levels of the sampler."""
    levels = torch.cat([karras_levels(STEPS + 1, START)[:STEPS], torch.zeros(1)])
    return walk(setting, account, first, levels, noise)[0]
