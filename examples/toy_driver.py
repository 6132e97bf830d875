"""A complete driver in 15 lines: an instrument that finds the same orientation everywhere."""

from grainloop.protocols import Capabilities, Grid, Phase, PointBlock

GRID, PHASES = Grid(shape_px=(64, 64), step_um=1.0), (Phase(phase_id=1, name="Ti", point_group="6/mmm"),)


class ToyDriver:
    """The smallest instrument: no PL camera, a clock that counts exposures."""

    capabilities = Capabilities(
        name="toy", simulated=True, grid=GRID, phases=PHASES, dwell_range_s=(0.001, 1), default_dwell_s=0.01
    )
    clock_s = 0.0

    def scan(self, request):
        """Measure point by point."""
        for point_id, position_px in zip(request.point_id, request.position_px, strict=True):
            self.clock_s += request.dwell_s
            yield PointBlock.one(point_id, position_px, time_s=self.clock_s, dwell_s=request.dwell_s)

    def light(self, section, angles_deg):
        """Never called: no PL camera is declared."""

    def park(self):
        """Blank the beam here."""
