"""What divides a grain: twin lamellae on their habit planes, and plates and colonies of a transformed parent.

Both are bodies in the volume. A section cuts them, so the traces follow the habit planes by construction and
neighbouring sections agree. Pixels carry the index of a leaf, one orientation each; gradients belong to `volume`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import multiply, rotate_vectors
from grainloop.model.jit import cached
from grainloop.model.microstructure.recipe import Laths, Twins, draw, draw_log, pick
from grainloop.model.microstructure.rotations import scatter, unit
from grainloop.model.microstructure.tessellation import Cells, pack_cells
from grainloop.model.microstructure.variants import (
    Variants,
    burgers_variants,
    cubic_twins,
    hcp_twins,
    kurdjumov_sachs_variants,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

N_LATH_TURNS = 64


@dataclass(frozen=True)
class Lamellae:
    """Twin lenses, ordered by grain; lamella i of grain g has start[g] ≤ i < start[g + 1].

    Attributes:
        start: (grains + 1,).
        centre: (n, 3) px.
        normal: (n, 3) unit normal of the habit plane in the sample frame.
        half_px: (n,) half thickness at the centre.
        reach_px: (n,) radius at which the lens closes; infinite for a band with parallel faces.
        orientation: (n, 4).
    """

    start: Ints
    centre: Floats
    normal: Floats
    half_px: Floats
    reach_px: Floats
    orientation: Floats

    def stamp(self, leaf: Ints, grain: Ints, points: Floats, first_leaf: int) -> None:
        """Write `first_leaf` + lamella into `leaf` (h, w) wherever a lamella of the pixel's grain covers its point."""
        _stamp(leaf, grain, points, first_leaf, self.start, self.centre, self.normal, self.half_px, self.reach_px)


def twin_system(rng: np.random.Generator, twins: Twins, ratio: float | None) -> Variants:
    """The system that a specimen twins on; `ratio` is c/a of hcp crystals, None means cubic."""
    return cubic_twins() if ratio is None else _hcp_system(rng, twins, ratio)


def _hcp_system(rng: np.random.Generator, twins: Twins, ratio: float) -> Variants:
    return hcp_twins(twins.systems[pick(rng, [weight for _, weight in twins.systems])][0], ratio)


def transformation(cubic: bool) -> Variants:
    """The variants that grains of a parent phase transform into."""
    return kurdjumov_sachs_variants() if cubic else burgers_variants()


def draw_lamellae(
    rng: np.random.Generator,
    twins: Twins,
    system: Variants,
    divided: NDArray[np.bool_],
    cells: Cells,
    orientation: Floats,
    diameter_px: float,
) -> Lamellae:
    """Lenses (cubic twins: parallel bands) of two variants of `system` in each of the `divided` (n,) grains."""
    n = len(cells)
    count = np.where(divided, rng.poisson(draw(rng, twins.per_grain), n), 0)
    grain = np.repeat(np.arange(n), count)
    favoured = _favoured(rng, system, orientation)
    second = rng.random(len(grain)) < draw(rng, twins.second_variant)
    variant = favoured[grain, second.astype(np.int64)]
    child = multiply(orientation[grain], system.rotation[variant])
    ball = unit(rng.standard_normal((len(grain), 3))) * rng.random((len(grain), 1)) ** (1 / 3)
    thickness = min(draw_log(rng, twins.thickness_px), 0.3 * diameter_px)
    reach = 0.5 * diameter_px * draw(rng, twins.length_grains) * rng.uniform(0.7, 1.3, len(grain))
    return Lamellae(
        start=_starts(grain, n),
        centre=cells.centre[grain] + 0.5 * diameter_px * ball @ np.linalg.inv(cells.stretch).T,
        normal=np.asarray(rotate_vectors(orientation[grain], system.habit[variant]), np.float64),
        half_px=0.5 * thickness * np.exp(0.45 * rng.standard_normal(len(grain))),
        reach_px=np.full(len(grain), np.inf) if len(system.habit) == 4 else reach,
        orientation=np.asarray(multiply(scatter(rng, len(grain), draw(rng, twins.scatter_deg)), child), np.float64),
    )


def _favoured(rng: np.random.Generator, system: Variants, orientation: Floats) -> NDArray[np.int64]:
    """(n, 2) variants per grain of highest resolved shear under a common load: like grains twin alike."""
    load = np.asarray(rotate_vectors(orientation * [1.0, -1, -1, -1], unit(rng.standard_normal(3))), np.float64)
    along = np.asarray(rotate_vectors(system.rotation, np.array([0.0, 0, 1])), np.float64)
    shear = along - np.sum(along * system.habit, axis=1, keepdims=True) * system.habit
    schmid = np.abs((load @ system.habit.T) * (load @ shear.T))
    return np.argsort(-(schmid + rng.normal(0, 0.1, schmid.shape)), axis=1)[:, :2]


@dataclass(frozen=True)
class Plates:
    """Plates or colonies inside transformed grains, ordered by grain like `Lamellae`.

    Attributes:
        start: (grains + 1,).
        centre: (n, 3) px.
        normal: (n, 3) habit normal in the sample frame.
        orientation: (2 n, 4): of the plate, and of the variant that alternates with it.
        flatness: length over thickness of a cell; 1 for colonies.
        lath_px: thickness of the laths of a colony; infinite for single plates.
        retained: share of the lath that stays parent phase (film between plates).
        alternating: laths of a colony take the two variants in turn.
        lath_turn: (N_LATH_TURNS, 3) rotation vectors from lath to lath.
    """

    start: Ints
    centre: Floats
    normal: Floats
    orientation: Floats
    flatness: float
    lath_px: float
    retained: float
    alternating: bool
    lath_turn: Floats

    def stamp(self, leaf: Ints, grain: Ints, points: Floats, first_leaf: int) -> tuple[Ints, NDArray[np.bool_]]:
        """Write the leaf of each pixel's plate; return its row of `lath_turn` and where the parent phase remains."""
        return _plate(
            leaf, grain, points, first_leaf, self.start, self.centre, self.normal, self.flatness, self.lath_px,
            self.retained, self.alternating,
        )  # fmt: skip


