"""Pixels and paths: coarse grids, rasters, and short ways through points and shapes. Pure; knows no run."""

from grainloop.controller.geometry.grid import (
    adjacent_share,
    around,
    coarse_grid,
    coarse_grid_of_at_least,
    inside,
    nearest_of,
    space_filling,
    spread_apart,
)
from grainloop.controller.geometry.rasters import (
    cheapest_s,
    coarse_rasters,
    densest,
    evenly,
    in_parts,
    raster_px,
    smallest_points,
    within,
)
from grainloop.controller.geometry.route import path_length, short_path, warm_up, way_lengths
from grainloop.controller.geometry.shape_route import short_shape_route

__all__ = [
    "adjacent_share",
    "around",
    "cheapest_s",
    "coarse_grid",
    "coarse_grid_of_at_least",
    "coarse_rasters",
    "densest",
    "evenly",
    "in_parts",
    "inside",
    "nearest_of",
    "path_length",
    "raster_px",
    "short_path",
    "short_shape_route",
    "smallest_points",
    "space_filling",
    "spread_apart",
    "warm_up",
    "way_lengths",
    "within",
]
