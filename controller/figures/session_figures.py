"""Draws what a session holds into PNG files: orientation, uncertainty, PL with the points, error where it is known.

Inferred maps are drawn as inferred, scan points as points; nothing here changes a value.
"""

from __future__ import annotations

from pathlib import Path

from grainloop.controller.figures.evidence import evidence_sheet, has_evidence
from grainloop.controller.figures.layout import save
from grainloop.controller.figures.sheets import (
    error_sheet,
    foot_note,
    ipf_sheet,
    light_sheet,
    overview_sheet,
    uncertainty_sheet,
)
from grainloop.controller.figures.style import house_style
from grainloop.controller.figures.summary import GridBaseline
from grainloop.controller.session import Session
from grainloop.model.maps import OrientationMap


def write_figures(
    session: Session, folder: Path, truth: OrientationMap | None = None, grid: GridBaseline | None = None
) -> list[Path]:
    """Draw what the session holds into PNG files; with the truth also the error, with a baseline also the overview.

    Returns:
        The files written; a session without points or reconstruction lacks the figures of those.
    """
    written: list[Path] = []
    with house_style():
        if len(session.points):
            written.append(save(light_sheet(session), folder / "light_points.png"))
        if has_evidence(session):
            written.append(save(evidence_sheet(session, foot_note(session.capabilities)), folder / "evidence.png"))
        if session.result is not None:
            written.append(save(ipf_sheet(session, session.result), folder / "orientation.png"))
            written.append(save(uncertainty_sheet(session, session.result), folder / "uncertainty.png"))
            if truth is not None:
                written.append(save(error_sheet(session, session.result, truth), folder / "error.png"))
            if truth is not None and grid is not None:
                written.append(save(overview_sheet(session, session.result, truth, grid), folder / "demo.png"))
    return written
