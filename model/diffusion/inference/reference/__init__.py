"""Reference samplers on the trained denoiser: DPS, RePaint and DiffPIR, for comparison only.

`REFERENCE_METHODS` holds them by name as reconstructors; no service offers them. Scales were tuned on synthetic
specimens.
"""

from functools import partial

from grainloop.model.diffusion.checkpoints.shipped import load_shipped
from grainloop.model.diffusion.inference.reference.dps import sample_dps, score_step
from grainloop.model.diffusion.inference.reference.method import ReferenceMethod
from grainloop.model.diffusion.inference.reference.projection import sample_diffpir
from grainloop.model.diffusion.inference.reference.repaint import RESAMPLINGS, sample_repaint

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
