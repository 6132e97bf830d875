"""The simulated instrument: specimen, optics, detector and clock behind the driver interface.

Deterministic per seed: PL images in the order of the exposures, scan points by their place (see `detector`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from grainloop.instrument_sim.camera import Camera
from grainloop.instrument_sim.config import SimConfig
from grainloop.instrument_sim.detector import Drift, measure
from grainloop.instrument_sim.section import Section
from grainloop.instrument_sim.timing import SimulatedClock
from grainloop.model.maps import MapPhase, OrientationMap
from grainloop.protocols.capabilities import Capabilities, LightCapabilities
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.hosting.shape_limits import check_pieces
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.shapes import decode_pieces, exposure_ends_s
from grainloop.protocols.values import FramePreset, Grid, HexagonalAxis, LightKind, Phase, PointBlock

MAX_BLOCK_WALL_S = 0.5
"""With a finite speed-up a block is at most this long, so that progress is seen and cancelling is prompt."""


class SimulatedInstrument:
    """An instrument that measures a known map; implements `protocols.driver.InstrumentDriver`.

    Args:
        specimen: the true map, or one map per section (all on the same grid).
        config: what the instrument is like.
        seed: of everything random.
    """

    def __init__(
        self, specimen: OrientationMap | Sequence[OrientationMap], config: SimConfig | None = None, seed: int = 0
    ) -> None:
        maps = (specimen,) if isinstance(specimen, OrientationMap) else tuple(specimen)
        self.config = SimConfig() if config is None else config
        self.capabilities = capabilities_of(maps, self.config)
        self.clock = SimulatedClock(self.config.speed_up)
        self.sections = tuple(Section.mount(one, self.config.permittivity) for one in maps)
        self.cameras = tuple(self._mount_camera(seed, i) for i in range(len(maps)))
        self.drift = Drift(self.config.drift, seed)
        self.beam_px: tuple[int, int] | None = None
        """Where the scan coils stand; nothing before the first point."""
        self.beam_on = False
        self._seed = seed
        self._exposures = tuple(np.zeros(one.shape_px, np.int64) for one in maps)
        self._light_taken = 0

    def _mount_camera(self, seed: int, section: int) -> Camera:
        rng = np.random.default_rng([seed, 0xCA3E7A, section])
        return Camera.mount(rng, self.capabilities.grid.shape_px, self.config.nuisances)

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        """Measure points in order; ends early, with the points exposed until then, if `park` interrupts the waiting."""
        started_s = self.clock.begin(request.not_before_s)
        points = self._measure(request, started_s)
        self.beam_on = True
        try:
            for first, last in self._blocks(points.time_s):
                complete = self.clock.advance_to(points.time_s[last - 1])
                if not complete:
                    last = int(np.searchsorted(points.time_s, self.clock.now_s, side="right"))
                if last > first:
                    yield self._expose(request.section, points.select(slice(first, last)))
                if not complete:
                    return
        finally:
            self.beam_on = False

    def _measure(self, request: ScanRequest, started_s: float) -> PointBlock:
        """What all points of the request will give; nothing is exposed yet."""
        section, position = self._section(request.section), request.position_px
        self._check_positions(position)
        time_s = started_s + self._ends_s(request)
        pixel = position[:, 0].astype(np.int64) * section.truth.shape_px[1] + position[:, 1]
        exposure = self._exposures[request.section].reshape(-1)[pixel] + repeats(pixel)
        relative_dwell = request.dwell_s / self.config.default_dwell_s
        seed = self._seed + 1_000_003 * request.section
        found = measure(section, position, exposure, self.drift.at(time_s), relative_dwell, self.config.detector, seed)
        dwell_s = np.full(len(position), request.dwell_s, np.float32)
        return PointBlock(
            point_id=request.point_id, position_px=position, time_s=time_s, dwell_s=dwell_s, **found.__dict__
        )

    def _ends_s(self, request: ScanRequest) -> NDArray[np.float64]:
        """(N,) seconds from the start of a request to the end of each exposure.

        Raises:
            OutOfLimits: a shape that the instrument does not declare.
        """
        check_pieces(request, self.capabilities, rest=True)
        pieces = decode_pieces(request.pieces, len(request.point_id))
        return exposure_ends_s(request.position_px, pieces, self.beam_px, request.dwell_s, self.config.timing)

    def _blocks(self, time_s: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
        """First and last-plus-one index of the blocks to report."""
        span_s = MAX_BLOCK_WALL_S * self.config.speed_up
        first = 0
        while first < len(time_s):
            in_time = int(np.searchsorted(time_s, time_s[first] + span_s, side="right"))
            last = min(max(in_time, first + 1), first + self.config.block_points)
            yield first, last
            first = last

    def _expose(self, section: int, points: PointBlock) -> PointBlock:
        np.add.at(self._exposures[section], tuple(points.position_px.T), 1)
        row, col = points.position_px[-1]
        self.beam_px = (int(row), int(col))
        return points

    def light(self, section: int, angles_deg: tuple[float, ...]) -> NDArray[np.float32]:
        """PL images (K, H, W) of the section, or (3, H, W) from an RGB instrument.

        Raises:
            OutOfLimits: no PL camera, no such section, or a number of angles that the camera cannot take.
        """
        mounted, kind = self._section(section), self.config.light_kind
        if kind is None:
            raise OutOfLimits(f"{self.config.name} has no PL camera.", field="light")
        count = self._image_count(kind, angles_deg)
        started_s = self.clock.begin()
        offset = self.config.analyser_offset_deg
        colour = kind is LightKind.RGB
        ideal = mounted.ideal_rgb(offset) if colour else mounted.ideal_light(angles_deg, offset)
        rng = np.random.default_rng([self._seed, 0x119647, self._light_taken])
        images = self.cameras[section].expose(ideal, rng, colour=colour)
        self._light_taken += 1
        self.clock.advance_to(started_s + count * self.config.seconds_per_image)
        return images

    def _image_count(self, kind: LightKind, angles_deg: tuple[float, ...]) -> int:
        expected = kind is LightKind.RGB
        most = self.capabilities.light.max_images if self.capabilities.light else 0
        if expected != (not angles_deg) or len(angles_deg) > most:
            wanted = "takes no angles" if expected else f"takes 1 to {most} angles"
            raise OutOfLimits(
                f"The PL camera of {self.config.name} {wanted}, got {len(angles_deg)}.",
                field="angles_deg",
                value=len(angles_deg),
            )
        return max(len(angles_deg), 1)

    def park(self) -> None:
        """Blank the beam; a scan that is waiting in another thread ends with the points exposed so far."""
        self.clock.interrupt()
        self.beam_on = False

    def _section(self, section: int) -> Section:
        if not 0 <= section < len(self.sections):
            raise OutOfLimits(
                f"{self.config.name} holds {len(self.sections)} sections, asked for number {section}.",
                field="section",
                value=section,
            )
        return self.sections[section]

    def _check_positions(self, position_px: NDArray[np.int32]) -> None:
        height, width = self.capabilities.grid.shape_px
        outside = ((position_px < 0) | (position_px >= (height, width))).any(axis=1)
        if outside.any():
            row, col = position_px[int(np.argmax(outside))]
            raise OutOfLimits(
                f"Scan point ({row}, {col}) is outside the grid of {height} × {width} px of {self.config.name}.",
                field="position_px",
                value=f"({row}, {col})",
            )


def repeats(pixel: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) how often the pixel number of each point occurs before it in the list."""
    order = np.argsort(pixel, kind="stable")
    first = np.diff(pixel[order], prepend=-1) != 0
    rank = np.arange(len(pixel))
    result = np.empty(len(pixel), np.int64)
    result[order] = rank - np.maximum.accumulate(np.where(first, rank, 0))
    return result


