"""Unconditional samples: what the network that ships believes sections to look like when nothing is measured.

Both modalities are drawn together from pure noise, by ancestral sampling over many levels, and set beside synthetic
specimens of the kind that it was trained on. The numbers say whether the two modalities belong together and how far
samples are from specimens; pictures and page follow from them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grainloop.cli.bench.tables import markdown_table
from grainloop.model.crystal import neighbour_disorientation_deg
from grainloop.model.crystal.ipf import add_ipf_key, ipf_colours
from grainloop.model.diffusion.checkpoints.shipped import Weights, load_shipped
from grainloop.model.diffusion.inference.reference.common import (
    ancestral_step,
    empty_section,
    pure_noise,
    steps_down,
    unconditional,
    unwatched,
)
from grainloop.model.diffusion.inference.sampler import karras_levels
from grainloop.model.diffusion.network.state import SIGMA_MAX, orientations_of, original_light
from grainloop.model.light import predict_light
from grainloop.model.microstructure import draw_example
from grainloop.model.weights import weights_files

RESULTS = Path(__file__).parents[1] / "results" / "gallery.json"
FOLDER = Path(__file__).parents[2] / "docs" / "results"
SHAPE, SAMPLES, STEPS, SEED = (96, 96), 6, 60, 0
SPECIMENS = 24
"""Synthetic ones that samples are compared with; as many as there are samples are shown."""
STEP_DEG = 5.0
GOOD_AGREEMENT = 0.7
ROWS = ("IPF-Z", "PL: m", "m predicted")
TITLES = {"6/mmm": "Hexagonal: EBSD and PL together", "m-3m": "Cubic: EBSD alone"}
INTRO = f"""# Unconditional samples

