"""Ready-made ways of asking an instrument for a scan: what it accepts and what that costs.

The figures are round ones for the kind of instrument, to plan and to compare by. They are assumptions, not
measurements of a product: take those of your own instrument.
"""

from __future__ import annotations

from dataclasses import dataclass

from grainloop.protocols.capabilities import ScanMeans, ScanTiming, ShapeLimits
from grainloop.protocols.shapes import ScanShape


@dataclass(frozen=True)
class Preset:
    """A kind of instrument.

    Attributes:
        words: what it is, for people.
        timing: what a scan costs.
        shapes: what it accepts.
    """

    words: str
    timing: ScanTiming
    shapes: ShapeLimits

    def means(self, dwell_s: float) -> ScanMeans:
        """The same at this exposure."""
        return ScanMeans(timing=self.timing, shapes=self.shapes, dwell_s=dwell_s)


EXTERNAL_CONTROL = Preset(
    "external scan control: the beam goes to any list of points",
    ScanTiming(
        travel_s_per_px=2e-5,
        settle_s=2e-3,
        batch_overhead_s=0.05,
        line_start_s=5e-3,
        map_start_s=5e-3,
        fly_back_s=2e-3,
    ),
    ShapeLimits(accepted=tuple(ScanShape), serpentine=True, any_corner=True, skips=True),
)
MAP_QUEUE = Preset(
    "map queue of a vendor: line scans and rectangles, each set up by the software",
    ScanTiming(
        travel_s_per_px=1e-5,
        settle_s=5e-3,
        batch_overhead_s=1.0,
        line_start_s=5.0,
        map_start_s=10.0,
        fly_back_s=5e-3,
    ),
    ShapeLimits(
        accepted=(ScanShape.LINES, ScanShape.RECTANGLES), shortest_line_points=8, smallest_rectangle_points=(8, 8)
    ),
)
PRESETS: dict[str, Preset] = {"external": EXTERNAL_CONTROL, "queue": MAP_QUEUE}
"""By the name that commands use."""
