"""Grains: connected pixels without a boundary between them. Twins and subgrains are grains like others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.model.crystal.neighbours import GRAIN_THRESHOLD_DEG, boundaries_between
from grainloop.model.crystal.symmetry import LaueGroup


def segment_grains(
    q_map: ArrayLike,
    group: LaueGroup | str,
    threshold_deg: float = GRAIN_THRESHOLD_DEG,
    valid: ArrayLike | None = None,
    min_size_px: int = 1,
) -> NDArray[np.int32]:
    """(h, w) int32 labels 1, 2, … in raster order of the grains' first pixels.

    Pixels are joined to their right and lower neighbour where the disorientation is at most `threshold_deg`; so a grain
    may drift by more than the threshold across its width. Label 0: outside `valid`, or in a grain of fewer than
    `min_size_px` pixels.

    Raises:
        BadOrientation, ShapeMismatch, UnknownPointGroup: see `neighbours.checked_map` and `laue_group`.
    """
    from grainloop.model.crystal import _grain_kernels

    right, down = boundaries_between(q_map, group, threshold_deg, valid)
    shape = (right.shape[0], down.shape[1])
    mask = np.ones(shape, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    labels = np.empty(shape, np.int32)
    _grain_kernels.label(right, down, mask, min_size_px, labels)
    return labels
