"""How good a denoiser is on maps whose truth is known: the gate's map and its doubt against the truth.

Synthetic specimens are drawn here and always the same; other maps are handed in by the caller. Training never sees
either. When validation happens, and what follows from it, is decided in `records`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from grainloop.model.crystal import disorientation_deg
from grainloop.model.diffusion.checkpoints.shipped import Weights
from grainloop.model.diffusion.inference.method import reconstruct
from grainloop.model.diffusion.network.denoiser import Denoiser
from grainloop.model.diffusion.network.state import StateSpace
from grainloop.model.diffusion.training.examples import ExampleConfig, make_batch, unpack
from grainloop.model.diffusion.training.losses import free_loss
from grainloop.model.estimate.scores import auroc
from grainloop.model.microstructure import Example, draw_example
from grainloop.model.reconstruct.problem import (
    WRONG_DEG,
    Options,
    Posterior,
    Problem,
    RegisteredLight,
    SparsePoints,
    never,
    no_report,
)

SYNTHETIC = "synth"
SELECTED_BY = f"val_{SYNTHETIC}_wrong"
"""The figure that says which weights are best: real maps stay unseen."""
FREE_SELECTED_BY = "val_free"
"""The figure where the free branch alone is trained."""
_SEED = 7_013_2026
_STATES = 2
"""Batches of states that the free branch is tried on."""
_STREAM = 0x76616C
"""Keeps these specimens apart from those of any training, whose generators are seeded by two numbers."""


@dataclass(frozen=True)
class ValidationConfig:
    """What is validated, and how often.

    Attributes:
        specimens: synthetic ones; 0 leaves validation on them out.
        shape_px: of each.
        shares: of the pixels measured, on regular grids; every specimen is taken with each.
        real_maps: whether the maps that ship are validated on, where their Laue group is the model's.
        every_s: wall seconds between validations; there is one more at the end.
    """

    specimens: int = 24
    shape_px: tuple[int, int] = (96, 96)
    shares: tuple[float, ...] = (0.021, 0.0625, 0.25)
    real_maps: bool = True
    every_s: float = 900.0


@dataclass(frozen=True, eq=False)
class Case:
    """A problem and its answer.

    Attributes:
        name: of the set of maps it belongs to, as in the names of the figures.
        share: of the pixels measured.
        problem: what is known.
        truth: (h, w, 4) orientations.
        inside: (h, w) bool, the pixels that count.
    """

    name: str
    share: float
    problem: Problem
    truth: NDArray[np.float32]
    inside: NDArray[np.bool_]


def regular_grid(shape: tuple[int, int], share: float) -> NDArray[np.int32]:
    """(n, 2) row, column of a centred regular grid of about `share` of the pixels."""
    counts = [max(1, round(n * share**0.5)) for n in shape]
    rows, columns = (((np.arange(k) + 0.5) * n / k).astype(np.int32) for n, k in zip(shape, counts, strict=True))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def synthetic_cases(space: StateSpace, config: ValidationConfig) -> list[Case]:
    """The fixed synthetic specimens, each at every share."""
    drawn = [
        draw_example(np.random.default_rng([_SEED, _STREAM, number + 1]), config.shape_px, space.group.name)
        for number in range(config.specimens)
    ]
    return [
        synthetic_case(example, regular_grid(config.shape_px, share), share, space)
        for example in drawn
        for share in config.shares
    ]


def synthetic_case(drawn: Example, position: NDArray[np.int32], share: float, space: StateSpace) -> Case:
    """A synthetic specimen of which the pixels `position` (n, 2), nominally a `share` of all, were measured."""
    rows, columns = drawn.valid.shape
    at = tuple(position.T)
    points = SparsePoints(position, drawn.observed[at], drawn.indexed[at])
    light = RegisteredLight(drawn.light, drawn.light_sigma) if space.light_channels else None
    return Case(SYNTHETIC, share, Problem((rows, columns), space.group.name, points, light), drawn.truth, drawn.valid)


def validate(denoiser: Denoiser, space: StateSpace, cases: Iterable[Case]) -> dict[str, float]:
    """Figures of the gate's maps over the pixels of all cases of a name, and of those of a name and share.

    Names are `val_<name>_<figure>`, followed by `_<percent>` for one share: `wrong` and `predicted` are the true and
    the expected share of pixels off by more than 5°, `auroc` says how well doubt ranks the wrong pixels (NaN where all
    or none are wrong), and `error_deg` is the mean disorientation.
    """
    trained = Weights(copy.deepcopy(denoiser).cpu().eval(), space, "")
    seen: dict[tuple[str, str], list[tuple[NDArray[np.floating], NDArray[np.floating]]]] = {}
    for case in cases:
        pair = _error_and_doubt(trained, case)
        for suffix in ("", f"_{100 * case.share:.0f}"):
            seen.setdefault((case.name, suffix), []).append(pair)
    return {
        f"val_{name}_{figure}{suffix}": value
        for (name, suffix), pairs in seen.items()
        for figure, value in _figures(pairs).items()
    }


def validate_free(denoiser: Denoiser, space: StateSpace, config: ExampleConfig) -> dict[str, float]:
    """`val_free`: denoising loss of the free branch on states of which nothing is measured, always the same ones."""
    tried = copy.deepcopy(denoiser).cpu().eval()
    losses: list[float] = []
    for number in range(_STATES):
        rng = np.random.default_rng([_SEED, _STREAM, _SEED + number])
        drawn = make_batch(rng, space, replace(config, gate_share=0.0, prior_share=1.0))
        given, truth = unpack({name: torch.from_numpy(value) for name, value in drawn.items()})
        with torch.inference_mode():
            losses.append(float(free_loss(tried(given), given, truth, tried.sigma_data)))
    return {FREE_SELECTED_BY: float(np.mean(losses))}


def _error_and_doubt(trained: Weights, case: Case) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Error in degrees and P(wrong) of the pixels that count."""
    found, error = solve(trained, case)
    return error, found.p_wrong[case.inside]


def solve(trained: Weights, case: Case) -> tuple[Posterior, NDArray[np.floating]]:
    """The posterior of a case, and its true error in degrees at the pixels that count."""
    found = reconstruct(trained, case.problem, Options(), no_report, never)
    at = case.inside
    return found, np.asarray(disorientation_deg(found.orientation[at], case.truth[at], case.problem.laue_group))


def _figures(pairs: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]]) -> dict[str, float]:
    error, doubt = (np.concatenate(part) for part in zip(*pairs, strict=True))
    wrong = error > WRONG_DEG
    return {
        "wrong": float(wrong.mean()),
        "predicted": float(doubt.mean(dtype=np.float64)),
        "auroc": auroc(doubt, wrong),
        "error_deg": float(error.mean(dtype=np.float64)),
    }
