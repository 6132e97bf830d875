"""Does adaptive acquisition pay? Its time against a full raster and coarse rasters, at equal errors. Pure arithmetic.

The errors come from measured curves (`grainloop/cli/plan/error_curves.json`), the times from the declared costs of the
instrument and the measured speed of the model on this computer. Measuring that speed, files and sentences are the
command line's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from grainloop.protocols.capabilities import ScanMeans
from grainloop.protocols.shapes import ScanShape

Curve = tuple[tuple[float, float], ...]
"""(share measured, share wrong by more than 5°), shares growing; 0 … 1."""
_ROAMING = 0.7124
"""A short path through n points of an area A is about 0.7124 · √(n · A) long (Beardwood, Halton & Hammersley 1959)."""
_DWELLS_S = (1e-6, 1e3)
_HALVINGS = 60


@dataclass(frozen=True)
class Material:
    """A map whose errors were measured.

    Attributes:
        name: of the map.
        words: what it is, for people.
        grain_px: mean area of a grain in pixels.
        raster_nearest: of coarse rasters filled by nearest neighbour.
        raster_model: of coarse rasters reconstructed by the model.
        adaptive: of adaptive runs, first pass included.
    """

    name: str
    words: str
    grain_px: float
    raster_nearest: Curve
    raster_model: Curve
    adaptive: Curve


@dataclass(frozen=True)
class Speed:
    """How long the model takes for one decision, PL registered before: `fixed_s + per_pixel_s · pixels`."""

    fixed_s: float
    per_pixel_s: float

    def decision_s(self, pixels: int) -> float:
        """Seconds for a map of so many pixels."""
        return self.fixed_s + self.per_pixel_s * pixels

    @classmethod
    def of(cls, measured: Sequence[tuple[int, float]]) -> Self:
        """From (pixels, seconds) of maps of different size; never falling."""
        pixels, seconds = np.array(measured, np.float64).T
        slope = max(0.0, float(np.polyfit(pixels, seconds, 1)[0])) if len(set(pixels)) > 1 else 0.0
        return cls(max(0.0, float((seconds - slope * pixels).max())), slope)


@dataclass(frozen=True)
class Work:
    """A section to be measured.

    Attributes:
        shape_px: rows, columns of the map.
        means: what the instrument accepts, what it costs, and the dwell.
        speed: of the model on this computer.
        batches: adaptive batches after the first pass.
        first_pass: share of the points that the first pass takes.
        light_s: PL images on the instrument; 0 where another microscope takes them.
        grain_px: mean area of a grain in pixels, or nothing for the grains of the measured maps.
    """

    shape_px: tuple[int, int]
    means: ScanMeans
    speed: Speed
    batches: int = 8
    first_pass: float = 0.5
    light_s: float = 0.0
    grain_px: float | None = None

    @property
    def pixels(self) -> int:
        """Pixels of the map."""
        return self.shape_px[0] * self.shape_px[1]

    def at_dwell(self, dwell_s: float) -> Work:
        """The same with another exposure."""
        return replace(self, means=self.means.model_copy(update={"dwell_s": dwell_s}))


@dataclass(frozen=True)
class Way:
    """One way to get a map of some quality.

    Attributes:
        share: of the pixels measured.
        points: measured.
        scan_s: instrument time of the scan.
        idle_s: the instrument waits for the model.
        model_s: the model works on after the last point.
        total_s: until the map is there, PL included where it takes part.
        dose_share: exposure of the section, as a share of that of a full raster.
    """

    share: float
    points: int
    scan_s: float
    idle_s: float
    model_s: float
    total_s: float
    dose_share: float


@dataclass(frozen=True)
class Comparison:
    """All ways to leave no more than `wrong` of the pixels off by more than 5°; nothing where not measured.

    Attributes:
        wrong: tolerated share of wrong pixels.
        full: the full raster, which leaves none of that kind.
        raster_nearest: coarse raster, filled by nearest neighbour.
        raster_model: coarse raster, reconstructed by the model.
        adaptive: adaptive run; nothing where the instrument accepts no free points, too.
        break_even_dwell_s: exposure at which the adaptive run takes as long as the full raster; it pays above.
        quickest_above_s: exposure above which the adaptive run is quicker than every raster.
    """

    wrong: float
    full: Way
    raster_nearest: Way | None
    raster_model: Way | None
    adaptive: Way | None
    break_even_dwell_s: float | None
    quickest_above_s: float | None

    @property
    def best(self) -> str:
        """The name of the quickest way."""
        ways = {name: getattr(self, name) for name in ("full", "raster_nearest", "raster_model", "adaptive")}
        return min((name for name in ways if ways[name] is not None), key=lambda name: ways[name].total_s)

    @property
    def pays(self) -> bool:
        """Whether the adaptive run is quicker than a full raster."""
        return self.adaptive is not None and self.adaptive.total_s < self.full.total_s


def compare(work: Work, material: Material, wrong: float) -> Comparison:
    """Every way to a map of this quality of this material."""

    def way(curve: Curve, make: Callable[[Work, float], Way]) -> Way | None:
        share = share_needed(curve, wrong, material.grain_px / (work.grain_px or material.grain_px))
        return None if share is None else make(work, share)

    free = ScanShape.POINTS in work.means.shapes.accepted
    adaptive = way(material.adaptive, adaptive_way) if free else None
    nearest, model = way(material.raster_nearest, nearest_way), way(material.raster_model, model_way)
    rasters = [(1.0, full_way)]
    rasters += [(one.share, make) for one, make in ((nearest, nearest_way), (model, model_way)) if one is not None]
    above = [None if adaptive is None else break_even_dwell_s(work, adaptive.share, *one) for one in rasters]
    known = [dwell_s for dwell_s in above if dwell_s is not None]
    quickest_above_s = max(known) if len(known) == len(above) else None
    return Comparison(wrong, full_way(work), nearest, model, adaptive, above[0], quickest_above_s)


def share_needed(curve: Curve, wrong: float, scale: float = 1.0) -> float | None:
    """Share of the pixels to measure for an error of `wrong`, between measured ones on logarithmic axes.

    Args:
        curve: as measured; where it rises, the lowest error so far counts.
        wrong: wanted.
        scale: grain area of the curve over that of the map: grains twice as large need half the share.

    Returns:
        None where the error is below all that were measured; where it is above all of them, the smallest share
        measured, which is more than needed.
    """
    shares, errors = np.array(curve, np.float64).T
    errors = np.minimum.accumulate(np.maximum(errors, 1e-9))
    if wrong < errors[-1]:
        return None
    if wrong >= errors[0]:
        return min(1.0, float(shares[0]) * scale)
    logarithm = np.interp(-math.log(wrong), -np.log(errors), np.log(shares))
    return min(1.0, math.exp(float(logarithm)) * scale)


def wrong_at(curve: Curve, share: float, scale: float = 1.0) -> float:
    """The error that a share of the pixels leaves; beyond what was measured, that of the nearest share measured."""
    shares, errors = np.log(np.maximum(np.array(curve, np.float64).T, 1e-9))
    return math.exp(float(np.interp(math.log(share / scale), shares, errors)))


def full_way(work: Work, share: float = 1.0) -> Way:
    """A full raster; it needs no model and no PL."""
    return nearest_way(work, share)


def nearest_way(work: Work, share: float) -> Way:
    """A coarse raster, filled by nearest neighbour, which takes no time."""
    seconds = raster_s(work, share)
    return Way(share, round(share * work.pixels), seconds, 0.0, 0.0, seconds, share)


def model_way(work: Work, share: float) -> Way:
    """A coarse raster with PL, reconstructed once."""
    seconds, thinking = raster_s(work, share), work.speed.decision_s(work.pixels)
    return Way(share, round(share * work.pixels), seconds, 0.0, thinking, work.light_s + seconds + thinking, share)


def adaptive_way(work: Work, share: float) -> Way:
    """A first pass and batches of free points; the model thinks while the batch before is measured.

    The instrument waits where a decision takes longer than a batch; the first one is hidden by the part of the first
    pass that is held back for that.
    """
    points = max(1, round(share * work.pixels))
    scan_s, thinking = points_s(work, points, work.batches + 2), work.speed.decision_s(work.pixels)
    batch_s = scan_s * (1 - work.first_pass) / work.batches
    idle_s = work.batches * max(0.0, thinking - batch_s)
    total_s = work.light_s + scan_s + idle_s + thinking
    return Way(share, points, scan_s, idle_s, thinking, total_s, points / work.pixels)


def raster_s(work: Work, share: float) -> float:
    """Seconds of one raster over the whole map, by the largest shape that the instrument accepts."""
    rows, columns = (max(1, round(size * math.sqrt(share))) for size in work.shape_px)
    timing, accepted = work.means.timing, work.means.shapes.accepted
    each_s = work.means.dwell_s + timing.point_overhead_s
    if ScanShape.RECTANGLES in accepted:
        waiting_s = timing.settle_s + timing.map_start_s + (rows - 1) * timing.fly_back_s
    elif ScanShape.LINES in accepted:
        waiting_s = rows * (timing.settle_s + timing.line_start_s)
    else:
        waiting_s = rows * columns * timing.settle_s
    there_and_back = 1 if work.means.shapes.serpentine else 2
    way_px = work.shape_px[0] + there_and_back * rows * work.shape_px[1]
    return timing.batch_overhead_s + waiting_s + rows * columns * each_s + timing.travel_s_per_px * way_px


def points_s(work: Work, points: int, requests: int) -> float:
    """Seconds of free points in several requests, each along a short path."""
    timing = work.means.timing
    each_s = work.means.dwell_s + timing.point_overhead_s + timing.settle_s
    way_px = _ROAMING * math.sqrt(points * work.pixels * requests)
    return requests * timing.batch_overhead_s + points * each_s + timing.travel_s_per_px * way_px


def break_even_dwell_s(
    work: Work, share: float, raster: float = 1.0, make: Callable[[Work, float], Way] = full_way
) -> float | None:
    """Exposure at which an adaptive run takes as long as a raster; below it the raster is quicker.

    Nothing where one of them is quicker at any exposure from a microsecond to a quarter of an hour.

    Args:
        work: the section.
        share: that the adaptive run measures.
        raster: share that the raster measures, all of the pixels unless told.
        make: what becomes of it.
    """

    def saved_s(dwell_s: float) -> float:
        there = work.at_dwell(dwell_s)
        return make(there, raster).total_s - adaptive_way(there, share).total_s

    low, high = _DWELLS_S
    if saved_s(low) >= 0 or saved_s(high) <= 0:
        return None
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if saved_s(middle) > 0 else (middle, high)
    return high
