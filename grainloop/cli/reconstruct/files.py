"""What `grainloop reconstruct --out` writes: the map as .ang, its uncertainty as .npz, a figure, the summary.

In the .ang, inferred pixels are marked as such (`docs/map_files.md`), with their probability of being right as
confidence and their expected error as fit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.cli.reconstruct.outcome import Outcome
from grainloop.controller.figures import Shown, write_reconstruction_figure
from grainloop.evaluate.figures_of_merit import OTHER_PHASE_DEG, error_map_deg
from grainloop.model.crystal import to_euler_frame
from grainloop.model.light.sample import sample
from grainloop.model.light.warp import grid_positions
from grainloop.model.maps import MapFileError, OrientationMap, write_map
from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import open_file, write_text
from grainloop.protocols.values import LightImages, LightKind

MAP, UNCERTAINTY, FIGURE, SUMMARY = "reconstruction.ang", "uncertainty.npz", "reconstruction.png", "summary.json"
SAMPLES = "samples.npz"


def write_files(outcome: Outcome, summary: dict[str, Any], folder: Path) -> None:
    """Write everything into a folder that exists.

    Raises:
        BadInput: the map cannot be written as .ang, or the folder is not writable.
    """
    try:
        write_map(folder / MAP, inferred_map(outcome))
        _write_arrays(outcome, folder)
        write_reconstruction_figure(_shown(outcome), folder / FIGURE)
        write_text(folder / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    except MapFileError as error:
        raise BadInput(f"The map {error}", field="out", value=folder) from error
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror or error}.", field="out", value=folder) from error


def inferred_map(outcome: Outcome) -> OrientationMap:
    """The reconstruction as a map; only pixels that were measured and indexed count as measured."""
    reply, points, truth = outcome.solved.reply, outcome.scene.points, outcome.scene.truth
    good = points.select(points.indexed)
    at = tuple(good.position_px.T)
    measured = np.zeros(truth.shape_px, np.bool_)
    confidence, fit_deg = 1 - reply.p_wrong, reply.expected_error_deg.copy()
    measured[at], confidence[at], fit_deg[at] = True, good.confidence, good.fit_deg
    return OrientationMap(
        orientation=reply.orientation.copy(),
        phase_id=reply.phase_id.copy(),
        confidence=np.clip(confidence, 0, 1).astype(np.float32),
        fit_deg=fit_deg,
        step_um=truth.step_um,
        phases=truth.phases,
        frame=truth.frame,
        measured=measured,
    )


def _write_arrays(outcome: Outcome, folder: Path) -> None:
    reply, samples = outcome.solved.reply, outcome.solved.found.posterior.samples
    names = ("expected_error_deg", "bound90_deg", "p_wrong", "boundary", "grain", "phase_id")
    maps = {name: getattr(reply, name) for name in names}
    _save(folder / UNCERTAINTY, measured=outcome.scene.given.measured, **maps)
    (folder / SAMPLES).unlink(missing_ok=True)
    if samples is not None:
        turned = to_euler_frame(samples, outcome.scene.truth.frame).astype(np.float32)
        _save(folder / SAMPLES, orientation=turned)


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    with open_file(path, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _shown(outcome: Outcome) -> Shown:
    scene, reply = outcome.scene, outcome.solved.reply
    light, title = shown_light(outcome)
    error = error_map_deg(reply.orientation, reply.phase_id, scene.truth)
    return Shown(
        capabilities=scene.capabilities,
        position_px=scene.points.position_px,
        light=light,
        light_title=title,
        orientation=reply.orientation,
        phase_id=reply.phase_id,
        expected_error_deg=reply.expected_error_deg,
        error_deg=np.where(error == OTHER_PHASE_DEG, 90.0, error).astype(np.float32),
        method=reply.method,
        told=_told(outcome),
        note=f"{scene.capabilities.name}; all pixels but the points are inferred; grey: not indexed",
    )


def _told(outcome: Outcome) -> str:
    merit, several = outcome.merit, len(np.unique(outcome.scene.truth.phase_id[outcome.scene.truth.indexed])) > 1
    within, beyond = (" in its phase", " or another phase") if several else ("", "")
    return f"{merit.error_mean_deg:.1f}°{within}, {merit.error_over_5deg:.1%} above 5°{beyond}"


def shown_light(outcome: Outcome) -> tuple[LightImages | None, str]:
    """The mean PL image on the scan grid where it could be registered, else as taken, and how to call it."""
    light, alignment = outcome.scene.light, outcome.scene.given.aligned.alignment
    if light is None:
        return None, "without PL"
    if alignment is None or not alignment.usable:
        return light, "on PL, not registered"
    mean = light.images.mean(axis=0, keepdims=True)
    seen = sample(mean, alignment.warp(grid_positions(alignment.warp.grid_shape))).reshape(outcome.scene.truth.shape_px)
    return _one_image(seen, outcome.scene.truth.step_um), "on registered PL"


def _one_image(image: NDArray[np.float64], pixel_um: float) -> LightImages:
    """An image with the pixels that it lacks as dark as its darkest."""
    known = np.where(np.isnan(image), np.nanmin(image), image).astype(np.float32)
    return LightImages(kind=LightKind.ROTATION_STACK, angles_deg=(0.0,), images=known[None], pixel_um=pixel_um)
