"""How good a run was: errors against the truth, and beside them those of a coarse grid with nearest neighbour.

The coarse grid is what people do today without any model, so it is the reference. Who measures it, and how, is the
caller's business; it must be the same instrument with the same noise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grainloop.controller.session import Session
from grainloop.model.crystal import disorientation_deg
from grainloop.model.crystal.score import MapScore, score_map
from grainloop.model.maps import OrientationMap
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import EventKind, LightDiagnostics, RunEvent, Severity
from grainloop.protocols.values import PointBlock


@dataclass(frozen=True)
class GridBaseline:
    """The coarse grid with nearest neighbour: points measured, map (h, w, 4), and its score."""

    points: int
    orientation: NDArray[np.float32]
    score: MapScore


def nearest_neighbour_map(points: PointBlock, shape_px: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w, 4) orientation of the indexed point nearest to each pixel (Euclidean).

    Raises:
        BadInput: no point is indexed.
    """
    from scipy.ndimage import distance_transform_edt

    good = points.select(points.indexed)
    if len(good) == 0:
        raise BadInput("None of the measured points is indexed, so no map can be made.", field="points")
    measured = np.zeros((*shape_px, 4), np.float32)
    missing = np.ones(shape_px, np.bool_)
    measured[tuple(good.position_px.T)] = good.orientation
    missing[tuple(good.position_px.T)] = False
    nearest: Any = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return measured[nearest[0], nearest[1]]


def grid_baseline(points: PointBlock, truth: OrientationMap) -> GridBaseline:
    """Score the points of a coarse grid against the truth."""
    orientation = nearest_neighbour_map(points, truth.shape_px)
    return GridBaseline(len(points), orientation, score(orientation, truth))


def score(orientation: ArrayLike, truth: OrientationMap) -> MapScore:
    """Errors over the indexed pixels of the truth."""
    return score_map(orientation, truth.orientation, truth.main_phase.laue_group, truth.indexed)


def error_map_deg(orientation: ArrayLike, truth: OrientationMap) -> NDArray[np.float32]:
    """(h, w) disorientation from the truth in degrees, NaN where the truth is not indexed."""
    error = disorientation_deg(orientation, truth.orientation, truth.main_phase.laue_group)
    return np.where(truth.indexed, error, np.nan).astype(np.float32)


def summarise(session: Session, truth: OrientationMap, grid: GridBaseline, name: str, wall_s: float) -> dict[str, Any]:
    """The summary of a demo, ready for JSON.

    Raises:
        BadInput: the session holds no reconstruction.
    """
    if session.result is None:
        raise BadInput(f"{session.path} holds no reconstruction to compare with the truth.", field="session")
    points, size = len(session.points), session.capabilities.grid.size
    instrument_s, idle_s = instrument_times(session)
    return {
        "map": name,
        "fraction_measured": points / size,
        "points_measured": points,
        "rounds": max((int(d["round"]) for d in session.decisions), default=0),
        **_errors(score(session.result.orientation, truth)),
        "baseline": {
            "grid_nn": {
                "fraction_measured": grid.points / size,
                "points_measured": grid.points,
                **_errors(grid.score),
            }
        },
        "instrument_s": instrument_s,
        "decision_s": session.plan.decision_s,
        "wall_s": wall_s,
        "instrument_idle_fraction": idle_s / instrument_s if instrument_s > 0 else 0.0,
        "errors": [event.text for event in session.events if event.severity is Severity.ERROR],
        "warnings": [event.text for event in session.events if event.severity is Severity.WARNING],
        "points_lost": points_lost(session.events),
        "versions": session.software,
    }


def instrument_times(session: Session) -> tuple[float, float]:
    """Instrument time of the session, PL included, and how much of it the instrument had nothing to do."""
    end_s = max((event.instrument_s for event in session.events), default=0.0)
    return end_s, sum(float(batch["idle_s"]) for batch in session.batches if batch["ok"] and batch["batch"])


def points_lost(events: Iterable[RunEvent]) -> int | None:
    """Points that were exposed and whose results are lost; nothing where an older session says so in words alone."""
    told = [event.numbers.get("points") for event in events if event.event == EventKind.POINTS_LOST]
    return None if None in told else sum(int(count) for count in told if count is not None)


def light_lines(light: LightDiagnostics) -> tuple[str, ...]:
    """What became of PL, as sentences for the user."""
    if not light.used:
        return light.notes or ("PL took no part.",)
    lines = ["PL took part."]
    if light.registration_px is not None and light.registration_residual_px is not None:
        lines.append(
            f"PL was {light.registration_px:.1f} px off and is registered to about "
            f"{light.registration_residual_px:.2f} px by the scan points."
        )
    if light.explained_variance is not None:
        lines.append(f"The measured orientations explain {light.explained_variance:.0%} of its variance.")
    if light.distrusted_share is not None:
        lines.append(f"It is distrusted at {light.distrusted_share:.1%} of the pixels.")
    return (" ".join(lines), *light.notes)


def _errors(errors: MapScore) -> dict[str, float]:
    return {
        "error_mean_deg": errors.error_mean_deg,
        "error_over_5deg": errors.error_over_5deg,
        "boundary_f1": errors.boundary_f1,
    }
