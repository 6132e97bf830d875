"""What an instrument declares about itself before anything is asked of it.

A driver states this once; the controller checks every request against it and the instrument service checks again.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from grainloop.protocols.shapes import ScanShape, ScanTiming, Seconds
from grainloop.protocols.values import FramePreset, Grid, LightKind, Phase, Value


class ShapeLimits(Value):
    """Which shapes an instrument accepts, and how small they may be.

    Attributes:
        accepted: at least one of free points, line scans and rectangles.
        shortest_line_points: fewest points of a line scan.
        smallest_rectangle_points: fewest lines and points per line of a rectangle.
        largest_step_px: largest step between points or lines of a raster.
        serpentine: every other line of a rectangle is scanned backwards.
        any_corner: a raster may be entered at any of its ends or corners; else at the top left, along the rows.
        skips: points of a raster can be left out; else those measured before are exposed again.
    """

    accepted: Annotated[tuple[ScanShape, ...], Field(min_length=1)] = (ScanShape.POINTS,)
    shortest_line_points: Annotated[int, Field(ge=2)] = 2
    smallest_rectangle_points: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (2, 2)
    largest_step_px: Annotated[int, Field(ge=1)] = 100
    serpentine: bool = False
    any_corner: bool = False
    skips: bool = False


class ScanMeans(Value):
    """All that the choice of shapes needs to know of an instrument."""

    timing: ScanTiming = ScanTiming()
    shapes: ShapeLimits = ShapeLimits()
    dwell_s: Annotated[float, Field(gt=0)]


class LightCapabilities(Value):
    """The PL camera: kind of images, frame and angles."""

    kind: LightKind
    shape_px: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    pixel_um: Annotated[float, Field(gt=0)]
    max_images: Annotated[int, Field(ge=1)] = 36
    seconds_per_image: Seconds = 0.0


class Capabilities(Value):
    """An instrument and the specimen in it.

    Attributes:
        name: what messages and errors call the instrument.
        simulated: true for anything that is not a real instrument; shown in every output.
        grid: the scan grid of the mounted section.
        sections: how many sections can be reached.
        dwell_range_s: shortest and longest exposure of a point.
        default_dwell_s: exposure used when the plan names none.
        max_points_per_scan: largest batch that one request may hold.
        timing: what a scan costs.
        shapes: free points, line scans, rectangles: what it accepts.
        light: the PL camera, or nothing where there is none.
        exposes_ahead: at most so many points, the next in the order of the request, are exposed beyond those yielded;
            nothing where that may be all of them. If the service dies, the results of so many may be lost.
        frame: relation of the Euler frame to the map frame.
        dead_man: whether the driver itself blanks the beam when its host falls silent.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    simulated: bool
    grid: Grid
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    sections: Annotated[int, Field(ge=1)] = 1
    dwell_range_s: tuple[Annotated[float, Field(gt=0)], float]
    default_dwell_s: Annotated[float, Field(gt=0)]
    max_points_per_scan: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    timing: ScanTiming = ScanTiming()
    shapes: ShapeLimits = ShapeLimits()
    light: LightCapabilities | None = None
    exposes_ahead: Annotated[int, Field(ge=1)] | None = None
    frame: FramePreset = FramePreset.IDENTITY
    dead_man: bool = False

    @model_validator(mode="after")
    def _default_dwell_in_range(self) -> Capabilities:
        low, high = self.dwell_range_s
        if not low <= self.default_dwell_s <= high:
            raise ValueError(f"default_dwell_s {self.default_dwell_s} is outside dwell_range_s {low}–{high}")
        return self
