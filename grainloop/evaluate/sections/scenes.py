"""Scenes: a known specimen, points measured on it, PL images taken of it by a chosen instrument, and the truth.

Every nuisance is one of `instrument_sim.config.SimConfig`. By default points are exact and PL has all its default
nuisances. All randomness follows from the seed; regular grids are centred whatever the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainloop.evaluate.sections.given import Given, give
from grainloop.instrument_sim.config import DetectorConfig, DriftConfig, SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.model.diffusion.training.validation import regular_grid
from grainloop.model.maps import OrientationMap
from grainloop.model.reconstruct import RegisteredLight
from grainloop.model.service.sections import prepare
from grainloop.protocols.capabilities import Capabilities
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import OpenSection, ScanRequest
from grainloop.protocols.values import LightImages, LightKind, PointBlock

ANGLES_DEG = tuple(float(angle) for angle in range(0, 180, 10))
EXACT_POINTS = SimConfig(detector=DetectorConfig.none(), drift=DriftConfig.none())
"""Exact points, PL with every default nuisance."""
_DWELL_S = 0.02
_LAYOUT_STREAM = 0x706F696E


class Layout(StrEnum):
    """Where the points lie."""

    GRID = "grid"
    RANDOM = "random"


@dataclass(frozen=True)
class Setting:
    """How a specimen is measured.

    Attributes:
        share: of the pixels measured; a regular grid comes as near to it as it can.
        layout: centred regular grid, or pixels at random.
        instrument: detector, drift, PL camera (kind, noise, blur, shading, dust, misregistration, offset of the
            analyser) and permittivity.
        angles_deg: stage angles of a rotation stack; not looked at with an RGB camera.
        seed: of instrument and layout.
    """

    share: float = 0.0625
    layout: Layout = Layout.GRID
    instrument: SimConfig = EXACT_POINTS
    angles_deg: tuple[float, ...] = ANGLES_DEG
    seed: int = 0

    def with_light(self, **nuisances: Any) -> Setting:
        """The same with other `LightNuisances`, e.g. `noise=0.3, misregistration_px=0.0, dust=0.02, shading=0.5`."""
        changed = replace(self.instrument.nuisances, **nuisances)
        return self.with_instrument(nuisances=changed)

    def with_detector(self, **errors: Any) -> Setting:
        """The same with other errors of the points, e.g. `noise_deg=1.0, lost_share=0.05`."""
        return self.with_instrument(detector=DetectorConfig(**dict(self.instrument.detector) | errors))

    def with_instrument(self, **fields: Any) -> Setting:
        """The same with other fields of `SimConfig`, e.g. `analyser_offset_deg=3.0, light_kind=LightKind.RGB`."""
        return replace(self, instrument=SimConfig(**dict(self.instrument) | fields))


@dataclass(frozen=True, eq=False)
class Scene:
    """A measured specimen and its truth.

    Attributes:
        truth: the specimen; points are in its Euler frame.
        points: as the instrument reports them.
        light: PL images as taken, or None.
        capabilities: of the instrument: grid, phases, frame, PL camera.
        seed: of the registration.
    """

    truth: OrientationMap
    points: PointBlock
    light: LightImages | None
    capabilities: Capabilities
    seed: int = 0

    @property
    def fraction_measured(self) -> float:
        """Share of the pixels that were measured."""
        return len(np.unique(self.points.position_px, axis=0)) / self.truth.phase_id.size

    @cached_property
    def given(self) -> Given:
        """What reconstructors are given, PL registered by the points.

        Raises:
            BadInput: a phase of unknown point group, or points that do not belong to the section.
        """
        return give(prepare(self.declaration()), self.points, self.seed)

    def declaration(self) -> OpenSection:
        """The section as it is opened at the model service."""
        caps = self.capabilities
        return OpenSection(section_key="scene", grid=caps.grid, phases=caps.phases, frame=caps.frame, light=self.light)


def make_scene(specimen: OrientationMap, setting: Setting, lit: OrientationMap | None = None) -> Scene:
    """Measure points on a specimen and take PL images of it, or of another map `lit`, by mistake as it were.

    Raises:
        BadInput: a share outside 0 … 1, or a specimen without an indexed point.
    """
    instrument = mount(specimen, setting.instrument, setting.seed)
    position = draw_points(specimen.shape_px, setting.share, setting.layout, setting.seed)
    camera = instrument if lit is None else mount(lit, setting.instrument, setting.seed)
    light = take_light(camera, setting.angles_deg)
    return Scene(specimen, measure(instrument, position), light, instrument.capabilities, setting.seed)


def mount(specimen: OrientationMap, config: SimConfig, seed: int) -> SimulatedInstrument:
    """A simulated instrument with this specimen.

    Raises:
        BadInput: no point of it is indexed, or it declares an unknown frame.
    """
    try:
        return SimulatedInstrument(specimen, config, seed)
    except ValueError as error:
        raise BadInput(f"The map cannot be measured: {error}", field="map") from error


def draw_points(shape: tuple[int, int], share: float, layout: Layout, seed: int) -> NDArray[np.int32]:
    """(n, 2) row, column of the pixels to measure.

    Raises:
        BadInput: a share that is not above 0 and up to 1.
    """
    if not 0 < share <= 1:
        message = f"The share {share:g} cannot be measured: give a share of the pixels above 0 and up to 1."
        raise BadInput(message, field="share", value=share)
    if layout is Layout.GRID:
        return regular_grid(shape, share)
    size = shape[0] * shape[1]
    rng = np.random.default_rng([seed, _LAYOUT_STREAM])
    chosen = np.sort(rng.choice(size, max(1, round(share * size)), replace=False))
    return np.stack(np.divmod(chosen, shape[1]), axis=-1).astype(np.int32)


def measure(instrument: SimulatedInstrument, position_px: NDArray[np.int32]) -> PointBlock:
    """Points (n, 2) measured in this order."""
    number = np.arange(len(position_px), dtype=np.int64)
    request = ScanRequest(batch=0, point_id=number, position_px=position_px, dwell_s=_DWELL_S)
    return PointBlock.concatenate(list(instrument.scan(request)))


def take_light(instrument: SimulatedInstrument, angles_deg: tuple[float, ...] = ANGLES_DEG) -> LightImages | None:
    """PL images by the camera that the instrument has; None where it has none."""
    camera = instrument.capabilities.light
    if camera is None:
        return None
    angles = angles_deg if camera.kind is LightKind.ROTATION_STACK else ()
    images = instrument.light(0, angles)
    return LightImages(kind=camera.kind, angles_deg=angles, images=images, pixel_um=camera.pixel_um)


def of_another_section(light: RegisteredLight) -> RegisteredLight:
    """Registered PL turned by 180°: as plausible as the right one, and wrong everywhere."""
    return RegisteredLight(light.features[:, ::-1, ::-1].copy(), light.sigma, light.residual_px)


def of_noise(light: RegisteredLight, seed: int = 0) -> RegisteredLight:
    """Registered PL replaced by white noise of the same mean and spread in each feature."""
    middle, spread = (of(light.features, axis=(1, 2), keepdims=True) for of in (np.nanmean, np.nanstd))
    drawn = np.random.default_rng([seed, 0x6E6F69]).normal(middle, spread, light.features.shape)
    return RegisteredLight(drawn.astype(np.float32), light.sigma, light.residual_px)
