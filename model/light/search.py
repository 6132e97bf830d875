"""Which warp to believe: starts, coarse stage, refinement, and the decision for or against a smooth field.

`refine` and `coarse` do the work; what the result is worth is `align`'s verdict.
"""

from __future__ import annotations

from grainloop.model.light.coarse import mutual_information_warp, nearest_map
from grainloop.model.light.explain import explained_variance
from grainloop.model.light.features import LightFeatures
from grainloop.model.light.refine import (
    COARSE_LEVELS_PX,
    FINE_LEVELS_PX,
    FINE_LOSS,
    MOST_STRETCH,
    PointTargets,
    Refined,
    field_evidence,
    refine,
)
from grainloop.model.light.sample import blur
from grainloop.model.light.shading import Shading
from grainloop.model.light.warp import BILINEAR, Warp

POINTS_FOR_FIELD = 800
FIELD_BASIS = BILINEAR + 8
FIELD_EVIDENCE = 4.0
"""Score statistic per degree of freedom from which the points ask for a smooth field; by chance it is about 1."""


def find_warp(features: LightFeatures, points: PointTargets, shading: Shading, start: Warp) -> Refined:
    """Registration from scratch: `start` and what mutual information makes of it, the better one refined."""
    begun = [
        refine(features.standardised, points, shading, warp, COARSE_LEVELS_PX).warp
        for warp in _starts(features, points, start)
    ]
    blurred = blur(features.standardised, COARSE_LEVELS_PX[-1] * start.scale)
    best = max(begun, key=lambda warp: explained_variance(blurred, points, shading, warp))
    return _with_field(features, points, shading, _fine(features, points, shading, best))


def follow_warp(features: LightFeatures, points: PointTargets, shading: Shading, start: Warp) -> Refined:
    """Registration after more points: from the warp of the round before, at fine blur only."""
    found = refine(features.sharpened, points, shading, start, FINE_LEVELS_PX[-1:], FINE_LOSS)
    return _with_field(features, points, shading, found)


def _fine(features: LightFeatures, points: PointTargets, shading: Shading, start: Warp) -> Refined:
    return refine(features.sharpened, points, shading, start, FINE_LEVELS_PX, FINE_LOSS)


def _with_field(features: LightFeatures, points: PointTargets, shading: Shading, found: Refined) -> Refined:
    """`found`, with a smooth field on top if there are enough points and they ask for one."""
    has_field = found.warp.coefficients.shape[1] > BILINEAR
    if has_field or len(points) < POINTS_FOR_FIELD:
        return found
    if field_evidence(features.sharpened, points, shading, found.warp, FIELD_BASIS) < FIELD_EVIDENCE:
        return found
    return _fine(features, points, shading, found.warp.with_basis(FIELD_BASIS))


def _starts(features: LightFeatures, points: PointTargets, start: Warp) -> list[Warp]:
    """The start itself, and what mutual information finds from it with the first two features."""
    found = [start]
    for feature in range(min(2, points.targets.shape[1])):
        predicted = nearest_map(points.points_px, points.targets[:, feature], start.grid_shape)
        if predicted.std() > 1e-6:
            channel = features.standardised[min(feature, len(features.values) - 1)]
            found.append(mutual_information_warp(predicted, channel, start))
    return [warp for warp in found if warp.stretch <= max(MOST_STRETCH, start.stretch)]
