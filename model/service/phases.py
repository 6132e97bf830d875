"""Sections of several phases: which phase a pixel has, and one map out of one reconstruction per phase.

The phase is that of the nearest indexed point; how sure that is follows from distance and neighbours as for grains.
Each phase is reconstructed on the whole grid from its own points, with its own symmetry, and shown where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.reconstruct import WRONG_DEG, Candidates, Posterior
from grainloop.model.reconstruct.gate import open_gate
from grainloop.model.reconstruct.problem import LARGEST_ERROR_DEG, bound_of
from grainloop.model.reconstruct.readout import LEVEL
from grainloop.model.reconstruct.seeds import MAX_LENGTH_PX, Seeds, correlation_length_px, neighbour_pairs
from grainloop.protocols.values import PointBlock

NO_PHASE = 0
SURE_OF_PHASE = 0.99
"""From here on the bound of the phase stands as it is: it then holds with probability 0.89 at least instead of 0.9."""


@dataclass(frozen=True, eq=False)
class PhaseMap:
    """The phase of each pixel.

    Attributes:
        phase_id: (h, w) uint8; 0 where no point is indexed at all.
        probability: (h, w) float32 that this is the phase.
    """

    phase_id: NDArray[np.uint8]
    probability: NDArray[np.float32]


def find_phases(shape: tuple[int, int], points: PointBlock) -> PhaseMap:
    """Nearest-neighbour phases from the indexed points, the latest of a pixel measured twice.

    Points are taken in the order of their pixels, so that of points equally near the same one counts whenever it was
    measured.
    """
    index = np.flatnonzero(points.indexed)
    pixel = points.position_px[index].astype(np.int64) @ (shape[1], 1)
    _, last = np.unique(pixel[::-1], return_index=True)
    index = index[len(index) - 1 - last]
    phase, position = points.phase_id[index], points.position_px[index]
    if len(np.unique(phase)) < 2:
        phase_id = np.full(shape, phase[0] if len(phase) else NO_PHASE, dtype=np.uint8)
        return PhaseMap(phase_id, np.ones(shape, dtype=np.float32))
    pairs, distance = neighbour_pairs(position)
    different = phase[pairs[:, 0]] != phase[pairs[:, 1]]
    length = correlation_length_px(distance, different) if different.any() else MAX_LENGTH_PX
    seeds = Seeds(position, points.orientation[index], index, phase.astype(np.int32), length)
    gate = open_gate(shape, seeds, None)
    known = np.maximum(1 - gate.free, 1e-6)
    return PhaseMap(phase[gate.seed[..., 0]], (gate.weight[..., 0] / known).astype(np.float32))


def compose(phases: PhaseMap, parts: dict[int, Posterior]) -> Posterior:
    """One posterior out of those of the phases, by phase id; a boundary lies wherever the phase changes.

    Of several phases there are no samples: those of one phase do not know where the others lie.
    """
    if len(parts) == 1 and (phases.probability == 1).all():
        return next(iter(parts.values()))
    masks = {number: phases.phase_id == number for number in parts}
    right = phases.probability * (1 - _by_phase(masks, {n: p.p_wrong for n, p in parts.items()}))
    doubt = 1 - phases.probability
    error = _by_phase(masks, {n: p.expected_error_deg for n, p in parts.items()})
    worst = np.max([p.expected_error_deg.max() for p in parts.values()])
    boundary = _by_phase(masks, {n: p.boundary for n, p in parts.items()})
    bound = _by_phase(masks, {n: bound_of(p) for n, p in parts.items()})
    return Posterior(
        orientation=_by_phase(masks, {n: p.orientation for n, p in parts.items()}),
        expected_error_deg=(phases.probability * error + doubt * worst).astype(np.float32),
        p_wrong=(1 - right).astype(np.float32),
        boundary=np.maximum(boundary, _phase_steps(phases.phase_id)),
        grain=_grains(masks, parts),
        bound90_deg=_bound90_deg(phases.probability, right, bound),
        denoised=_denoised(masks, parts),
        light=_light(masks, parts),
        candidates=_candidates(masks, parts, doubt),
        light_used=any(p.light_used for p in parts.values()),
        prior_used=any(p.prior_used for p in parts.values()),
        degraded=tuple(dict.fromkeys(note for p in parts.values() for note in p.degraded)),
    )


def _bound90_deg(
    sure: NDArray[np.float32], right: NDArray[np.floating], bound: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(h, w) bound out of that of the phase shown, which is the phase of the pixel with probability `sure` only.

    An error within another phase has no bound. So the bound of the phase stands where the phase is as good as certain;
    else `WRONG_DEG` is one where the pixel is `right`, phase and all, with `LEVEL`; and else there is none.
    """
    doubtful = np.where(right >= LEVEL, np.maximum(bound, WRONG_DEG), LARGEST_ERROR_DEG)
    return np.where(sure >= SURE_OF_PHASE, bound, doubtful).astype(np.float32)


def _denoised(masks: dict[int, NDArray[np.bool_]], parts: dict[int, Posterior]) -> NDArray[np.float32] | None:
    held = {number: part.denoised for number, part in parts.items() if part.denoised is not None}
    return _by_phase(masks, held) if len(held) == len(parts) else None


def _light(masks: dict[int, NDArray[np.bool_]], parts: dict[int, Posterior]) -> NDArray[np.float32] | None:
    """(5, h, w) PL of the one phase that has it; NaN where another phase lies."""
    for number, part in parts.items():
        if part.light is not None:
            return np.where(masks[number], part.light, np.nan).astype(np.float32)
    return None


def _by_phase(masks: dict[int, NDArray[np.bool_]], values: dict[int, NDArray[np.float32]]) -> NDArray[np.float32]:
    out = np.zeros_like(next(iter(values.values())))
    for number, mask in masks.items():
        out[mask] = values[number][mask]
    return out


def _phase_steps(phase_id: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w) 1 where the right or the lower neighbour has another phase."""
    step = np.zeros(phase_id.shape, dtype=np.float32)
    step[:, :-1] = phase_id[:, :-1] != phase_id[:, 1:]
    step[:-1] = np.maximum(step[:-1], phase_id[:-1] != phase_id[1:])
    return step


def _grains(masks: dict[int, NDArray[np.bool_]], parts: dict[int, Posterior]) -> NDArray[np.int32]:
    """Labels of all phases, made distinct; a grain that another phase cuts in two keeps one label."""
    label = np.zeros(next(iter(masks.values())).shape, dtype=np.int32)
    offset = 0
    for number, mask in masks.items():
        own = parts[number].grain
        label[mask & (own > 0)] = own[mask & (own > 0)] + offset
        offset += int(own.max())
    return label


def _candidates(
    masks: dict[int, NDArray[np.bool_]], parts: dict[int, Posterior], doubt: NDArray[np.float32]
) -> Candidates | None:
    held = {number: part.candidates for number, part in parts.items() if part.candidates is not None}
    if len(held) < len(parts):
        return None
    point = np.zeros_like(next(iter(held.values())).point)
    weight, free = np.zeros(point.shape, np.float32), np.zeros(point.shape[:2], np.float32)
    for number, own in held.items():
        mask = masks[number]
        point[mask], free[mask] = own.point[mask], own.free[mask]
        weight[mask] = own.weight[mask] * (1 - doubt[mask])[:, None]
    return Candidates(point, weight, np.maximum(free, doubt).astype(np.float32))
