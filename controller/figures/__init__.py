"""Figures of a session: orientation, uncertainty, PL with the scan points on it, error where the truth is known.

Inferred maps are drawn as inferred, scan points as points; nothing here changes a value.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from controller.figures.sheets import error_sheet, ipf_sheet, light_sheet, overview_sheet, uncertainty_sheet
from controller.figures.style import DPI, house_style
from controller.session_reader import Session
from controller.summary import GridBaseline
from model.maps import OrientationMap

__all__ = ["write_figures"]


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
            written.append(_save(light_sheet(session), folder / "light_points.png"))
        if session.result is not None:
            written.append(_save(ipf_sheet(session, session.result), folder / "orientation.png"))
            written.append(_save(uncertainty_sheet(session, session.result), folder / "uncertainty.png"))
            if truth is not None:
                written.append(_save(error_sheet(session, session.result, truth), folder / "error.png"))
            if truth is not None and grid is not None:
                written.append(_save(overview_sheet(session, session.result, truth, grid), folder / "demo.png"))
    return written


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return path
