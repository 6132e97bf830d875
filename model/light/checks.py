"""Checks of measured points and homologous pairs before they are used. Of images: see `features`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import BadOrientation, ShapeMismatch, check_orientations
from grainloop.model.light.errors import UnfitPoints

MIN_PAIRS = 3


def check_points(points_px: NDArray[np.integer], values: NDArray[np.floating], grid_shape: tuple[int, int]) -> None:
    """Refuse points outside the grid and values (n, k) that are not one finite row per point.

    Raises:
        UnfitPoints: the message names the first fault.
    """
    if points_px.ndim != 2 or points_px.shape[1:] != (2,) or len(points_px) != len(values):
        raise UnfitPoints(
            f"{len(values)} values do not fit points of shape {points_px.shape}.", field="points_px", value=len(values)
        )
    outside = ((points_px < 0) | (points_px >= np.array(grid_shape))).any(axis=1)
    if outside.any():
        first = points_px[np.argmax(outside)].tolist()
        raise UnfitPoints(f"The point {first} lies outside the grid of {grid_shape}.", field="points_px", value=first)
    broken = ~np.isfinite(values).all(axis=1)
    if broken.any():
        first = points_px[np.argmax(broken)].tolist()
        raise UnfitPoints(f"The point {first} carries a value that is no number.", field="values", value=first)


def check_quaternions(quaternions: NDArray[np.floating]) -> None:
    """Refuse orientations that are not (n, 4) unit quaternions.

    Raises:
        UnfitPoints: the message names the first fault.
    """
    try:
        check_orientations(quaternions)
    except (BadOrientation, ShapeMismatch) as error:
        raise UnfitPoints(f"Orientations of measured points: {error}.", field="quaternions") from error


def check_pairs(pairs_grid: NDArray[np.floating], pairs_light: NDArray[np.floating]) -> None:
    """Refuse homologous pairs from which no affine map follows.

    Raises:
        UnfitPoints: other than (n, 2) numbers on both sides, fewer than three, or all on one line.
    """
    if pairs_grid.shape != pairs_light.shape or pairs_grid.ndim != 2 or pairs_grid.shape[1] != 2:
        raise UnfitPoints(
            f"Homologous points of shapes {pairs_grid.shape} and {pairs_light.shape} are no pairs.", field="pairs"
        )
    if not (np.isfinite(pairs_grid).all() and np.isfinite(pairs_light).all()):
        raise UnfitPoints("A homologous point is no number.", field="pairs")
    about = pairs_grid - pairs_grid.mean(axis=0) if len(pairs_grid) else pairs_grid
    if len(pairs_grid) < MIN_PAIRS or np.linalg.matrix_rank(about, tol=1e-6 * max(np.abs(about).max(), 1.0)) < 2:
        raise UnfitPoints(
            f"{len(pairs_grid)} homologous pairs fix no affine map: {MIN_PAIRS} that are not on one line are needed.",
            field="pairs",
            value=len(pairs_grid),
        )
