"""A volume of material drawn from a recipe, and the sections cut from it.

Joins tessellation, texture, substructure, gradients and flaws. Sections of one volume are neighbouring sections of one
material. Measuring a section belongs to `ebsd` and `light`.

Frame: x along the columns, y along the rows (down), z into the specimen, px; quaternions refer to the same axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.model.jit import cached
from grainloop.model.microstructure.defects import Flaws, draw_flaws
from grainloop.model.microstructure.fields import SmoothField, smooth_field
from grainloop.model.microstructure.recipe import Recipe, Strain, Twins, draw, draw_log, pick
from grainloop.model.microstructure.substructure import (
    Lamellae,
    Plates,
    draw_lamellae,
    draw_plates,
    transformation,
    twin_system,
)
from grainloop.model.microstructure.tessellation import Cells, pack_cells, pack_plane, random_axes, stretch_matrix
from grainloop.model.microstructure.texture import grain_orientations

Floats = NDArray[np.float64]
Shape = tuple[int, int]

PORE, MAIN_PHASE, SECOND_PHASE = 0, 1, 2

HABIT_FREEDOM = 0.3
"""How much of the bending and serration of grain boundaries shows on habit planes, which stay nearly flat."""

ISOLATED_PLATES = Twins(per_grain=(2.0, 12.0), thickness_px=(2.0, 12.0), length_grains=(0.4, 1.6))


@dataclass(frozen=True)
class Section:
    """Truth of one section; see `specimen.Specimen` for the fields."""

    orientation: NDArray[np.float32]
    label: NDArray[np.int32]
    phase: NDArray[np.uint8]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Rotations:
    """Orientation changes inside grains: a smooth field mixed per grain, plus piecewise constant subgrains.

    Attributes:
        field: three smooth components.
        mixing: (grains, 3, 3) radians of rotation vector per unit of field.
        subgrains: tessellation of the subgrains, if any.
        subgrain_turn: (subgrains, 3) rotation vectors.
    """

    field: SmoothField
    mixing: Floats
    subgrains: Cells | None
    subgrain_turn: Floats


@dataclass(frozen=True)
class Volume:
    """A specimen in three dimensions; `diameter_px` is the mean equivalent diameter its grains were drawn with."""

    diameter_px: float
    cells: Cells
    orientation: Floats
    second_phase: NDArray[np.bool_]
    bending: SmoothField
    bend_px: float
    serration: SmoothField
    serration_px: float
    rotations: Rotations
    plates: Plates | None
    lamellae: Lamellae | None
    flaws: Flaws

    def section(self, shape: Shape, depth_px: float = 0.0) -> Section:
        """The section at `depth_px` below the first one."""
        points = _grid(shape, depth_px)
        serration = self.serration_px * np.moveaxis(self.serration.section(shape, depth_px), 0, -1)
        bending = self.bend_px * np.moveaxis(self.bending.section(shape, depth_px), 0, -1)
        grain = self.cells.at(points + serration + bending)
        fine = points + HABIT_FREEDOM * (serration + bending)
        leaf = grain.copy()
        table = [self.orientation]
        turn, parent_phase = np.full(shape, -1, np.int32), self.second_phase[grain]
        if self.plates is not None:
            turn, retained = self.plates.stamp(leaf, grain, fine, len(self.cells))
            leaf[retained] = grain[retained]
            parent_phase = parent_phase | retained
            table.append(self.plates.orientation)
        if self.lamellae is not None:
            first = sum(map(len, table))
            self.lamellae.stamp(leaf, grain, fine, first)
            table.append(self.lamellae.orientation)
            parent_phase = parent_phase & (leaf < first)
        orientation = self._turned(leaf, grain, turn, points, np.concatenate(table))
        return self._flawed(orientation, leaf, parent_phase, points)

    def _turned(
        self, leaf: NDArray[np.int32], grain: NDArray[np.int32], turn: NDArray[np.int32], points: Floats, table: Floats
    ) -> NDArray[np.float32]:
        rotations = self.rotations
        sub = np.full(leaf.shape, -1, np.int32) if rotations.subgrains is None else rotations.subgrains.at(points)
        lath = np.zeros((1, 3)) if self.plates is None else self.plates.lath_turn
        field = rotations.field.section(leaf.shape, float(points[0, 0, 2]))
        return _turn(table, leaf, grain, field, rotations.mixing, sub, rotations.subgrain_turn, turn, lath)

    def _flawed(
        self, orientation: NDArray[np.float32], label: NDArray[np.int32], second: NDArray[np.bool_], points: Floats
    ) -> Section:
        shape = label.shape
        phase = np.where(second, SECOND_PHASE, MAIN_PHASE).astype(np.uint8)
        particle, pore = self.flaws.particles.at(points), self.flaws.pores.at(points) >= 0
        inside = particle >= 0
        phase[inside] = SECOND_PHASE
        label = np.where(inside, 1_000_000 + particle, label)
        phase[pore], label[pore], orientation[pore] = PORE, -1, (1, 0, 0, 0)
        valid = (phase == MAIN_PHASE) & ~self.flaws.unindexed((shape[0], shape[1]), float(points[0, 0, 2]))
        return Section(orientation, label.astype(np.int32), phase, valid)


def draw_volume(rng: np.random.Generator, shape: Shape, depth_grains: float, recipe: Recipe, cubic: bool) -> Volume:
    """A volume for sections of `shape` that reach `depth_grains` mean grain diameters deep."""
    diameter = draw_log(rng, recipe.grains.diameter_px)
    depth = depth_grains * diameter
    cells = _draw_cells(rng, recipe, shape, depth, diameter)
    texture = recipe.textures[pick(rng, [weight for weight, _ in recipe.textures])][1]
    orientation = grain_orientations(rng, texture, cells.centre, diameter, cubic)
    second_phase, plates, lamellae = _divide(rng, recipe, cells, orientation, diameter, (shape, depth), cubic)
    return Volume(
        diameter_px=diameter,
        cells=cells,
        orientation=orientation,
        second_phase=second_phase,
        bending=smooth_field(rng, shape, 0.6 * diameter, 3, depth),
        bend_px=draw(rng, recipe.grains.waviness) * diameter,
        serration=smooth_field(rng, shape, draw(rng, (1.5, 4.0)), 3, depth),
        serration_px=draw(rng, recipe.grains.roughness_px),
        rotations=_draw_rotations(rng, recipe.strain, len(cells), shape, depth, diameter),
        plates=plates,
        lamellae=lamellae,
        flaws=draw_flaws(rng, recipe.defects, shape, depth),
    )


def _divide(
    rng: np.random.Generator,
    recipe: Recipe,
    cells: Cells,
    orientation: Floats,
    diameter: float,
    extent: tuple[Shape, float],
    cubic: bool,
) -> tuple[NDArray[np.bool_], Plates | None, Lamellae | None]:
    """Which grains are of the second phase, and the plates and lamellae in the grains."""
    n = len(cells)
    other = draw(rng, recipe.defects.phase_grains) if rng.random() < recipe.defects.present else 0.0
    second = rng.random(n) < other
    if recipe.laths is not None:
        if rng.random() >= recipe.laths.isolated:
            return second, draw_plates(rng, recipe.laths, cells, orientation, diameter, extent, cubic), None
        parents = rng.random(n) < draw(rng, recipe.laths.parents)
        system = transformation(cubic)
        return parents, None, draw_lamellae(rng, ISOLATED_PLATES, system, parents, cells, orientation, diameter)
    if recipe.twins is not None:
        ratio = None if cubic else draw(rng, recipe.c_over_a)
        system = twin_system(rng, recipe.twins, ratio)
        twinned = (rng.random(n) < draw(rng, recipe.twins.grains)) & ~second
        return second, None, draw_lamellae(rng, recipe.twins, system, twinned, cells, orientation, diameter)
    return second, None, None


def _draw_cells(rng: np.random.Generator, recipe: Recipe, shape: Shape, depth: float, diameter: float) -> Cells:
    grains = recipe.grains
    regular = bool(rng.random() < grains.regular)
    spread = draw(rng, grains.spread)
    longest = draw(rng, grains.aspect)
    if depth == 0 and rng.random() < grains.planar:
        turn = rng.uniform(0, np.pi)
        axes = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        stretch = stretch_matrix(axes, (longest**0.5, longest**-0.5, 1.0))
        return pack_plane(rng, shape, diameter, spread, stretch, regular)
    stretch = stretch_matrix(random_axes(rng), (longest, longest ** draw(rng, (0.0, 1.0)), 1.0))
    return pack_cells(rng, shape, depth, diameter, spread, stretch, regular)


def _draw_rotations(
    rng: np.random.Generator, strain: Strain, n: int, shape: Shape, depth: float, diameter: float
) -> Rotations:
    rms = np.radians(draw_log(rng, strain.gradient_deg)) * np.exp(0.4 * rng.standard_normal(n))
    mixing = rng.standard_normal((n, 3, 3)) * rms[:, None, None] / 3
    knot = max(3.0, draw_log(rng, strain.knot_grains) * diameter)
    field = smooth_field(rng, shape, knot, 3, depth)
    if rng.random() >= strain.subgrains:
        return Rotations(field, mixing, None, np.zeros((1, 3)))
    aspect = draw(rng, strain.subgrain_aspect)
    size = max(4.0, draw(rng, strain.subgrain_grains) * diameter)
    cells = pack_cells(
        rng, shape, depth, size, 0.3, stretch_matrix(random_axes(rng), (aspect, aspect, 1.0)), regular=False
    )
    turn = rng.standard_normal((len(cells), 3)) * np.radians(draw_log(rng, strain.subgrain_deg)) / np.sqrt(3)
    return Rotations(field, mixing, cells, turn)


def _grid(shape: Shape, depth_px: float) -> Floats:
    points = np.empty((*shape, 3))
    points[..., 0] = np.arange(shape[1])
    points[..., 1] = np.arange(shape[0])[:, None]
    points[..., 2] = depth_px
    return points


@cached
def _turn(
    table: Any, leaf: Any, grain: Any, field: Any, mixing: Any, sub: Any, sub_turn: Any, lath: Any, lath_turn: Any
) -> Any:  # pragma: no cover - compiled
    """(h, w, 4) leaf orientations, turned in the sample frame by exp of the summed rotation vectors."""
    out = np.empty((leaf.shape[0], leaf.shape[1], 4), np.float32)
    for i in range(leaf.shape[0]):
        for j in range(leaf.shape[1]):
            m = mixing[grain[i, j]]
            f0, f1, f2 = field[0, i, j], field[1, i, j], field[2, i, j]
            x = 0.5 * (m[0, 0] * f0 + m[0, 1] * f1 + m[0, 2] * f2)
            y = 0.5 * (m[1, 0] * f0 + m[1, 1] * f1 + m[1, 2] * f2)
            z = 0.5 * (m[2, 0] * f0 + m[2, 1] * f1 + m[2, 2] * f2)
            if sub[i, j] >= 0:
                t = sub_turn[sub[i, j]]
                x, y, z = x + 0.5 * t[0], y + 0.5 * t[1], z + 0.5 * t[2]
            if lath[i, j] >= 0:
                t = lath_turn[lath[i, j]]
                x, y, z = x + 0.5 * t[0], y + 0.5 * t[1], z + 0.5 * t[2]
            half = np.sqrt(x * x + y * y + z * z)
            s = np.sin(half) / half if half > 1e-12 else 1.0
            w, x, y, z = np.cos(half), s * x, s * y, s * z
            q = table[leaf[i, j]]
            out[i, j, 0] = w * q[0] - x * q[1] - y * q[2] - z * q[3]
            out[i, j, 1] = w * q[1] + x * q[0] + y * q[3] - z * q[2]
            out[i, j, 2] = w * q[2] - x * q[3] + y * q[0] + z * q[1]
            out[i, j, 3] = w * q[3] + x * q[2] - y * q[1] + z * q[0]
    return out
