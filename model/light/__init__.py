"""Polarized light: features, prediction, self-calibration from the measured points, registration and noise.

Imports protocols for its errors only, and knows nothing of reconstruction, services or the simulator.
"""

from __future__ import annotations

from grainloop.model.light.align import Alignment, align, align_targets, without_light
from grainloop.model.light.coarse import mutual_information_warp
from grainloop.model.light.errors import LightSizeMismatch, UnfitAngles, UnfitPoints
from grainloop.model.light.features import LightFeatures, features_from_rgb, fit_stack
from grainloop.model.light.frames import check_light_frame, frame_note
from grainloop.model.light.predict import predict_light
from grainloop.model.light.regions import RegionMatch, label_regions, match_regions
from grainloop.model.light.warp import Warp, fit_affine

__all__ = [
    "Alignment",
    "LightFeatures",
    "LightSizeMismatch",
    "RegionMatch",
    "UnfitAngles",
    "UnfitPoints",
    "Warp",
    "align",
    "align_targets",
    "check_light_frame",
    "features_from_rgb",
    "fit_affine",
    "fit_stack",
    "frame_note",
    "label_regions",
    "match_regions",
    "mutual_information_warp",
    "predict_light",
    "without_light",
]
