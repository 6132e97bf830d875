"""The look of all figures: type, colours, scale bars, colour bars. Figures are made without pyplot's global state."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from grainloop.protocols.messages import ProposalReason


class Corner(NamedTuple):
    """A corner of a map."""

    upper: bool
    right: bool


DPI: Final = 160
LOWER_LEFT: Final = Corner(upper=False, right=False)
ERROR_COLOURS: Final = "magma"
NOT_INDEXED: Final = "#b8b8b8"
INK: Final = "#1a1a1a"
REASON_COLOURS: Final = {
    ProposalReason.FIRST_PASS: "#ffffff",
    ProposalReason.NEVER_HIT_GRAIN: "#ff2d55",
    ProposalReason.BOUNDARY: "#ffb000",
    ProposalReason.UNCERTAIN: "#00e5a8",
    ProposalReason.REGISTRATION: "#c08bff",
    ProposalReason.EXPLORATION: "#4da3ff",
    ProposalReason.RETRY: "#ff7fd0",
    ProposalReason.SPACE_FILLING: "#b6ff3c",
}
REASON_WORDS: Final = {
    ProposalReason.FIRST_PASS: "first pass, regular grid",
    ProposalReason.NEVER_HIT_GRAIN: "grain never hit",
    ProposalReason.BOUNDARY: "boundary",
    ProposalReason.UNCERTAIN: "uncertain",
    ProposalReason.REGISTRATION: "registration",
    ProposalReason.EXPLORATION: "exploration",
    ProposalReason.RETRY: "measured again",
    ProposalReason.SPACE_FILLING: "space filling",
}
_STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "image.interpolation": "nearest",
    "legend.fontsize": 8,
    "legend.frameon": False,
}


@contextmanager
def house_style() -> Generator[None]:
    """Everything drawn inside has the look of grainloop."""
    with mpl.rc_context(cast(Any, _STYLE)):
        yield


def extent_um(shape_px: tuple[int, int], step_um: float) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a map whose pixel (0, 0) is at the top left, in µm."""
    height, width = shape_px
    return 0.0, width * step_um, height * step_um, 0.0


def as_map(axes: Axes, title: str, width_um: float, height_um: float, corner: Corner = LOWER_LEFT) -> None:
    """Turn axes in µm into a map: no ticks, a title, a scale bar."""
    axes.set(xlim=(0, width_um), ylim=(height_um, 0), xticks=[], yticks=[], aspect="equal")
    axes.set_title(title)
    add_scale_bar(axes, width_um, height_um, corner)


def add_scale_bar(axes: Axes, width_um: float, height_um: float, corner: Corner = LOWER_LEFT) -> None:
    """A bar of a round length, about a fifth of the width, on a white plate in a corner."""
    length = round_length_um(width_um / 5)
    pad, thick, room = 0.025 * width_um, 0.012 * width_um, 0.075 * width_um
    left = width_um - length - 3 * pad if corner.right else pad
    bottom = pad + room if corner.upper else height_um - pad
    plate = Rectangle((left, bottom - room), length + 2 * pad, room, facecolor="white", alpha=0.85, zorder=4)
    bar = Rectangle((left + pad, bottom - 1.8 * thick), length, thick, facecolor=INK, zorder=5)
    axes.add_patch(plate)
    axes.add_patch(bar)
    middle, base = left + pad + length / 2, bottom - 2.2 * thick
    axes.text(middle, base, f"{length:g} µm", ha="center", va="bottom", fontsize=8, zorder=5)


def round_length_um(about_um: float) -> float:
    """The largest of 1, 2, 5 × 10ⁿ that is not above `about_um`."""
    power = 10.0 ** (len(f"{int(about_um)}") - 1) if about_um >= 1 else 10.0 ** -_zeros(about_um)
    return max(step * power for step in (1, 2, 5) if step * power <= about_um * 1.0000001)


def _zeros(below_one: float) -> int:
    count = 0
    while below_one < 1:
        below_one, count = below_one * 10, count + 1
    return count