What the networks that ship believe a section to look like before anything is measured: {SAMPLES} sections of
{SHAPE[0]} × {SHAPE[1]} px drawn from pure noise by ancestral sampling (Ho et al. 2020, DDPM, equation 7) over {STEPS}
levels, EBSD and PL channels together, beside synthetic specimens of the kind that the networks were trained on, with
PL as it is registered. PL that belongs to its orientations correlates with the PL that the optics predict from them.
`rough` is the median disorientation between neighbouring pixels, `boundaries` the share of neighbours more than
{STEP_DEG:g}° apart.
"""


@dataclass(frozen=True, eq=False)
class Section:
    """Orientations (h, w, 4), and PL features (5, h, w) or none."""

    orientation: NDArray[np.float32]
    light: NDArray[np.float32] | None


@dataclass(frozen=True)
class Likeness:
    """Means over sections; `agreement` is the correlation of the first PL feature with the predicted one."""

    rough_deg: float
    boundaries: float
    agreement: float | None


def main() -> dict[str, Any]:
    """Draw samples of every network that ships; write numbers, page and pictures."""
    found: dict[str, Any] = {}
    lines = [INTRO]
    for group, entry in weights_files().items():
        trained = load_shipped(group)
        samples, specimens = draw_samples(trained), draw_specimens(group, trained)
        likeness = {"samples": likeness_of(samples, group), "specimens": likeness_of(specimens, group)}
        picture = f"gallery_{group.replace('/', '-')}.png"
        draw(samples, specimens[:SAMPLES], group, FOLDER / picture)
        found[group] = {"weights_sha256": entry.sha256} | {name: asdict(of) for name, of in likeness.items()}
        lines += [f"## {TITLES.get(group, group)}", f"![Samples and specimens]({picture})", _table(likeness)]
        lines.append(judgement(likeness["samples"], likeness["specimens"]))
    (FOLDER / "gallery.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


@torch.inference_mode()
def draw_samples(trained: Weights, count: int = SAMPLES, steps: int = STEPS) -> list[Section]:
    """Unconditional samples, the same every time."""
    space, generator = trained.space, torch.Generator().manual_seed(SEED)
    denoise = unconditional(trained.denoiser, space, SHAPE)
    x = pure_noise(empty_section(space, SHAPE), count, SIGMA_MAX, generator)
    for here, there in steps_down(karras_levels(steps), unwatched):
        x = ancestral_step(x, denoise(x, here), here, there, generator)
    states = x.numpy()
    light = [original_light(one[space.ebsd_channels :]) if space.light_channels else None for one in states]
    return [Section(q, pl) for q, pl in zip(orientations_of(states, space), light, strict=True)]


def draw_specimens(group: str, trained: Weights) -> list[Section]:
    """Synthetic specimens with PL as it is registered: noisy, shaded and stained."""
    drawn = [draw_example(np.random.default_rng([SEED, number]), SHAPE, group) for number in range(SPECIMENS)]
    return [Section(one.truth, one.light if trained.space.light_channels else None) for one in drawn]


def _predicted(orientation: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.moveaxis(predict_light(orientation), -1, 0).astype(np.float32)


def likeness_of(sections: Sequence[Section], group: str) -> Likeness:
    """How rough sections are, how many boundaries they have, and whether PL belongs to the orientations."""
    steps = [np.concatenate([a.ravel() for a in neighbour_disorientation_deg(s.orientation, group)]) for s in sections]
    agreement = [_correlation(s.light[0], _predicted(s.orientation)[0]) for s in sections if s.light is not None]
    return Likeness(
        float(np.mean([np.median(angle) for angle in steps])),
        float(np.mean([np.mean(angle > STEP_DEG) for angle in steps])),
        float(np.mean(agreement)) if agreement else None,
    )


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def judgement(samples: Likeness, specimens: Likeness) -> str:
    """What the numbers say, in words."""
    said: list[str] = []
    if samples.agreement is not None:
        good = "belong to each other" if samples.agreement > GOOD_AGREEMENT else "hardly belong to each other"
        said.append(f"The two modalities of a sample {good} (correlation {samples.agreement:.2f}).")
    if samples.boundaries > 2 * specimens.boundaries:
        said.append(
            "Samples are rougher than specimens: regions of one colour are there, but the noise inside them is not "
            "taken out, so that neighbours differ. As a prior alone the network is weak; maps are made by its gate."
        )
    else:
        said.append("Samples are about as smooth as specimens.")
    return " ".join(said)


def _table(likeness: dict[str, Likeness]) -> str:
    head = ["", "rough", "boundaries", "PL with predicted PL"]
    found = likeness.items()
    return markdown_table(
        head, [[n, f"{of.rough_deg:.2f}°", f"{100 * of.boundaries:.1f} %", _share(of)] for n, of in found]
    )


def _share(of: Likeness) -> str:
    return "–" if of.agreement is None else f"{of.agreement:.2f}"


def draw(samples: Sequence[Section], specimens: Sequence[Section], group: str, path: Path) -> None:
    """Samples above, specimens below: IPF-Z maps and, where there is PL, its first feature and the predicted one."""
    from matplotlib.figure import Figure

    names = ROWS if samples[0].light is not None else ROWS[:1]
    figure = Figure(figsize=(1.6 * len(samples) + 2.4, 2 * 1.6 * len(names) + 0.7))
    axes: Any = figure.subplots(2 * len(names), len(samples), squeeze=False)
    right = 1 - 2.1 / figure.get_figwidth()
    figure.subplots_adjust(left=0.04, right=right, bottom=0.02, top=0.94, wspace=0.05, hspace=0.16)
    for first, shown in ((0, samples), (len(names), specimens)):
        for column, section in enumerate(shown):
            _draw_section(axes[first : first + len(names), column], section, group)
    for row, name in enumerate([*names, *names]):
        axes[row, 0].set_ylabel(name, fontsize=9)
    axes[0, 0].set_title(f"samples, {SHAPE[1]} px wide", loc="left", fontsize=9)
    axes[len(names), 0].set_title("synthetic specimens", loc="left", fontsize=9)
    width, height = 1.5 / figure.get_figwidth(), 1.5 / figure.get_figheight()
    add_ipf_key(figure, (1 - 1.25 * width, 0.82 - height, width, height), group)
    figure.savefig(path, dpi=100)


def _draw_section(axes: Sequence[Any], section: Section, group: str) -> None:
    axes[0].imshow(ipf_colours(section.orientation, group))
    if section.light is not None:
        for axis, feature in zip(axes[1:], (section.light[0], _predicted(section.orientation)[0]), strict=True):
            axis.imshow(feature, cmap="gray", vmin=0, vmax=1)
    for axis in axes:
        axis.set(xticks=[], yticks=[])


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
