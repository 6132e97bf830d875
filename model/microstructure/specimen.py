"""Synthetic specimens for training: single sections and stacks of neighbouring ones, seeded and deterministic.

What an instrument would make of them belongs to `ebsd` and `light`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import laue_group
from grainloop.model.microstructure.errors import MicrostructureError
from grainloop.model.microstructure.recipe import Recipe
from grainloop.model.microstructure.volume import Section, draw_volume

POINT_GROUPS = ("6/mmm", "m-3m")

LEAST_VALID = 0.1
"""Share of valid pixels below which a volume is drawn anew: there would be nothing to learn from it."""
ATTEMPTS = 50


@dataclass(frozen=True)
class Specimen:
    """The truth of one section.

    Attributes:
        orientation: (h, w, 4) float32 unit quaternions, crystal → sample; x runs along the columns, y along the rows
            (down), z into the specimen. (1, 0, 0, 0) in pores.
        label: (h, w) int32; pixels of one label are one grain, twin lamella, variant or particle; −1 in pores.
            Subgrains and laths of a colony share the label of what holds them. Sections of a stack share labels.
        valid: (h, w) bool; main phase and indexable: only here is `orientation` what EBSD could measure.
        phase: (h, w) uint8; 0 pore, 1 main phase, 2 second phase.
        point_group: Laue group of the main phase.
        recipe: name of the recipe.
        diameter_px: mean equivalent grain diameter that was drawn.
    """

    orientation: NDArray[np.float32]
    label: NDArray[np.int32]
    valid: NDArray[np.bool_]
    phase: NDArray[np.uint8]
    point_group: str
    recipe: str
    diameter_px: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.label.shape[0], self.label.shape[1]


def make_specimen(
    rng: np.random.Generator, shape: tuple[int, int], recipe: Recipe, point_group: str = "6/mmm"
) -> Specimen:
    """One section of a volume drawn from `recipe`.

    Args:
        rng: random generator; the same state gives the same specimen.
        shape: rows, columns in px.
        recipe: ranges of all parameters; see `recipe.RECIPES` and `recipe.mixture`.
        point_group: "6/mmm" or "m-3m", under any name that `model.crystal.laue_group` knows.

    Raises:
        MicrostructureError: a shape below 4×4 or a point group that is neither.
    """
    return make_stack(rng, 1, shape, 0.0, recipe, point_group)[0]


def make_stack(
    rng: np.random.Generator,
    n_sections: int,
    shape: tuple[int, int],
    spacing: float,
    recipe: Recipe,
    point_group: str = "6/mmm",
) -> tuple[Specimen, ...]:
    """Parallel sections of one volume, `spacing` mean grain diameters apart, the first one on top.

    Raises:
        MicrostructureError: no section, a negative spacing, a recipe that leaves nothing of the main phase, or as in
            `make_specimen`.
    """
    if n_sections < 1 or not 0 <= spacing < np.inf:
        raise MicrostructureError(f"a stack needs at least one section and a spacing ≥ 0, got {n_sections}, {spacing}")
    if len(shape) != 2 or min(shape) < 4:
        raise MicrostructureError(f"a section needs at least 4×4 pixels, got {shape}")
    group = laue_group(point_group).name
    if group not in POINT_GROUPS:
        raise MicrostructureError(f"specimens are made for {' and '.join(POINT_GROUPS)}, not for {group}")
    for _ in range(ATTEMPTS):
        volume = draw_volume(rng, shape, (n_sections - 1) * spacing, recipe, cubic=group == "m-3m")
        depths = np.arange(n_sections) * spacing * volume.diameter_px
        sections = [volume.section(shape, float(depth)) for depth in depths]
        if min(section.valid.mean() for section in sections) >= LEAST_VALID:
            return tuple(_specimen(section, group, recipe.name, volume.diameter_px) for section in sections)
    raise MicrostructureError(f"recipe {recipe.name!r} leaves hardly any indexable pixel of the main phase")


def _specimen(section: Section, group: str, recipe: str, diameter_px: float) -> Specimen:
    return Specimen(section.orientation, section.label, section.valid, section.phase, group, recipe, diameter_px)
