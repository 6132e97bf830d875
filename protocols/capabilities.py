"""What an instrument declares about itself before anything is asked of it.

A driver states this once; the controller checks every request against it and the instrument service checks again.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from protocols.values import FramePreset, Grid, LightKind, Phase, Value

Seconds = Annotated[float, Field(ge=0)]


class ScanTiming(Value):
    """Declared costs of moving the beam, for plans and routes; never used to pace a real instrument."""

    travel_s_per_px: Seconds = 0.0
    settle_s: Seconds = 0.0
    batch_overhead_s: Seconds = 0.0

    def approach_s(self, way_px: float) -> float:
        """What starting a batch `way_px` away from the beam costs before the first exposure."""
        return self.batch_overhead_s + self.settle_s + self.travel_s_per_px * way_px


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
        light: the PL camera, or nothing where there is none.
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
    light: LightCapabilities | None = None
    frame: FramePreset = FramePreset.IDENTITY
    dead_man: bool = False

    @model_validator(mode="after")
    def _default_dwell_in_range(self) -> Capabilities:
        low, high = self.dwell_range_s
        if not low <= self.default_dwell_s <= high:
            raise ValueError(f"default_dwell_s {self.default_dwell_s} is outside dwell_range_s {low}–{high}")
        return self
