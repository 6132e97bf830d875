"""The figure of why: the most promising points numbered on PL, their evidence as a table, and what batches promised.

Everything is read off the points asked for; which point is most promising is what its forecast gain says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from grainloop.controller.figures import panels, style
from grainloop.controller.figures.layout import NOTE_INCH, PANEL_INCH, axes_at, place, sheet
from grainloop.controller.session import Requested, Session
from grainloop.protocols.messages import REASON_CODES, ProposalReason

MOST_POINTS, MOST_OF_A_BATCH = 12, 3
APART = 0.07
"""Numbered points keep this share of the longer edge between them, so that their numbers can be read."""
_TABLE_INCH, _LINE_INCH, _BARS_INCH = 5.75, 0.18, 0.85
_BETWEEN_INCH = 0.55
_UNKNOWN = "–"
_BAR_SHARE = 0.12, 0.28
"""Of the rows and of the columns, where a scale bar and the discs beside it may be."""


@dataclass(frozen=True)
class _Column:
    """A column of the table: its head, and where it ends in inches; text is flush right but for the reason."""

    head: str
    end_inch: float


_COLUMNS = (
    _Column("", 0.25),
    _Column("batch", 0.68),
    _Column("x, y (µm)", 1.55),
    _Column("reason", 1.78),
    _Column("gain (px)", 3.42),
    _Column("grains", 3.92),
    _Column("apart", 4.4),
    _Column("P(wrong)", 5.05),
    _Column("way (µm)", 5.75),
)


def has_evidence(session: Session) -> bool:
    """Whether any point was asked for with a forecast."""
    return bool(np.any(session.requested.gain > 0))


def evidence_sheet(session: Session, note: str) -> Figure:
    """The map at the left; the table and the batches at its right."""
    asked, grid = session.requested, session.capabilities.grid
    below = max(0.0, PANEL_INCH - PANEL_INCH * grid.shape_px[0] / max(grid.shape_px))
    figure, width, height = sheet(grid.shape_px, note, 1, right_inch=_TABLE_INCH + 0.4, bottom_inch=0.1 + below)
    room = PANEL_INCH - _BARS_INCH - _BETWEEN_INCH
    shown = most_promising(asked, grid.shape_px)[: int(room / _LINE_INCH) - 1]
    axes = place(figure, 0, 0, width, height, bottom_inch=0.1 + below)
    panels.draw_light(
        axes,
        session.light,
        grid,
        "The most promising points of the run",
        free_corner(asked.position_px[shown], grid.shape_px),
    )
    panels.number_points(axes, asked.position_px[shown], asked.reason[shown], grid)
    left, bottom = 0.1 + width + 0.25, NOTE_INCH + 0.1
    _draw_table(axes_at(figure, left, bottom + PANEL_INCH - room, _TABLE_INCH, room), session, shown, room)
    _draw_batches(axes_at(figure, left + 0.45, bottom + 0.32, _TABLE_INCH - 0.45, _BARS_INCH), asked)
    return figure


def free_corner(position_px: NDArray[np.int32], shape_px: tuple[int, int]) -> style.Corner:
    """The corner, the usual one first, in which the scale bar covers the fewest of some pixels (N, 2)."""
    corners = [style.Corner(upper, right) for right in (False, True) for upper in (False, True)]
    share = position_px / np.array(shape_px)

    def covered(corner: style.Corner) -> int:
        down, across = (
            np.abs(side - axis) for side, axis in zip((not corner.upper, corner.right), share.T, strict=True)
        )
        return int(((down < _BAR_SHARE[0]) & (across < _BAR_SHARE[1])).sum())

    return min(corners, key=covered)


def most_promising(asked: Requested, shape_px: tuple[int, int]) -> NDArray[np.intp]:
    """(n,) rows of the points of highest gain, best first: few of a batch, and none near another."""
    keep: list[int] = []
    least_px = APART * max(shape_px)
    for row in np.argsort(-asked.gain, kind="stable"):
        if len(keep) == MOST_POINTS or asked.gain[row] <= 0:
            break
        away = np.linalg.norm(asked.position_px[keep] - asked.position_px[row], axis=1)
        of_batch = int((asked.batch[keep] == asked.batch[row]).sum())
        if of_batch < MOST_OF_A_BATCH and np.all(away >= least_px):
            keep.append(int(row))
    return np.array(keep, np.intp)


def lines_of(session: Session, rows: NDArray[np.intp]) -> list[tuple[str, ...]]:
    """The cells of the table for some points asked for."""
    return [_line(session, number, int(row)) for number, row in enumerate(rows, start=1)]


def _line(session: Session, number: int, row: int) -> tuple[str, ...]:
    asked, step_um = session.requested, session.capabilities.grid.step_um
    down_um, across_um = (asked.position_px[row] + 0.5) * step_um
    competing = None if asked.competing is None or not asked.competing[row] else int(asked.competing[row])
    return (
        f"{number}",
        f"{asked.batch[row]}",
        f"{across_um:.1f}, {down_um:.1f}",
        style.REASON_WORDS[REASON_CODES[int(asked.reason[row])]],
        f"{asked.gain[row]:.1f}",
        _UNKNOWN if competing is None else f"{competing}",
        _number(asked.misorientation_deg, row, "{:.0f}°"),
        _number(asked.p_wrong, row, "{:.2f}"),
        _number(asked.travel_px, row, "{:.1f}", step_um),
    )


def _number(column: NDArray[np.float32] | None, row: int, form: str, unit: float = 1.0) -> str:
    told = column is not None and np.isfinite(column[row])
    return form.format(column[row] * unit) if told and column is not None else _UNKNOWN


def _draw_table(axes: Axes, session: Session, rows: NDArray[np.intp], height_inch: float) -> None:
    axes.set(xlim=(0, _TABLE_INCH), ylim=(height_inch, 0))
    axes.axis("off")
    head = tuple(column.head for column in _COLUMNS)
    for number, cells in enumerate([head, *lines_of(session, rows)]):
        y = (number + 0.5) * _LINE_INCH
        for column, cell in zip(_COLUMNS, cells, strict=True):
            flush = "left" if column.head == "reason" else "right"
            axes.text(column.end_inch, y, cell, ha=flush, va="center", fontsize=7.5)
    colours = [style.REASON_COLOURS[REASON_CODES[int(code)]] for code in session.requested.reason[rows]]
    middle = (np.arange(len(rows)) + 1.5) * _LINE_INCH
    axes.scatter(np.full(len(rows), 1.69), middle, s=18, c=colours, edgecolors=style.INK, linewidths=0.4)
    axes.axhline(_LINE_INCH, color=style.INK, linewidth=0.6)


def _draw_batches(axes: Axes, asked: Requested) -> None:
    """Pixels that each batch was forecast to put right, by reason."""
    batches = np.unique(asked.batch[asked.gain > 0])
    below = np.zeros(len(batches))
    for reason in ProposalReason:
        own = (asked.reason == REASON_CODES.index(reason)) & (asked.gain > 0)
        gain = np.array([float(asked.gain[own & (asked.batch == batch)].sum()) for batch in batches])
        if gain.any():
            colour = style.REASON_COLOURS[reason]
            axes.bar(
                np.arange(len(batches)), gain, bottom=below, color=colour, width=0.8, label=style.REASON_WORDS[reason]
            )
            below += gain
    axes.set_title("Pixels that batches were forecast to put right", fontsize=8)
    ticks = np.unique(np.linspace(0, len(batches) - 1, min(len(batches), 12)).round().astype(int))
    axes.set_xticks(ticks, [f"{batch}" for batch in batches[ticks]])
    axes.tick_params(labelsize=7, width=0.5, length=2)
    axes.set_xlabel("batch", fontsize=7.5, labelpad=1)
    axes.set_ylabel("pixels", fontsize=7.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, handlelength=0.9, handletextpad=0.4, labelspacing=0.25)
