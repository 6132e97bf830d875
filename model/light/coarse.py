"""Coarse registration for large offsets: mutual information between a PL channel and the predicted PL of the points.

SimpleITK does the search, on the nearest-neighbour map of the points; it is imported here alone, and only when called.
What it finds is a start for `refine`, which judges it by the points themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from grainloop.model.light.warp import BILINEAR, Warp, centre, grid_positions

Array = NDArray[np.float64]


def nearest_map(points_px: Array, values: Array, shape: tuple[int, int]) -> Array:
    """(h, w) value of the nearest point."""
    nearest = KDTree(points_px).query(grid_positions(shape))[1]
    return values[nearest].reshape(shape)


def mutual_information_warp(predicted: Array, channel: NDArray[np.floating], start: Warp) -> Warp:
    """The similarity transform that maximises Mattes mutual information, searched from `start` by multi-resolution.

    Args:
        predicted: (h, w) predicted PL on the EBSD grid.
        channel: (H, W) PL channel.
        start: first guess; its bilinear and smooth parts are dropped.
    """
    import SimpleITK as sitk  # noqa: N813

    step = 1 / start.scale
    fixed, moving = _image(sitk, predicted, 1.0), _image(sitk, channel, step)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(24)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 200, relaxationFactor=0.7)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([6.0, 3.0, 1.5])
    method.SetGlobalDefaultNumberOfThreads(1)
    transform = _initial(sitk, start)
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    return _as_warp(transform, start)


def _image(sitk: Any, values: NDArray[np.floating], spacing: float) -> Any:
    """A SimpleITK image in EBSD pixels whose origin is the centre of the field."""
    clipped = np.clip(values, *np.nanpercentile(values, [0.5, 99.5]))
    image = sitk.GetImageFromArray(np.nan_to_num(clipped).astype(np.float32))
    middle = centre((values.shape[0], values.shape[1])) * spacing
    image.SetSpacing((spacing, spacing))
    image.SetOrigin((-middle[1], -middle[0]))
    return image


def _initial(sitk: Any, start: Warp) -> Any:
    """The similarity part of `start`, as (x, y) about the centre of the field."""
    matrix, shift = _linear_part(start)
    transform = sitk.Similarity2DTransform()
    transform.SetScale(float(np.sqrt(abs(np.linalg.det(matrix)))))
    transform.SetAngle(float(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])))
    transform.SetTranslation([float(shift[1]), float(shift[0])])
    return transform


def _linear_part(warp: Warp) -> tuple[Array, Array]:
    """Matrix in (x, y) and shift in (row, column) of the affine part about the centre, in EBSD pixels."""
    half = centre(warp.grid_shape)
    rows_columns = np.eye(2) + warp.coefficients[:, 1:3] / half
    return rows_columns[::-1, ::-1], warp.coefficients[:, 0]


def _as_warp(transform: Any, start: Warp) -> Warp:
    matrix = np.asarray(transform.GetMatrix()).reshape(2, 2)[::-1, ::-1]
    shift_x, shift_y = np.asarray(transform.TransformPoint((0.0, 0.0)))
    coefficients = np.zeros((2, BILINEAR))
    coefficients[:, 0] = shift_y, shift_x
    coefficients[:, 1:3] = (matrix - np.eye(2)) * centre(start.grid_shape)
    return replace(start, coefficients=coefficients)
