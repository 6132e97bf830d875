"""Register a real polarized-light mosaic to the EBSD map of the same area, by the tilt of the c-axis alone.

Usage: python -m examples.register_real_pair [--out docs/figures]

The orientations of this pair are not published; the IPF-Z colours of a thumbnail give the tilt. Mutual information
finds the start and the regions of one tilt refine it. Seven places that somebody picked in both images judge the result
and take no part in it. Writes registration_real_pair.png and prints the errors.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from grainloop.model.light import (
    LightFeatures,
    Warp,
    align_targets,
    features_from_rgb,
    fit_affine,
    label_regions,
    match_regions,
    mutual_information_warp,
)

DATA = Path(__file__).parent / "data" / "paired_ti"
OPTICAL_UM, EBSD_UM, EBSD_SHAPE = 2.105, 3.0, (734, 852)
SEAM_ROWS = (0, 193, 672, 935)
SEAM_COLUMNS = ((0, 181, 657, 1138, 1170), (0, 120, 601, 1079, 1170), (0, 181, 657, 1138, 1170))
"""Where the mosaic was stitched, read off the image."""
SAME_TILT_DEG = 2.0
LEAST_REGION_PX = 80
TILT_STEP_PX = 4
AIM_PX = 6.0
BAR_UM = 200.0


@dataclass(frozen=True, eq=False)
class Pair:
    """What is registered, and the seven pairs that judge it.

    Attributes:
        mosaic: (H, W, 3) uint8.
        thumbnail: (h, w, 3) uint8.
        tilt_deg: (h, w) of the c-axis.
        places: (7, 2) row, column in the thumbnail.
        places_optical: (7, 2) row, column in the mosaic.
    """

    mosaic: NDArray[np.uint8]
    thumbnail: NDArray[np.uint8]
    tilt_deg: NDArray[np.float64]
    places: NDArray[np.float64]
    places_optical: NDArray[np.float64]

    @property
    def nominal(self) -> Warp:
        """Both fields about one centre, by the declared pixel sizes."""
        scale = EBSD_SHAPE[1] / self.thumbnail.shape[1] * EBSD_UM / OPTICAL_UM
        return Warp.nominal(self.thumbnail.shape[:2], self.mosaic.shape[:2], scale)

    def left_px(self, warp: Warp) -> NDArray[np.float64]:
        """(7, 2) error (row, column) of `warp` at the seven places, optical pixels."""
        return warp(self.places) - self.places_optical


def main() -> None:
    """Register, judge, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    out = parser.parse_args().out
    pair = load()
    features = features_from_rgb(np.moveaxis(pair.mosaic, -1, 0).astype(float)).with_tiles(seams(pair.mosaic.shape[:2]))
    start, warp = register(pair, features)
    ceiling = fit_affine(pair.places, pair.places_optical, pair.nominal)
    by_tilt = align_by_tilt(pair, features, start)
    print(f"declared sizes alone: {rms(pair.left_px(pair.nominal)):.0f} optical px rms at the seven places")
    print(f"mutual information: {rms(pair.left_px(start)):.1f} px")
    print(f"regions of one tilt: {rms(pair.left_px(warp)):.1f} px (aim {AIM_PX:g} px)")
    print(f"an affine map fitted to the seven places themselves: {rms(pair.left_px(ceiling)):.1f} px")
    print("PL regressed on the tilt:", *by_tilt)
    out.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 8, "savefig.dpi": 90})
    sheet(pair, warp).savefig(out / "registration_real_pair.png", pil_kwargs={"optimize": True})


def load() -> Pair:
    """The pair as distributed."""
    mosaic = np.asarray(Image.open(DATA / "testOptical.png").convert("RGB"))
    thumbnail = np.asarray(Image.open(DATA / "testOpticalEBSD_thumbnail_IPFZ.jpg").convert("RGB"))
    picked = json.loads((DATA / "homologous_points.json").read_text(encoding="utf-8"))["pairs"]
    to_thumbnail = np.array(thumbnail.shape[:2]) / EBSD_SHAPE
    places = np.array([one["ebsd"][::-1] for one in picked]) * to_thumbnail
    optical = np.array([one["optical"][::-1] for one in picked], dtype=float)
    return Pair(mosaic, thumbnail, tilt_of_colours(thumbnail), places, optical)


