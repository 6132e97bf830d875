"""Recipes: the ranges from which the parameters of a specimen are drawn, and the named ones.

A recipe is a value. `volume` draws a specimen from it; nothing here draws anything but `mixture`, which picks a recipe.
Lengths "in grains" are multiples of the mean grain diameter of the specimen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from grainloop.model.microstructure.errors import MicrostructureError

Range = tuple[float, float]


def draw(rng: np.random.Generator, limits: Range) -> float:
    """A number uniform within `limits`."""
    return limits[0] + (limits[1] - limits[0]) * rng.random()


def draw_log(rng: np.random.Generator, limits: Range) -> float:
    """A number whose logarithm is uniform within positive `limits`."""
    return limits[0] * (limits[1] / limits[0]) ** rng.random()


def draw_logs(rng: np.random.Generator, limits: Range, n: int) -> NDArray[np.float64]:
    """(n,) such numbers."""
    return limits[0] * (limits[1] / limits[0]) ** rng.random(n)


def pick(rng: np.random.Generator, weights: Sequence[float]) -> int:
    """An index drawn with the given weights."""
    total = np.cumsum(weights)
    return int(np.searchsorted(total, rng.random() * total[-1], side="right"))


@dataclass(frozen=True)
class Grains:
    """Shape of the grains.

    Attributes:
        diameter_px: mean equivalent diameter of the profiles (log-uniform).
        spread: standard deviation of the logarithm of the cell radii.
        regular: probability that cells are packed at even distance instead of like Poisson points.
        aspect: longest over shortest axis.
        waviness: amplitude of the bending of boundaries, in grains.
        roughness_px: amplitude of their fine serration.
        planar: probability that a single section is packed in its plane: no small cuts, even sizes, as in cleaned maps.
    """

    diameter_px: Range = (6.0, 60.0)
    spread: Range = (0.05, 0.45)
    regular: float = 0.6
    aspect: Range = (1.0, 1.8)
    waviness: Range = (0.0, 0.12)
    roughness_px: Range = (0.0, 0.7)
    planar: float = 0.2


@dataclass(frozen=True)
class Texture:
    """How the orientations of neighbouring grains are related.

    Grains belong to zones; each zone has a preferred axis (c, or a cubic ⟨100⟩, ⟨110⟩ or ⟨111⟩). One zone is a fibre or
    component texture, many are macrozones, and only outsiders are a random texture.

    Attributes:
        zone_grains: width of a zone in grains (log-uniform); None: one zone.
        zone_aspect: length over width of the zones.
        components: how many orientations the zones share between them.
        tilt_deg: angle of the preferred axis to the section normal; None: any direction.
        axis_spread_deg: rms deviation of a grain's axis from that of its zone (log-uniform).
        free_rotation: probability that the rotation about the axis is uniform in a zone, else it clusters.
        rotation_spread_deg: rms deviation of a clustered rotation (log-uniform).
        outsiders: share of grains of any orientation in a zone.
        random_zones: share of zones without any preference.
        cube: probability that the preferred orientation of a cubic crystal is the cube component.
    """

    zone_grains: Range | None = None
    zone_aspect: Range = (1.0, 1.0)
    components: tuple[int, int] = (1, 1)
    tilt_deg: Range | None = None
    axis_spread_deg: Range = (3.0, 20.0)
    free_rotation: float = 0.6
    rotation_spread_deg: Range = (3.0, 25.0)
    outsiders: Range = (0.0, 0.2)
    random_zones: float = 0.0
    cube: float = 0.0


@dataclass(frozen=True)
class Twins:
    """Thin lamellae on K1 planes; cubic crystals take Σ3 annealing twins, straight and broad.

    Attributes:
        grains: share of grains that are twinned.
        systems: hcp K1 planes with their weights.
        per_grain: mean number of lamellae in a twinned grain.
        thickness_px: at the middle of a lamella (log-uniform).
        length_grains: diameter of the lens.
        second_variant: probability that a lamella belongs to the second variant of its grain.
        scatter_deg: rms deviation from the exact relation.
    """

    grains: Range = (0.4, 1.0)
    systems: tuple[tuple[str, float], ...] = (("10-12", 0.6), ("11-22", 0.15), ("10-11", 0.1), ("11-21", 0.15))
    per_grain: Range = (1.0, 8.0)
    thickness_px: Range = (1.2, 14.0)
    length_grains: Range = (1.2, 4.0)
    second_variant: Range = (0.0, 0.4)
    scatter_deg: Range = (0.2, 1.5)


@dataclass(frozen=True)
class Laths:
    """Grains that transformed into plates: α in β by Burgers, bcc in fcc by Kurdjumov-Sachs for cubic crystals.

    Attributes:
        parents: share of the grains that transformed.
        isolated: probability of separate plates in retained parent grains instead of full transformation.
        basketweave: probability of interwoven plates of many variants instead of colonies of parallel laths.
        thickness_px: of a lath (log-uniform).
        aspect: length over thickness of a basketweave plate.
        colony_grains: diameter of a colony.
        variants: how many variants occur in a parent.
        retained: share of the width of a lath that the parent phase keeps as a rib.
        ribbed: probability that a specimen shows ribs at all.
        alternating: probability that the laths of a colony alternate between two variants.
        scatter_deg: rms rotation from lath to lath within a colony.
    """

    parents: Range = (0.6, 1.0)
    isolated: float = 0.2
    basketweave: float = 0.45
    thickness_px: Range = (2.0, 7.0)
    aspect: Range = (4.0, 12.0)
    colony_grains: Range = (0.3, 0.9)
    variants: tuple[int, int] = (2, 12)
    retained: Range = (0.05, 0.5)
    ribbed: float = 0.4
    alternating: float = 0.3
    scatter_deg: Range = (0.2, 2.5)


@dataclass(frozen=True)
class Strain:
    """Orientation changes within grains.

    Attributes:
        gradient_deg: rms rotation within a grain (log-uniform).
        knot_grains: length over which it changes.
        subgrains: probability of subgrains.
        subgrain_grains: their diameter.
        subgrain_deg: rms rotation of a subgrain (log-uniform).
        subgrain_aspect: their elongation: bands.
    """

    gradient_deg: Range = (0.1, 1.5)
    knot_grains: Range = (0.5, 2.0)
    subgrains: float = 0.15
    subgrain_grains: Range = (0.15, 0.5)
    subgrain_deg: Range = (0.3, 2.5)
    subgrain_aspect: Range = (1.0, 2.5)


@dataclass(frozen=True)
class Defects:
    """What is not an indexed pixel of the main phase.

    Attributes:
        present: probability of each kind below.
        pores: share of the area.
        particles: share of the area taken by round particles of a second phase.
        phase_grains: share of the grains that are of the second phase.
        unindexed: share of the area lost in patches (contamination, relief).
        radius_px: of pores and particles (log-uniform).
    """

    present: float = 0.15
    pores: Range = (0.002, 0.03)
    particles: Range = (0.005, 0.08)
    phase_grains: Range = (0.02, 0.3)
    unindexed: Range = (0.01, 0.15)
    radius_px: Range = (0.8, 5.0)


@dataclass(frozen=True)
class Recipe:
    """Everything that a specimen is drawn from; textures carry weights; c_over_a is that of the hcp phase."""

    name: str
    grains: Grains = Grains()
    textures: tuple[tuple[float, Texture], ...] = ((1.0, Texture()),)
    twins: Twins | None = None
    laths: Laths | None = None
    strain: Strain = Strain()
    defects: Defects = Defects()
    c_over_a: Range = (1.575, 1.635)


RANDOM = Texture(outsiders=(1.0, 1.0))
FIBRE = Texture(free_rotation=1.0, outsiders=(0.0, 0.3))
COMPONENT = Texture(free_rotation=0.0, outsiders=(0.0, 0.3), cube=0.5)
BASAL = Texture(tilt_deg=(0.0, 25.0), axis_spread_deg=(6.0, 25.0), free_rotation=0.8, outsiders=(0.0, 0.15))
MACROZONE = Texture(
    zone_grains=(2.5, 18.0),
    zone_aspect=(1.0, 5.0),
    components=(1, 4),
    axis_spread_deg=(2.0, 18.0),
    free_rotation=0.4,
    rotation_spread_deg=(4.0, 30.0),
    outsiders=(0.0, 0.25),
    random_zones=0.1,
    cube=0.2,
)

EQUIAXED = Recipe("equiaxed", textures=((0.5, RANDOM), (0.25, FIBRE), (0.25, COMPONENT)))
MACROZONED = Recipe(
    "macrozone",
    grains=Grains(diameter_px=(6.0, 20.0), spread=(0.0, 0.4), regular=0.75, planar=0.4),
    textures=((0.6, MACROZONE), (0.4, replace(MACROZONE, tilt_deg=(0.0, 30.0), random_zones=0.25))),
)
TWINNED = Recipe(
    "twinned",
    grains=Grains(diameter_px=(14.0, 60.0)),
    textures=((0.4, RANDOM), (0.3, BASAL), (0.3, FIBRE)),
    twins=Twins(),
)
LATH = Recipe(
    "lath",
    grains=Grains(diameter_px=(25.0, 90.0)),
    textures=((1.0, RANDOM),),
    laths=Laths(),
)
DEFORMED = Recipe(
    "deformed",
    grains=Grains(diameter_px=(12.0, 60.0), aspect=(1.5, 5.0)),
    textures=((0.3, RANDOM), (0.3, FIBRE), (0.2, COMPONENT), (0.2, MACROZONE)),
    strain=Strain(gradient_deg=(1.5, 6.0), knot_grains=(0.3, 1.0), subgrains=0.7, subgrain_deg=(0.7, 4.0)),
)
BASAL_TEXTURED = Recipe("basal", textures=((1.0, BASAL),))

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {r.name: r for r in (EQUIAXED, MACROZONED, TWINNED, LATH, DEFORMED, BASAL_TEXTURED)}
)
TRAINING_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"equiaxed": 0.2, "macrozone": 0.3, "twinned": 0.2, "lath": 0.12, "deformed": 0.1, "basal": 0.08}
)
"""Macrozones weigh most: with near-equal c-axes PL shows no boundary, and only learnt context helps."""


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        MicrostructureError: there is none.
    """
    if name not in RECIPES:
        raise MicrostructureError(f"unknown recipe {name!r}; known are {', '.join(RECIPES)}")
    return RECIPES[name]


def mixture(rng: np.random.Generator, weights: Mapping[str, float] = TRAINING_WEIGHTS) -> Recipe:
    """A named recipe drawn with the given weights (they need not sum to one)."""
    shares = list(weights.values())
    if not (all(share >= 0 for share in shares) and 0 < sum(shares) < np.inf):
        raise MicrostructureError(f"weights of a mixture must be ≥ 0 with a positive sum, got {dict(weights)}")
    return recipe_named(list(weights)[pick(rng, shares)])
