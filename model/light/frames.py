"""Does PL agree with the declared frame? The check over the azimuth frames at the registered points.

Registration and calibration cannot tell: their free mixing of channels absorbs any turn or mirror of the azimuth. Here
the harmonics keep their signs, as the optics prescribe them. What follows from the verdict is for the caller.

The sign of the 2φ terms is that of Re(D S*)·sin d: it changes with the material and with the side to which the analyser
is offset. Unless it is known, frames that differ by a turn of 90° are one, and four of the eight remain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal.errors import ShapeMismatch
from grainloop.model.crystal.frame_check import HARMONICS, AmbiguousFrame, FrameCheck, azimuth_features, check_frame
from grainloop.model.crystal.frames import CANDIDATE_FRAMES, AzimuthFrame, presets_that_fit
from grainloop.model.crystal.quaternions import c_axis
from grainloop.model.light.features import LightFeatures
from grainloop.model.light.sample import sample
from grainloop.model.light.warp import Warp

FOURTH, SECOND = ("C4", "S4"), ("C2", "S2")
FOURFOLD_FRAMES = tuple(frame for frame in CANDIDATE_FRAMES if frame.turn_deg < 90)
"""The frames that the 4φ terms alone tell apart."""


def check_light_frame(
    features: LightFeatures,
    warp: Warp,
    points_px: NDArray[np.integer],
    quaternions: NDArray[np.floating],
    *,
    second_harmonic_sign: int | None = None,
) -> FrameCheck:
    """Which azimuth frame, seen from the one that the orientations are given in, explains PL at the points.

    Args:
        features: of a stage-angle stack, with the signs of `predict_light`.
        warp: registration, EBSD pixel → PL pixel.
        points_px: (n, 2) row, column of the indexed points.
        quaternions: (n, 4) their orientations in the frame to be checked.
        second_harmonic_sign: +1 or −1 where material and analyser offset are known; then all eight frames are told
            apart, else the four that turns below 90° make.

    Raises:
        AmbiguousFrame: PL does not decide; see `model.crystal.frame_check`.
        ShapeMismatch: the features are no harmonics of a stack (an RGB image cannot decide a frame).
    """
    names = FOURTH if second_harmonic_sign is None else FOURTH + SECOND
    if not set(names) <= set(features.names):
        raise ShapeMismatch(f"features {', '.join(features.names)} lack {', '.join(names)} of a stage-angle stack")
    sign = np.array([1, 1, second_harmonic_sign or 1, second_harmonic_sign or 1][: len(names)])
    channels = features.values[[features.names.index(name) for name in names]]
    observed = sample(channels, warp(points_px.astype(np.float64))) * sign
    axes = c_axis(quaternions)

    def predict(frame: AzimuthFrame) -> NDArray[np.float64]:
        return azimuth_features(axes, frame)[:, : len(names)]

    candidates = CANDIDATE_FRAMES if second_harmonic_sign else FOURFOLD_FRAMES
    return check_frame(predict, observed, harmonics=HARMONICS[: len(names) // 2], candidates=candidates)


def frame_note(
    declared: str,
    features: LightFeatures,
    warp: Warp,
    points_px: NDArray[np.integer],
    quaternions: NDArray[np.floating],
) -> str:
    """One sentence for the user: PL agrees with the preset `declared`, contradicts it, or cannot tell."""
    try:
        check = check_light_frame(features, warp, points_px, quaternions)
    except AmbiguousFrame as refusal:
        return f"PL neither confirms nor contradicts the frame '{declared}': {refusal}."
    explained = check.explained[check.candidates.index(check.best)]
    margin = f"{explained:.0%} of the azimuth contrast explained, {check.margin:.0%} more than by the next of "
    margin += f"{len(check.candidates)} frames"
    if check.best == CANDIDATE_FRAMES[0]:
        return f"PL agrees with the frame '{declared}', as far as turns by 90° ({margin})."
    found = (check.best, AzimuthFrame(check.best.mirror, check.best.turn_deg + 90))
    fitting = sorted({name for frame in found for name in presets_that_fit(declared, frame)})
    would = ", ".join(f"'{name}'" for name in fitting) or "none of the presets"
    return (
        f"PL contradicts the frame '{declared}': it sees the azimuth {check.best.name}, or that turned by 90° "
        f"({margin}). Presets that would agree: {would}."
    )