def tilt_of_colours(ipf_z: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(h, w) tilt of the c-axis, degrees, from IPF-Z colours of 6/mmm; JPEG noise is taken out by a median.

    Red is the c-axis along the normal; squared, red falls and green + blue rise in proportion to the tilt.
    """
    red, green, blue = np.moveaxis(ipf_z.astype(float) ** 2, -1, 0)
    return ndimage.median_filter(90 * (green + blue) / np.maximum(red + green + blue, 1.0), 5)


def seams(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """(H, W) label of the tile of every pixel of the mosaic."""
    tiles, count = np.zeros(shape, dtype=np.int32), 0
    for top, bottom, columns in zip(SEAM_ROWS[:-1], SEAM_ROWS[1:], SEAM_COLUMNS, strict=True):
        for left, right in pairwise(columns):
            tiles[top:bottom, left:right] = count
            count += 1
    return tiles


def register(pair: Pair, features: LightFeatures) -> tuple[Warp, Warp]:
    """What mutual information finds from the declared sizes, and what the regions make of it."""
    tilt = np.sin(np.deg2rad(pair.tilt_deg)) ** 2
    start = mutual_information_warp(tilt, features.standardised[0], pair.nominal)
    regions = label_regions(pair.tilt_deg, SAME_TILT_DEG, LEAST_REGION_PX)
    return start, match_regions(features.standardised, regions, start).warp


def align_by_tilt(pair: Pair, features: LightFeatures, start: Warp) -> tuple[str, ...]:
    """What the point-based alignment says when all it is given is the tilt."""
    axes = [np.arange(TILT_STEP_PX // 2, n, TILT_STEP_PX) for n in pair.tilt_deg.shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    sine = np.sin(np.deg2rad(pair.tilt_deg[points[:, 0], points[:, 1]]))
    shape = (pair.tilt_deg.shape[0], pair.tilt_deg.shape[1])
    targets = np.stack([sine**2, sine**4], axis=1)
    return align_targets(features, points, targets, shape, scale=start.scale, start=start).notes


def rms(left_px: NDArray[np.float64]) -> float:
    """Root mean square length."""
    return float(np.sqrt(np.mean(np.sum(left_px**2, axis=1))))


def thumbnail_on_mosaic(pair: Pair, warp: Warp) -> NDArray[np.float64]:
    """(H, W, 3) the thumbnail as the mosaic sees it; NaN where it does not reach."""
    rows_columns = np.stack(np.indices(pair.mosaic.shape[:2]), axis=-1).reshape(-1, 2).astype(float)
    position = (rows_columns - (np.array(pair.mosaic.shape[:2]) - 1) / 2) / warp.scale
    position += (np.array(pair.thumbnail.shape[:2]) - 1) / 2
    for _ in range(8):
        position = position + (rows_columns - warp(position)) / warp.scale
    seen = [
        ndimage.map_coordinates(channel.astype(float), position.T, order=0, cval=np.nan)
        for channel in np.moveaxis(pair.thumbnail, -1, 0)
    ]
    return np.stack(seen, axis=-1).reshape(pair.mosaic.shape)


def sheet(pair: Pair, warp: Warp) -> Figure:
    """Mosaic with the seven places, registered thumbnail, and boundaries of the one on the other."""
    figure = Figure(figsize=(11.5, 9.6), layout="constrained")
    axes: Any = figure.subplots(2, 2).ravel()
    seen = thumbnail_on_mosaic(pair, warp)
    draw_places(axes[0], pair, warp)
    axes[1].imshow(seen / 255)
    axes[1].set_title("EBSD thumbnail (IPF-Z), registered onto the PL frame")
    lines = boundaries(pair, warp)
    for axis, window in ((axes[2], None), (axes[3], (560, 1170, 440, 935))):
        axis.imshow(pair.mosaic)
        axis.imshow(lines)
        if window:
            axis.set(xlim=window[:2], ylim=(window[3], window[2]))
    axes[2].set_title("Boundaries of the tilt map (black) on PL")
    axes[3].set_title("the same, lower right part enlarged")
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
        scale_bar(axis)
    return figure


def draw_places(axis: Any, pair: Pair, warp: Warp) -> None:
    """The picked places and, ten times too long, where the registration puts them instead."""
    left = pair.left_px(warp)
    axis.imshow(pair.mosaic)
    axis.quiver(
        *pair.places_optical.T[::-1], *left.T[::-1] * 10, angles="xy", scale_units="xy", scale=1, color="k", width=0.004
    )
    axis.plot(*pair.places_optical.T[::-1], "o", mfc="none", mec="k", mew=1.3, ms=7)
    for place, error in zip(pair.places_optical, left, strict=True):
        away = (-9 if error[1] > 0 else 9, 12 if error[0] > 0 and place[0] > 100 else -12)
        style = {"ha": "right" if error[1] > 0 else "left", "va": "center", "textcoords": "offset points"}
        axis.annotate(f"{np.hypot(*error):.1f} px", place[::-1], xytext=away, fontsize=8, **style)
    axis.set_title(f"PL mosaic, seven places not used; arrows: error × 10, {rms(left):.1f} px rms")


def boundaries(pair: Pair, warp: Warp) -> NDArray[np.uint8]:
    """(H, W, 4) black beside a step of the tilt by more than 10°, as the mosaic sees it; transparent elsewhere."""
    steep = np.zeros(pair.tilt_deg.shape, dtype=bool)
    for axis in (0, 1):
        steep |= np.abs(np.diff(pair.tilt_deg, axis=axis, append=np.take(pair.tilt_deg, [-1], axis=axis))) > 10
    marked = np.repeat(steep[..., None], 3, axis=2).astype(np.uint8)
    seen = np.nan_to_num(thumbnail_on_mosaic(replace(pair, thumbnail=marked), warp)[..., 0])
    return np.stack([*np.zeros((3, *seen.shape)), 160 * seen], axis=-1).astype(np.uint8)


def scale_bar(axis: Any) -> None:
    """A bar of `BAR_UM` in the lower left corner of what is shown."""
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    length, x, y = BAR_UM / OPTICAL_UM, left + 0.04 * (right - left), bottom + 0.04 * (top - bottom)
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
    axis.plot([x, x + length], [y, y], color="k", linewidth=4, solid_capstyle="butt")
    axis.text(x, y + 0.02 * (top - bottom), f"{BAR_UM:g} µm", bbox=box)


if __name__ == "__main__":
    main()