def capabilities_of(maps: Sequence[OrientationMap], config: SimConfig) -> Capabilities:
    """What the simulated instrument declares for these sections.

    Raises:
        ValueError: no section, or sections on different grids.
    """
    if not maps:
        raise ValueError("a simulated instrument needs at least one section")
    first = maps[0]
    if any(other.shape_px != first.shape_px or other.step_um != first.step_um for other in maps):
        raise ValueError("all sections must be on the same grid")
    ratio = config.nuisances.ratio
    height, width = (max(1, round(n * ratio)) for n in first.shape_px)
    light = None
    if config.light_kind is not None:
        light = LightCapabilities(
            kind=config.light_kind,
            shape_px=(height, width),
            pixel_um=first.step_um / ratio,
            seconds_per_image=config.seconds_per_image,
        )
    return Capabilities(
        name=config.name,
        simulated=True,
        grid=Grid(shape_px=first.shape_px, step_um=first.step_um),
        phases=tuple(phase_of(phase) for phase in first.phases),
        sections=len(maps),
        dwell_range_s=config.dwell_range_s,
        default_dwell_s=config.default_dwell_s,
        max_points_per_scan=config.max_points_per_scan,
        timing=config.timing,
        shapes=config.shapes,
        light=light,
        exposes_ahead=config.block_points,
        frame=FramePreset(first.frame) if config.declared_frame is None else config.declared_frame,
    )


def phase_of(phase: MapPhase) -> Phase:
    """A phase of a map file as the protocol states it."""
    return Phase(
        phase_id=phase.phase_id,
        name=phase.name,
        point_group=phase.laue_group,
        lattice_angstrom=phase.lattice_angstrom,
        hexagonal_axis=HexagonalAxis(phase.hexagonal_axis),
    )
