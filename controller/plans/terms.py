"""What was planned and what the instrument declares: everything a run goes by that is known before it begins.

A pure value, with what follows from the two together. Whether a plan can be carried out at all is the business of
`controller.plans.checks`; what was used up of it, that of `controller.ledger`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from grainloop.model.crystal import laue_group
from grainloop.protocols.capabilities import Capabilities, ScanMeans
from grainloop.protocols.plan import ANY_SHAPE, DEFAULT_ANGLES_DEG, RunPlan
from grainloop.protocols.sentences import printable
from grainloop.protocols.shapes import ScanShape
from grainloop.protocols.values import FramePreset, LightKind

_DECISION_S, _DECISION_S_PER_PX = 0.2, 1.5e-5
"""What a decision of the model that ships takes on two cores with nothing else to do, sockets, route and storing
included (docs/results/idle.md): 0.8 s for 200 × 200 px."""


@dataclass(frozen=True)
class Terms:
    """A plan on an instrument.

    Attributes:
        plan: what to measure and how to decide.
        capabilities: of the instrument, as it declares them.
    """

    plan: RunPlan
    capabilities: Capabilities

    @property
    def name(self) -> str:
        """What messages call the instrument."""
        return printable(self.capabilities.name)

    @property
    def shape_px(self) -> tuple[int, int]:
        """Rows and columns of the section."""
        return self.capabilities.grid.shape_px

    @property
    def frame(self) -> FramePreset:
        """Relation of the Euler frame to the map frame: the plan's, or the instrument's."""
        return self.plan.frame or self.capabilities.frame

    @property
    def dwell_s(self) -> float:
        """Exposure of a point: the plan's, or the instrument's default."""
        return self.capabilities.default_dwell_s if self.plan.dwell_s is None else self.plan.dwell_s

    def with_angles(self) -> Terms:
        """The same, with as many PL angles as the camera takes where the default has more; evenly spaced."""
        light = self.capabilities.light
        if (
            light is None
            or self.plan.light_angles_deg != DEFAULT_ANGLES_DEG
            or light.max_images >= len(DEFAULT_ANGLES_DEG)
        ):
            return self
        angles = tuple(180.0 * number / light.max_images for number in range(light.max_images))
        return replace(self, plan=self.plan.model_copy(update={"light_angles_deg": angles}))

    def with_decision_time(self) -> Terms:
        """The same, with what a decision counts on the clock of this instrument, or nothing: what it takes."""
        declared_s = None
        if self.capabilities.simulated and not self.plan.real_time:
            usual_s = _DECISION_S + _DECISION_S_PER_PX * self.capabilities.grid.size
            declared_s = usual_s if self.plan.decision_s is None else self.plan.decision_s
        return replace(self, plan=self.plan.model_copy(update={"decision_s": declared_s}))

    # --- how many points ----------------------------------------------------------------------------------------------
    @property
    def max_points(self) -> int:
        """The most points that the budget allows: by number, share, and sum of exposures."""
        budget = self.plan.budget
        most, limit_s = budget.max_points(self.capabilities.grid.size), budget.exposure_s
        return most if limit_s is None else min(most, int(limit_s / self.dwell_s + 1e-9))

    @property
    def max_points_per_request(self) -> int:
        """The most points that one request may hold."""
        return self.capabilities.max_points_per_scan

    def first_pass_points(self, budget_points: int) -> int:
        """About how many of the points that a budget allows go to the coarse grid; at least 1."""
        return self.plan.first_pass_points(budget_points, self.capabilities.grid.size, light=self.takes_light)

    @property
    def means(self) -> ScanMeans | None:
        """What the run asks for, where that is more than free points, and what it costs; nothing for these alone."""
        declared = self.capabilities.shapes
        accepted = declared.accepted if self.plan.shape == ANY_SHAPE else (ScanShape(self.plan.shape),)
        if accepted == (ScanShape.POINTS,):
            return None
        asked = declared.model_copy(update={"accepted": accepted})
        return ScanMeans(timing=self.capabilities.timing, shapes=asked, dwell_s=self.dwell_s)

    # --- PL -----------------------------------------------------------------------------------------------------------
    @property
    def why_no_light(self) -> str | None:
        """The sentence that says why no PL images are taken; nothing when they are."""
        if not self.plan.use_light:
            return "The plan takes no PL images: EBSD alone."
        if self.capabilities.light is None:
            return f"{self.name} has no PL camera: EBSD alone."
        phases = self.capabilities.phases
        if not any(laue_group(phase.point_group).shows_light for phase in phases):
            names = ", ".join(f"{phase.name} ({phase.point_group})" for phase in phases)
            told = "is cubic and shows" if len(phases) == 1 else "are cubic and show"
            return f"{names} {told} no PL contrast: EBSD alone."
        return None

    @property
    def takes_light(self) -> bool:
        """Whether PL images are taken."""
        return self.why_no_light is None

    @property
    def light_angles_deg(self) -> tuple[float, ...]:
        """The stage angles to ask for: those of the plan, none for an RGB camera."""
        camera = self.capabilities.light
        rotates = camera is not None and camera.kind is LightKind.ROTATION_STACK
        return self.plan.light_angles_deg if rotates else ()

    @property
    def light_s(self) -> float:
        """Declared duration of the PL images; 0 where none are taken."""
        camera = self.capabilities.light
        if camera is None or not self.takes_light:
            return 0.0
        return camera.seconds_per_image * max(1, len(self.light_angles_deg))
