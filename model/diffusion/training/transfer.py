"""From a denoiser for one Laue group to one for another: all layers that do not depend on the EBSD channels.

Distances, spacings, bending and the weights of candidates mean the same for every crystal, so that what the gate and
the backbone have learnt of one group is a beginning for another; what reads or writes EBSD channels begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grainloop.model.diffusion.checkpoints.averaged import FREE_BRANCH
from grainloop.model.diffusion.network import candidates as cand
from grainloop.model.diffusion.network.denoiser import Denoiser
from grainloop.model.diffusion.network.precondition import noise_input
from grainloop.model.diffusion.network.state import SIGMA_MAX, StateSpace

Places = dict[str, NDArray[np.intp]]
_READS = ("stem.weight",)
_WRITES = ("head.weight", "head.bias")


def transferred(source: dict[str, Tensor], of: StateSpace, target: Denoiser, to: StateSpace) -> dict[str, Tensor]:
    """The tensors of a denoiser for the group `to`: those of `target`, with all that `source`, for `of`, can lend.

    Where `source` sees PL and `target` does not, `target` begins as `source` is without PL.
    """
    found = {name: value.clone() for name, value in target.state_dict().items()}
    for name, value in source.items():
        if name in _READS:
            for here, there in _pairs(_inputs(to), _inputs(of)):
                found[name][:, here] = value[:, there]
        elif name in _WRITES:
            for here, there in _pairs(_outputs(target.outputs), _outputs(_output_sizes(target, of))):
                found[name][here] = value[there]
        elif name != "sigma_data" and not name.startswith(FREE_BRANCH):
            found[name] = value.clone()
    if of.light_channels and not to.light_channels:
        found["stem.bias"] += _unseen_light(source["stem.weight"], of)
    return found


def _inputs(space: StateSpace) -> Places:
    """Columns of the stem by what they read, in the order of `Denoiser`; EBSD channels are left out."""
    light, slots = space.light_channels, cand.COUNT
    per_slot = cand.FEATURES + (1 if light else 0)
    first = space.channels + 1 + light
    of_slots = first + np.arange(slots * per_slot).reshape(slots, per_slot)
    return {
        "light": np.arange(space.ebsd_channels, space.channels),
        "noise": np.array([space.channels]),
        "light noise": space.channels + 1 + np.arange(light),
        "features": of_slots[:, : cand.FEATURES].ravel(),
        "mismatch": of_slots[:, cand.FEATURES :].ravel(),
        "rest": first + of_slots.size + np.arange(1 + cand.CONTEXT),
    }


def _outputs(sizes: tuple[int, ...]) -> Places:
    """Rows of the head by what they say; EBSD channels are left out."""
    names = ("slots", "slopes", "free", "ebsd", "light", "boundary", "wrong")
    ends = np.cumsum(sizes)
    rows = {name: np.arange(end - size, end) for name, size, end in zip(names, sizes, ends, strict=True)}
    return {name: where for name, where in rows.items() if name != "ebsd"}


def _output_sizes(like: Denoiser, space: StateSpace) -> tuple[int, ...]:
    slots, slopes, free, _, _, boundary, wrong = like.outputs
    return slots, slopes, free, space.ebsd_channels, space.light_channels, boundary, wrong


def _pairs(here: Places, there: Places) -> Iterator[tuple[Tensor, Tensor]]:
    """Places that mean the same in both; channels that only one of them has are left out."""
    for name, where in here.items():
        if len(where) == len(there[name]):
            yield torch.from_numpy(where), torch.from_numpy(there[name])


def _unseen_light(stem: Tensor, space: StateSpace) -> Tensor:
    """What columns that read the noise level of PL add where there is no PL."""
    level = noise_input(torch.full((1,), SIGMA_MAX))
    return (stem[:, torch.from_numpy(_inputs(space)["light noise"])] * level).sum(dim=(1, 2, 3))
