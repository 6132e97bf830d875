"""From posterior samples of the state to a map and its uncertainty: shares and means over the samples.

The map takes at each pixel the sample that lies closest to all others; measured pixels keep what was measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from grainloop.model.crystal import boundary_map, disorientation_deg
from grainloop.model.diffusion.network.state import StateSpace, orientations_of
from grainloop.model.reconstruct.problem import WRONG_DEG, Posterior
from grainloop.model.reconstruct.readout import grain_labels
from grainloop.model.reconstruct.seeds import Seeds

Floats = NDArray[np.float32]


def medoid(orientation: Floats, group: str) -> Floats:
    """(h, w, 4) the sample of (S, h, w, 4) whose summed disorientation to the others is least."""
    total = np.zeros(orientation.shape[:3], np.float32)
    for i in range(len(orientation)):
        for j in range(i):
            angle = disorientation_deg(orientation[i], orientation[j], group)
            total[i] += angle
            total[j] += angle
    return np.take_along_axis(orientation, total.argmin(axis=0)[None, ..., None], axis=0)[0]


def boundary_share(orientation: Floats, group: str) -> Floats:
    """(h, w) share of the samples (S, h, w, 4) with a grain boundary towards the right or the lower neighbour."""
    crossed = np.stack([boundary_map(sample, group, WRONG_DEG) for sample in orientation])
    return crossed.mean(axis=0, dtype=np.float32)


def read_samples(
    samples: Tensor, space: StateSpace, seeds: Seeds, *, light_used: bool, notes: tuple[str, ...]
) -> Posterior:
    """The posterior of samples (S, C, h, w) of the state."""
    group = space.group.name
    orientation = orientations_of(samples.numpy(), space)
    chosen = medoid(orientation, group)
    chosen[tuple(seeds.position.T)] = seeds.orientation
    angle = disorientation_deg(orientation, chosen[None], group)
    return Posterior(
        orientation=chosen,
        expected_error_deg=angle.mean(axis=0, dtype=np.float32),
        p_wrong=(angle > WRONG_DEG).mean(axis=0, dtype=np.float32),
        boundary=boundary_share(orientation, group),
        grain=grain_labels(chosen, group),
        light_used=light_used,
        degraded=notes,
    )
