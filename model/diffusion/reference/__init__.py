"""Reference samplers on the trained denoiser: DPS, RePaint and DiffPIR, for comparison only.

`REFERENCE_METHODS` holds them by name as reconstructors; no service offers them. Scales were tuned on synthetic
specimens.
"""

from functools import partial

from model.diffusion.reference.dps import sample_dps, score_step
from model.diffusion.reference.method import ReferenceMethod
from model.diffusion.reference.projection import sample_diffpir
from model.diffusion.reference.repaint import RESAMPLINGS, sample_repaint
from model.diffusion.shipped import load_shipped

REFERENCE_METHODS: dict[str, ReferenceMethod] = {
    method.name: method
    for method in (
        ReferenceMethod("dps", load_shipped, partial(sample_dps, scale=3.0), 100),
        ReferenceMethod("repaint", load_shipped, sample_repaint, 50, RESAMPLINGS),
        ReferenceMethod("diffpir", load_shipped, partial(sample_diffpir, scale=0.3, churn=1.0), 50),
    )
}
"""Every reference method by name."""

__all__ = [
    "REFERENCE_METHODS",
    "ReferenceMethod",
    "sample_diffpir",
    "sample_dps",
    "sample_repaint",
    "score_step",
]
