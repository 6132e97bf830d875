"""Draw what the simulated instrument shows of its two specimens: the truth, PL images, and sparse scan points.

Run from the repository: python examples/simulated_instrument.py [figure.png]
"""

from __future__ import annotations

import sys
from typing import Any

import matplotlib as mpl
import numpy as np

from grainloop.instrument_sim import SimulatedInstrument, specimens
from grainloop.model.crystal.ipf import add_ipf_key, ipf_colours
from grainloop.model.maps import OrientationMap
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock

mpl.use("Agg")

ANGLES_DEG = tuple(float(angle) for angle in range(0, 180, 10))
SPACING_PX = 4
TITLES = {"ti64": "Ti-6Al-4V (α)", "mg-twins": "Mg, twinned"}


def coarse_grid(shape: tuple[int, int]) -> ScanRequest:
    """Every fourth pixel of every fourth row: 6 % of the map."""
    rows, cols = np.meshgrid(*(np.arange(SPACING_PX // 2, n, SPACING_PX) for n in shape), indexing="ij")
    position = np.stack([rows.ravel(), cols.ravel()], axis=1).astype(np.int32)
    return ScanRequest(batch=0, point_id=np.arange(len(position)), position_px=position, dwell_s=0.02)


def scale_bar(axes: Any, section: OrientationMap, length_um: float) -> None:
    """A white bar on a dark ground in the lower left corner."""
    from matplotlib.patches import Rectangle

    height, width = section.shape_px
    length = length_um / section.step_um
    left, low = 0.04 * width, 0.96 * height
    axes.add_patch(Rectangle((left, low - 0.12 * height), length + 0.06 * width, 0.12 * height, color="black", lw=0))
    axes.plot([left + 0.03 * width, left + 0.03 * width + length], [low - 0.03 * height] * 2, color="white", lw=3)
    middle = left + 0.03 * width + length / 2
    axes.text(middle, low - 0.05 * height, f"{length_um:g} µm", color="white", ha="center", va="bottom", fontsize=8)


def show_points(axes: Any, section: OrientationMap, points: PointBlock) -> None:
    """Measured points in their IPF colour, points that were not indexed as crosses."""
    phase = section.main_phase
    axes.set_facecolor("0.15")
    found = points.indexed
    rows, cols = points.position_px[found].T
    colours = ipf_colours(points.orientation[found], phase.laue_group, hexagonal_axis=phase.hexagonal_axis)
    axes.scatter(cols, rows, c=colours, s=9, marker="s", linewidths=0)
    rows, cols = points.position_px[~found].T
    axes.scatter(cols, rows, c="white", s=7, marker="x", linewidths=0.7)
    height, width = section.shape_px
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")


def draw_specimen(axes: Any, name: str) -> None:
    """One row: IPF map, one PL image, mean of the stack, spread over the angles, and scan points."""
    section = specimens.load(name)
    driver = SimulatedInstrument(section, seed=1)
    light = driver.light(0, ANGLES_DEG)
    points = PointBlock.concatenate(list(driver.scan(coarse_grid(section.shape_px))))
    phase = section.main_phase
    colours = ipf_colours(section.orientation, phase.laue_group, hexagonal_axis=phase.hexagonal_axis)
    colours[~section.indexed] = 0
    axes[0].imshow(colours, interpolation="nearest")
    scale_bar(axes[0], section, 20 if name == "ti64" else 10)
    axes[0].set_title(f"{TITLES[name]}: truth, IPF-Z", fontsize=9)
    limits = {"vmin": 0, "vmax": float(np.percentile(light, 99.8))}
    axes[1].imshow(light[4], cmap="gray", interpolation="nearest", **limits)
    axes[1].set_title(f"PL image at {ANGLES_DEG[4]:g}° stage angle", fontsize=9)
    mean = light.mean(axis=0)
    low, high = np.percentile(mean, [0.5, 99.5])
    shown = axes[2].imshow(mean, cmap="gray", interpolation="nearest", vmin=low, vmax=high)
    bar = axes[2].figure.colorbar(shown, cax=axes[2].inset_axes((1.025, 0.0, 0.035, 1.0)))
    bar.ax.tick_params(labelsize=7)
    bar.set_label("share of full scale", fontsize=8)
    axes[2].set_title(f"PL mean of {len(light)} angles, {driver.cameras[0].warp.rms_px:.1f} px rms off", fontsize=9)
    show_points(axes[3], section, points)
    share = len(points) / section.phase_id.size
    axes[3].set_title(f"{len(points)} points ({share:.1%}), {np.mean(~points.indexed):.1%} not indexed (×)", fontsize=9)
    for one in axes:
        one.set(xticks=[], yticks=[])


def main(path: str) -> None:
    """Draw both specimens and the colour key into `path`."""
    from matplotlib import pyplot as plt

    widths = {"width_ratios": [1, 1, 1, 0.17, 1]}
    figure, axes = plt.subplots(2, 5, figsize=(15.5, 7.2), gridspec_kw=widths)
    figure.subplots_adjust(left=0.01, right=0.87, top=0.95, bottom=0.02, wspace=0.05, hspace=0.1)
    for spacer in axes[:, 3]:
        spacer.set_axis_off()
    axes = axes[:, [0, 1, 2, 4]]
    for row, name in zip(axes, TITLES, strict=True):
        draw_specimen(row, name)
    add_ipf_key(figure, (0.892, 0.38, 0.09, 0.22), "6/mmm", font_size=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/figures/simulated_instrument.png")
