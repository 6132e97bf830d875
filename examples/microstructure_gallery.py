"""Draw docs/figures/microstructure_gallery.png and microstructure_stack.png: what the named recipes look like.

Usage: python -m examples.microstructure_gallery [--out docs/figures]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from grainloop.model.crystal import add_ipf_key, boundaries_between, c_axis, ipf_colours
from grainloop.model.microstructure import (
    RECIPES,
    LightNuisances,
    Specimen,
    make_specimen,
    make_stack,
    polynomial_light,
)

SHAPE = (144, 144)
SCALE_PX = 30
BLIND_DEG = 10.0
ROWS = (
    ("equiaxed", 19),
    ("macrozone", 18),
    ("twinned", 10),
    ("lath", 21),
    ("lath", 15),
    ("deformed", 17),
    ("basal", 18),
)
"""Recipe and seed of each row; two rows show what laths can be: colonies and basketweave."""
TITLES = ("IPF-Z of the truth", "PL: m (as calibrated)", "PL: C4 (as calibrated)", "5° boundaries")


def main() -> None:
    """Write both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 8, "savefig.dpi": 130})
    gallery().savefig(out / "microstructure_gallery.png")
    stack().savefig(out / "microstructure_stack.png")


def gallery() -> Figure:
    """Truth, polarized light and boundaries of one specimen of every recipe."""
    figure = Figure(figsize=(8.6, 15.2))
    margins = {"left": 0.035, "right": 0.99, "top": 0.975, "bottom": 0.1, "hspace": 0.03, "wspace": 0.04}
    axes: Any = figure.subplots(len(ROWS), 4, gridspec_kw=margins)
    for row, (name, seed) in zip(axes, ROWS, strict=True):
        rng = np.random.default_rng(seed)
        specimen = make_specimen(rng, SHAPE, RECIPES[name])
        light = polynomial_light(rng, specimen, LightNuisances(noise=(0.03, 0.12)))
        row[0].imshow(ipf_image(specimen))
        row[1].imshow(light.features[0], cmap="gray", vmin=-0.1, vmax=1.1)
        row[2].imshow(light.features[1], cmap="RdBu_r", vmin=-1, vmax=1)
        row[3].imshow(boundary_image(specimen))
        row[0].set_ylabel(f"{name}, grains of {specimen.diameter_px:.0f} px")
        scale_bar(row[0])
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
    add_ipf_key(figure, (0.06, 0.014, 0.11, 0.062), "6/mmm", font_size=7)
    colour_bar(figure, axes[0, 1].images[0], 0.32, "m = sin⁴θ")
    colour_bar(figure, axes[0, 2].images[0], 0.56, "C4 = sin⁴θ cos 4φ")
    patches = [
        Patch(color="black", label="boundary > 5°"),
        Patch(color="#e8590c", label=f"c-axes within {BLIND_DEG:.0f}°"),
    ]
    patches.append(Patch(color="#c5c9ce", label="not indexable, other phase"))
    figure.legend(handles=patches, loc="lower left", bbox_to_anchor=(0.765, 0.034), frameon=False, fontsize=7)
    return figure


def stack() -> Figure:
    """Neighbouring sections of two volumes."""
    spacing = 0.15
    figure = Figure(figsize=(8.6, 3.6))
    axes: Any = figure.subplots(
        2, 5, gridspec_kw={"left": 0.035, "right": 0.99, "top": 0.94, "bottom": 0.01, "hspace": 0.04, "wspace": 0.04}
    )
    for top, row, name, seed in zip((True, False), axes, ("twinned", "equiaxed"), (10, 16), strict=True):
        sections = make_stack(np.random.default_rng(seed), 5, (110, 110), spacing, RECIPES[name])
        for k, (axis, section) in enumerate(zip(row, sections, strict=True)):
            axis.imshow(ipf_image(section))
            axis.set(xticks=[], yticks=[], title=f"depth {k * spacing:.2f} grains" if top else "")
        row[0].set_ylabel(f"{name}, IPF-Z")
        scale_bar(row[0])
    return figure


def ipf_image(specimen: Specimen) -> np.ndarray:
    """IPF-Z colours, grey where there is nothing to index."""
    colours = ipf_colours(specimen.orientation, specimen.point_group)
    colours[~specimen.valid] = 0.3
    return colours


def boundary_image(specimen: Specimen) -> np.ndarray:
    """White grains, black boundaries, orange where the c-axes on both sides are so close that PL sees nothing."""
    right, down = boundaries_between(specimen.orientation, specimen.point_group, valid=specimen.valid)
    c = np.asarray(c_axis(specimen.orientation))
    blind_right = np.abs(np.sum(c[:, 1:] * c[:, :-1], axis=-1)) > np.cos(np.radians(BLIND_DEG))
    blind_down = np.abs(np.sum(c[1:] * c[:-1], axis=-1)) > np.cos(np.radians(BLIND_DEG))
    image = np.ones((*specimen.shape, 3))
    image[~specimen.valid] = mpl.colors.to_rgb("#c5c9ce")
    both_right, both_down = specimen.valid[:, 1:] & specimen.valid[:, :-1], specimen.valid[1:] & specimen.valid[:-1]
    for blind, colour in ((False, "black"), (True, "#e8590c")):
        image[:, :-1][right & both_right & (blind_right == blind)] = mpl.colors.to_rgb(colour)
        image[:-1][down & both_down & (blind_down == blind)] = mpl.colors.to_rgb(colour)
    return image


def scale_bar(axis: Any) -> None:
    """A white bar of `SCALE_PX` in the lower left corner of an image."""
    bottom = axis.images[0].get_array().shape[0]
    axis.plot([6, 6 + SCALE_PX], [bottom - 8] * 2, color="black", lw=5, solid_capstyle="butt")
    axis.plot([6, 6 + SCALE_PX], [bottom - 8] * 2, color="white", lw=3, solid_capstyle="butt")
    label = axis.text(
        6 + SCALE_PX / 2, bottom - 11, f"{SCALE_PX} px", ha="center", va="bottom", color="white", fontsize=7
    )
    label.set_bbox({"facecolor": "black", "alpha": 0.55, "pad": 1, "edgecolor": "none"})


def colour_bar(figure: Figure, image: Any, left: float, label: str) -> None:
    """A horizontal colour bar below the columns."""
    axis = figure.add_axes((left, 0.058, 0.16, 0.008))
    figure.colorbar(image, cax=axis, orientation="horizontal", label=label)


if __name__ == "__main__":
    main()
