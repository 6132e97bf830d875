"""Everything that can be chosen about the simulated instrument, as one frozen value."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from grainloop.instrument_sim.camera import LightNuisances
from grainloop.protocols.capabilities import ScanTiming, ShapeLimits
from grainloop.protocols.values import FramePreset, LightKind

Share = Annotated[float, Field(ge=0, le=1)]
Length = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0)]


class Frozen(BaseModel):
    """A frozen, closed part of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class DetectorConfig(Frozen):
    """Errors of a point measurement.

    Attributes:
        noise_deg: rms angle of the orientation noise at the default dwell; it falls with the root of the dwell.
        spot_px: standard deviation of the place from which the pattern comes; beside a boundary the pattern of the
            neighbour wins now and then.
        lost_share: share of points not indexed inside grains.
        lost_at_boundary: additional share beside a boundary.
        boundary_px: distance over which the influence of a boundary falls to 1/e.
        random_share: share of points indexed as an arbitrary orientation.
        pseudo_share: share of points indexed as a pseudo-symmetric variant (see `detector.PSEUDO_SYMMETRY`).
    """

    noise_deg: Length = 0.3
    spot_px: Length = 0.25
    lost_share: Share = 0.002
    lost_at_boundary: Share = 0.15
    boundary_px: Positive = 0.5
    random_share: Share = 0.003
    pseudo_share: Share = 0.003

    @classmethod
    def none(cls) -> DetectorConfig:
        """A perfect detector."""
        return cls(noise_deg=0, spot_px=0, lost_share=0, lost_at_boundary=0, random_share=0, pseudo_share=0)


class DriftConfig(Frozen):
    """Slow drift of the beam against the specimen, over instrument time: a constant rate and a random walk."""

    rate_px_per_hour: Length = 1.0
    walk_px_per_root_hour: Length = 0.3

    @classmethod
    def none(cls) -> DriftConfig:
        """A stage that stays where it is."""
        return cls(rate_px_per_hour=0, walk_px_per_root_hour=0)


class SimConfig(Frozen):
    """The instrument.

    Attributes:
        light_kind: rotation stack, one RGB image, or no PL camera at all.
        analyser_offset_deg: turn of the analyser out of exact crossing.
        permittivity: relative permittivity of every uniaxial phase, across the c-axis and along it; by default example
            values by the name of the phase.
        nuisances: what separates the PL images from ideal ones.
        timing: cost of moving the beam, on the instrument clock.
        shapes: what it accepts: free points alone by default; `instrument_sim.presets` has others.
        seconds_per_image: exposure and stage rotation per PL image.
        block_points: at most this many points are reported at once.
        speed_up: instrument seconds per second of waiting; infinite for no waiting at all.
        declared_frame: what the instrument says about its Euler frame; by default the truth, which is the frame of the
            specimen's map. Another one makes an instrument that is set up wrongly.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)] = "simulated SEM"
    detector: DetectorConfig = DetectorConfig()
    drift: DriftConfig = DriftConfig()
    light_kind: LightKind | None = LightKind.ROTATION_STACK
    analyser_offset_deg: float = 1.0
    permittivity: tuple[complex, complex] | None = None
    nuisances: LightNuisances = LightNuisances()
    timing: ScanTiming = ScanTiming(travel_s_per_px=2e-5, settle_s=0.002, batch_overhead_s=0.05)
    shapes: ShapeLimits = ShapeLimits()
    seconds_per_image: Length = 2.0
    dwell_range_s: tuple[Positive, Positive] = (0.001, 1.0)
    default_dwell_s: Positive = 0.02
    block_points: Annotated[int, Field(ge=1, le=100_000)] = 500
    max_points_per_scan: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
    speed_up: Positive = float("inf")
    declared_frame: FramePreset | None = None