def draw_plates(
    rng: np.random.Generator,
    laths: Laths,
    cells: Cells,
    orientation: Floats,
    diameter_px: float,
    extent: tuple[tuple[int, int], float],
    cubic: bool,
) -> Plates:
    """Variants of the parents among the grains with the given `orientation`; `extent` is (section shape, depth)."""
    shape, depth = extent
    weave = rng.random() < laths.basketweave
    thickness = draw_log(rng, laths.thickness_px)
    flatness = draw(rng, laths.aspect) if weave else 1.0
    size = thickness * flatness ** (2 / 3) if weave else max(6.0, draw(rng, laths.colony_grains) * diameter_px)
    seeds = pack_cells(rng, shape, depth, size, 0.2, np.eye(3), regular=False).centre
    grain = cells.at(seeds[None])[0]
    keep = (rng.random(len(cells)) < draw(rng, laths.parents))[grain]
    order = np.argsort(grain[keep], kind="stable")
    seeds, grain = seeds[keep][order], grain[keep][order]
    system = transformation(cubic)
    first, other = _pick_variants(rng, laths, system, grain, len(cells))
    parent = orientation[grain]
    children = np.stack([multiply(parent, system.rotation[v]) for v in (first, other)], axis=1)
    return Plates(
        start=_starts(grain, len(cells)),
        centre=seeds,
        normal=np.asarray(rotate_vectors(parent, system.habit[first]), np.float64),
        orientation=children.reshape(-1, 4).astype(np.float64, copy=False),
        flatness=flatness,
        lath_px=np.inf if weave else thickness,
        retained=draw(rng, laths.retained) if rng.random() < laths.ribbed else 0.0,
        alternating=bool(rng.random() < laths.alternating),
        lath_turn=rng.standard_normal((N_LATH_TURNS, 3)) * np.radians(draw(rng, laths.scatter_deg)) / np.sqrt(3),
    )


def _pick_variants(
    rng: np.random.Generator, laths: Laths, system: Variants, grain: Ints, n_grains: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two variants for each plate out of the few that its parent selected."""
    n = len(system.rotation)
    chosen = np.argsort(rng.random((n_grains, n)), axis=1)
    few = int(rng.integers(laths.variants[0], min(laths.variants[1], n) + 1))
    first = rng.integers(few, size=len(grain))
    other = (first + rng.integers(1, few, size=len(grain))) % few
    return chosen[grain, first], chosen[grain, other]


def _starts(grain: NDArray[Any], n_grains: int) -> Ints:
    start = np.zeros(n_grains + 1, np.int32)
    np.cumsum(np.bincount(grain, minlength=n_grains), out=start[1:])
    return start


@cached
def _stamp(
    leaf: Any, grain: Any, points: Any, first_leaf: int, start: Any, centre: Any, normal: Any, half: Any, reach: Any
) -> None:  # pragma: no cover - compiled
    """Lens of thickness 2 half (1 − (ρ / reach)²) at distance ρ from its centre within the habit plane."""
    for i in range(leaf.shape[0]):
        for j in range(leaf.shape[1]):
            g = grain[i, j]
            for k in range(start[g], start[g + 1]):
                x = points[i, j, 0] - centre[k, 0]
                y = points[i, j, 1] - centre[k, 1]
                z = points[i, j, 2] - centre[k, 2]
                u = x * normal[k, 0] + y * normal[k, 1] + z * normal[k, 2]
                rho2 = x * x + y * y + z * z - u * u
                if abs(u) < half[k] * (1 - rho2 / (reach[k] * reach[k])):
                    leaf[i, j] = first_leaf + k
                    break


@cached
def _plate(
    leaf: Any, grain: Any, points: Any, first_leaf: int, start: Any, centre: Any, normal: Any, flatness: float,
    lath_px: float, retained: float, alternating: bool,
) -> Any:  # fmt: skip  # pragma: no cover - compiled
    """Nearest plate centre of the pixel's own grain, distances along the habit normal weighted by `flatness`."""
    turn = np.full(leaf.shape, -1, np.int32)
    parent = np.zeros(leaf.shape, np.bool_)
    for i in range(leaf.shape[0]):
        for j in range(leaf.shape[1]):
            g = grain[i, j]
            best, runner, at, height = 1e30, 1e30, -1, 0.0
            for k in range(start[g], start[g + 1]):
                x = points[i, j, 0] - centre[k, 0]
                y = points[i, j, 1] - centre[k, 1]
                z = points[i, j, 2] - centre[k, 2]
                u = x * normal[k, 0] + y * normal[k, 1] + z * normal[k, 2]
                d = x * x + y * y + z * z + (flatness * flatness - 1) * u * u
                if d < best:
                    best, runner, at, height = d, best, k, u
                elif d < runner:
                    runner = d
            if at < 0:
                continue
            u = height / lath_px
            u += 0.25 * np.sin(1.9 * u + at)
            lath = np.floor(u)
            second = alternating and int(lath) % 2 != 0
            leaf[i, j] = first_leaf + 2 * at + (1 if second else 0)
            turn[i, j] = (int(lath) * 7919 + at * 31) % 64
            if np.isinf(lath_px):
                parent[i, j] = np.sqrt(runner) - np.sqrt(best) < 0.5 * retained * np.sqrt(best)
            else:
                parent[i, j] = u - lath < retained
    return turn, parent
