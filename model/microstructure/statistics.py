"""Statistics by which synthetic and real maps are compared: grain sizes, neighbour disorientations, tilts.

`map_statistics` works on any map of orientations; `recipe_statistics` draws the maps of a recipe. Drawing figures and
tables of them is for scripts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainloop.model.crystal import c_axis, neighbour_disorientation_deg, segment_grains, tilt_deg
from grainloop.model.microstructure.ebsd import EbsdNuisances, measure
from grainloop.model.microstructure.recipe import Recipe
from grainloop.model.microstructure.specimen import make_specimen

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

GRAIN_DEG = 5.0
SMALLEST_GRAIN_PX = 5
CLEANED = EbsdNuisances(
    noise_deg=(0.1, 1.0),
    jitter_px=(0.0, 0.2),
    misindexed=(0.0, 0.0),
    pseudo_symmetric=(0.0, 0.0),
    not_indexed=(0.0, 0.01),
    not_indexed_boundary=(0.0, 0.02),
)
"""Published maps are cleaned: their orientations are noisy, but wrong solutions were replaced or dropped."""


@dataclass(frozen=True)
class MapStatistics:
    """What one map shows.

    Attributes:
        diameter_px: equivalent diameters 2 √(A/π) of the 5° grains of at least `SMALLEST_GRAIN_PX` pixels.
        neighbour_deg: disorientation of all pairs of valid neighbouring pixels.
        boundary_c_axis_deg: angle between the c-axes across each boundary (pairs above 5°).
        tilt_deg: angle between c-axis and normal of every valid pixel.
        boundary_density: share of pairs above 5°, per px: boundary length per area.
    """

    diameter_px: Floats
    neighbour_deg: Floats
    boundary_c_axis_deg: Floats
    tilt_deg: Floats
    boundary_density: float

    def summary(self) -> dict[str, float]:
        """Scalars for a table; see `SUMMARY`."""
        weight = self.diameter_px**2
        boundary = self.neighbour_deg[self.neighbour_deg > GRAIN_DEG]
        return {
            "diameter_mean_px": _mean(self.diameter_px),
            "diameter_area_weighted_px": float(np.average(self.diameter_px, weights=weight)) if weight.size else 0.0,
            "diameter_log_spread": float(np.std(np.log(self.diameter_px))) if weight.size else 0.0,
            "boundary_density": self.boundary_density,
            "low_angle_mean_deg": _mean(self.neighbour_deg[self.neighbour_deg <= GRAIN_DEG]),
            "boundary_mean_deg": _mean(boundary),
            "boundary_below_30deg": _mean(boundary < 30),
            "boundary_above_80deg": _mean(boundary > 80),
            "boundary_c_below_15deg": _mean(self.boundary_c_axis_deg < 15),
            "tilt_median_deg": float(np.median(self.tilt_deg)) if self.tilt_deg.size else 0.0,
            "tilt_spread_deg": float(np.subtract(*np.percentile(self.tilt_deg, [90, 10])))
            if self.tilt_deg.size
            else 0.0,
        }


SUMMARY = {
    "diameter_mean_px": "grain diameter, mean / px",
    "diameter_area_weighted_px": "grain diameter, area-weighted / px",
    "diameter_log_spread": "spread of ln(diameter)",
    "boundary_density": "boundary density / px⁻¹",
    "low_angle_mean_deg": "mean neighbour disorientation ≤ 5° / °",
    "boundary_mean_deg": "mean boundary disorientation / °",
    "boundary_below_30deg": "boundaries below 30°",
    "boundary_above_80deg": "boundaries above 80°",
    "boundary_c_below_15deg": "boundaries with c-axes within 15°",
    "tilt_median_deg": "c-axis tilt, median / °",
    "tilt_spread_deg": "c-axis tilt, P90 − P10 / °",
}
"""What the numbers of `MapStatistics.summary` are called in tables."""


def map_statistics(orientation: NDArray[np.float32], valid: Bools, point_group: str) -> MapStatistics:
    """Statistics of the valid pixels of an (h, w, 4) map; pairs with an invalid pixel do not count."""
    label = segment_grains(orientation, point_group, valid=valid)
    area = np.bincount(label[valid & (label >= 0)])
    area = area[area >= SMALLEST_GRAIN_PX]
    right, down = neighbour_disorientation_deg(orientation, point_group)
    pairs = [(right, valid[:, 1:] & valid[:, :-1]), (down, valid[1:] & valid[:-1])]
    neighbour = np.concatenate([angle[both] for angle, both in pairs]).astype(np.float64)
    c_axis = np.concatenate([angle[both] for angle, (_, both) in zip(_c_axis_angles(orientation), pairs, strict=True)])
    boundary = neighbour > GRAIN_DEG
    return MapStatistics(
        diameter_px=2 * np.sqrt(area / np.pi),
        neighbour_deg=neighbour,
        boundary_c_axis_deg=c_axis[boundary].astype(np.float64),
        tilt_deg=np.asarray(tilt_deg(orientation[valid]), np.float64),
        boundary_density=2 * _mean(boundary),
    )


def recipe_statistics(recipe: Recipe, count: int, shape: tuple[int, int], seed: int) -> list[MapStatistics]:
    """Statistics of `count` specimens of a recipe, scanned like the maps that laboratories publish."""
    found: list[MapStatistics] = []
    for child in np.random.SeedSequence(seed).spawn(count):
        rng = np.random.default_rng(child)
        specimen = make_specimen(rng, shape, recipe)
        scan = measure(rng, specimen, CLEANED)
        found.append(map_statistics(scan.orientation, scan.indexed, specimen.point_group))
    return found


def bracket(statistics: list[MapStatistics], tail: float = 5.0) -> dict[str, tuple[float, float, float]]:
    """Percentiles (`tail`, 50, 100 − `tail`) of each number of `MapStatistics.summary` over the maps."""
    rows = np.array([list(s.summary().values()) for s in statistics])
    low, middle, high = np.percentile(rows, [tail, 50, 100 - tail], axis=0)
    return {name: (float(low[i]), float(middle[i]), float(high[i])) for i, name in enumerate(SUMMARY)}


def _c_axis_angles(orientation: NDArray[np.float32]) -> tuple[Floats, Floats]:
    c = np.asarray(c_axis(orientation), np.float64)
    right = np.abs(np.einsum("ijk,ijk->ij", c[:, 1:], c[:, :-1]))
    down = np.abs(np.einsum("ijk,ijk->ij", c[1:], c[:-1]))
    return np.degrees(np.arccos(np.minimum(right, 1))), np.degrees(np.arccos(np.minimum(down, 1)))


def _mean(values: NDArray[np.floating] | Bools) -> float:
    return float(np.mean(values)) if values.size else 0.0
