"""Pictures of a session, and how good its map is where the truth is known.

Inferred maps are drawn as inferred, scan points as points; nothing here changes a value. `panels` draw one map each,
`sheets` say which stand beside which, `layout` where, `style` is the look of all; `summary` is the score.
"""

from grainloop.controller.figures import panels
from grainloop.controller.figures.layout import NOTE_INCH, bar, place, save, sheet
from grainloop.controller.figures.reconstruction import POINT_COLOUR, Shown, draw_keys, write_reconstruction_figure
from grainloop.controller.figures.session_figures import write_figures
from grainloop.controller.figures.style import house_style
from grainloop.controller.figures.summary import grid_baseline, light_lines, summarise

__all__ = [
    "NOTE_INCH",
    "POINT_COLOUR",
    "Shown",
    "bar",
    "draw_keys",
    "grid_baseline",
    "house_style",
    "light_lines",
    "panels",
    "place",
    "save",
    "sheet",
    "summarise",
    "write_figures",
    "write_reconstruction_figure",
]
