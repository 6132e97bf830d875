"""Maps compared as images: peak signal-to-noise ratio and structural similarity over the pixels that count.

Definitions used for orientation maps:

- `*_ipf`: the IPF-Z colours of `model.crystal.ipf` (TSL key of orix), RGB of 0 … 1, peak 1. In these
  pictures the super-resolution of EBSD maps is shown and judged (e.g. Jangid et al., npj Comput. Mater. 8 (2022) 255);
  they do not tell rotations about the sample's z-axis apart.
- `*_embedding`: the channels of `model.crystal.embed`, whose distances are angles. A vector of C channels has the
  length √C, so that every channel lies within ±√C: the peak is 2√C. They miss nothing and have no preferred direction.

Pixels outside are the same in both images, and 0, before windows are taken; they are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from grainloop.model.crystal import embed, embedding_of
from grainloop.model.crystal.errors import UnsupportedSymmetry
from grainloop.model.crystal.ipf import ipf_colours

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]

WINDOW_SIGMA_PX = 1.5
WINDOW_PX = 11
"""The Gaussian window of Wang et al. 2004."""


def psnr(estimate: Image, truth: Image, inside: Mask, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(peak² / mean squared error) over pixels `inside` and channels.

    Args:
        estimate: (h, w, c) channels.
        truth: likewise.
        inside: (h, w) the pixels that count.
        peak: range of a channel.

    Returns:
        Infinity where both are the same; NaN where no pixel counts.
    """
    if not inside.any():
        return float("nan")
    error = float(np.mean((estimate[inside] - truth[inside]) ** 2, dtype=np.float64))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(estimate: Image, truth: Image, inside: Mask, peak: float = 1.0) -> float:
    """Mean structural similarity (Wang et al., IEEE Trans. Image Process. 13 (2004) 600), 1 where both are the same.

    Gaussian window of sd 1.5 px, K1 = 0.01, K2 = 0.03, population covariances; mean over channels and over the pixels
    `inside` whose window of 11 px lies within the map.

    Args:
        estimate: (h, w, c) channels.
        truth: likewise.
        inside: (h, w) the pixels that count.
        peak: range of a channel.

    Returns:
        NaN where no pixel counts.
    """
    margin = WINDOW_PX // 2
    counted = inside[margin:-margin, margin:-margin]
    if not counted.any():
        return float("nan")
    one, other = (np.where(inside[..., None], image, 0).astype(np.float64) for image in (estimate, truth))
    found: Any = structural_similarity(
        one,
        other,
        data_range=peak,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=WINDOW_SIGMA_PX,
        use_sample_covariance=False,
        full=True,
    )
    return float(found[1][margin:-margin, margin:-margin][counted].mean())


def image_quality(
    estimate_q: NDArray[np.floating],
    truth_q: NDArray[np.floating],
    laue_group: str,
    inside: Mask,
    hexagonal_axis: str = "a",
) -> dict[str, float | None]:
    """`psnr_ipf` in dB, `ssim_ipf`, `psnr_embedding` in dB and `ssim_embedding` of orientation maps (h, w, 4).

    `hexagonal_axis` is the x-axis of the crystal frame, as `ipf_colours` takes it. None where both
    images are the same (PSNR), where no pixel counts, or where the group has no embedding.

    Raises:
        BadOrientation, ShapeMismatch, UnknownFrame, UnknownPointGroup: see `model.crystal.ipf.ipf_colours`.
    """
    colours = partial(ipf_colours, group=laue_group, hexagonal_axis=hexagonal_axis)
    found = _compared("ipf", colours, 1.0, estimate_q, truth_q, inside)
    try:
        peak = 2 * embedding_of(laue_group).channels ** 0.5
    except UnsupportedSymmetry:
        return found | {"psnr_embedding": None, "ssim_embedding": None}
    return found | _compared("embedding", partial(embed, group=laue_group), peak, estimate_q, truth_q, inside)


def _compared(
    name: str,
    channels_of: Callable[[NDArray[np.floating]], Image],
    peak: float,
    estimate_q: NDArray[np.floating],
    truth_q: NDArray[np.floating],
    inside: Mask,
) -> dict[str, float | None]:
    safe = (np.where(inside[..., None], q, np.array([1, 0, 0, 0], q.dtype)) for q in (estimate_q, truth_q))
    estimate, truth = (channels_of(q) for q in safe)
    values = {f"{of.__name__}_{name}": of(estimate, truth, inside, peak) for of in (psnr, ssim)}
    return {key: value if np.isfinite(value) else None for key, value in values.items()}
