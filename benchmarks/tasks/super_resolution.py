"""Super-resolution: the whole map from regular grids that are coarser by 2, 4 and 8 along each axis."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.tasks.image_quality import image_quality
from benchmarks.tasks.task import (
    BOUNDARY_F1,
    MEAN_ERROR,
    METHODS_COMPARED,
    WRONG_PIXELS,
    Column,
    Level,
    Measured,
    Task,
    Trial,
    figures_of,
)
from grainloop.evaluate.cases import OURS, WITHOUT, Case
from grainloop.evaluate.sections.scenes import Setting

TEXT = """
A regular grid of exact points, every second, fourth or eighth pixel along each axis (25 %, 6.25 % and 1.6 % of the
pixels), is made into a map of every pixel, with and without a PL image of the same section.

PL has all nuisances of the simulated camera (15 % noise, 15 % shading, dust, 3 px rms misregistration) and is
registered by the points themselves. All pixels count, measured ones included, because a map is made of both.

PSNR and SSIM are given twice. Of *IPF-Z*: the RGB colours of the TSL key, 0 … 1, in which super-resolved EBSD maps are
shown and compared; they do not show rotations about the normal of the section. Of the *embedding*: the channels of the
isometric embedding (18 for 6/mmm), whose distances are angles; peak 2√18. SSIM is that of Wang et al. (2004), its
window a Gaussian of 1.5 px. Neither knows that a pixel is either in the right grain or in another one: an image that
blurs a boundary gains by it, and none of the methods here blurs. There is no interpolating (bilinear) baseline, since
grainloop has no such method: nearest neighbour is what is done with coarse maps today.
"""

IMAGE_COLUMNS = (
    Column("psnr_ipf", "PSNR of IPF-Z, dB", digits=1, better=1),
    Column("ssim_ipf", "SSIM of IPF-Z", digits=3, better=1),
    Column("psnr_embedding", "PSNR of embedding, dB", digits=1, better=1),
    Column("ssim_embedding", "SSIM of embedding", digits=3, better=1),
)


def super_resolved(trial: Trial, case: Case) -> Measured:
    """The figures of merit of the map, and how near it comes to the truth as an image."""
    reply, phase = trial.solved(case).reply, trial.truth.main_phase
    quality = image_quality(
        reply.orientation, trial.truth.orientation, phase.laue_group, trial.truth.indexed, phase.hexagonal_axis
    )
    merit = figures_of(reply, trial)
    return replace(merit, figures={**merit.figures, **quality})


TASK = Task(
    name="super_resolution",
    title="Super-resolution from regular grids",
    text=TEXT,
    levels=tuple(Level(f"{factor}×", factor, Setting(share=1 / factor**2)) for factor in (2, 4, 8)),
    axis="factor per axis",
    cases=METHODS_COMPARED,
    columns=(WRONG_PIXELS, MEAN_ERROR, BOUNDARY_F1, *IMAGE_COLUMNS),
    drawn=(WRONG_PIXELS, MEAN_ERROR, *IMAGE_COLUMNS[:2]),
    ours=OURS,
    rivals=("nn", "pl_watershed", "pl_candidates", WITHOUT),
    measure=super_resolved,
    scale="log",
    log_figures=(WRONG_PIXELS.figure, MEAN_ERROR.figure),
)
