"""Super-resolution: the whole map from regular grids that are coarser by 2, 4 and 8 along each axis."""

from __future__ import annotations

from benchmarks.tasks.task import BOUNDARY_F1, MEAN_ERROR, METHODS_COMPARED, WRONG_PIXELS, Level, Task
from controller.cli.bench.cases import OURS, WITHOUT
from controller.cli.bench.scenes import Setting

TEXT = """
A regular grid of exact points, every second, fourth or eighth pixel along each axis (25 %, 6.25 % and 1.6 % of the
pixels), is made into a map of every pixel, with and without a PL image of the same section.
"""

TASK = Task(
    name="super_resolution",
    title="Super-resolution from regular grids",
    text=TEXT,
    levels=tuple(Level(f"{factor}×", factor, Setting(share=1 / factor**2)) for factor in (2, 4, 8)),
    axis="factor per axis",
    cases=METHODS_COMPARED,
    columns=(WRONG_PIXELS, MEAN_ERROR, BOUNDARY_F1),
    drawn=(WRONG_PIXELS, MEAN_ERROR),
    ours=OURS,
    rivals=("nn", "pl_watershed", "pl_candidates", WITHOUT),
    scale="log",
    log_figures=(WRONG_PIXELS.figure, MEAN_ERROR.figure),
)
