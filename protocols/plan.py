"""The experiment as a value: a frozen plan, stored with the session, that with the replies decides every step.

Loading it from TOML and checking it against an instrument is the controller's business.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from grainloop.protocols.values import FramePreset, Value

Fraction = Annotated[float, Field(gt=0, le=1)]


LEAST_FIRST_POINTS = 100
"""Fewer points do not register PL reliably."""
TOO_FEW_TO_CHOOSE = 50
"""Budgets up to this many points are a regular grid: so few neither register PL nor tell what is doubtful."""
DEFAULT_ANGLES_DEG: Final = tuple(float(angle) for angle in range(0, 180, 10))
ANY_SHAPE: Final = "auto"
"""Of the shapes that an instrument accepts those that pay most per second."""


class Budget(Value):
    """Hard limits of a run; the first one reached ends it.

    Attributes:
        fraction: share of the pixels of the grid that may be measured.
        points: number of points, if smaller.
        instrument_s: time on the instrument clock, PL included.
        exposure_s: sum of the exposures of all points, repeats included.
        pixel_exposure_s: sum of the exposures of any one pixel.
    """

    fraction: Fraction = 0.06
    points: Annotated[int, Field(ge=1)] | None = None
    instrument_s: Annotated[float, Field(gt=0)] | None = None
    exposure_s: Annotated[float, Field(gt=0)] | None = None
    pixel_exposure_s: Annotated[float, Field(gt=0)] | None = None

    def max_points(self, grid_size: int) -> int:
        """The number of points that this budget allows on a grid of `grid_size` pixels (at least 1)."""
        by_fraction = max(1, math.floor(self.fraction * grid_size + 1e-9))
        return by_fraction if self.points is None else min(self.points, by_fraction)


class RunPlan(Value):
    """What to measure and how to decide.

    Attributes:
        section: which section of the instrument.
        first_pass: share of the budget spent on the coarse regular grid, if that is less than `first_pass_most`; all of
            the budget where there is no PL to tell what the grid missed.
        first_pass_most: share of the pixels of the section that the coarse grid takes at most, if that is more than
            `LEAST_FIRST_POINTS`: more of it only delays the points that are chosen.
        batches: number of adaptive batches that the rest of the budget is divided into; fewer where the model takes
            longer than one of them lasts and `fill_in` is set.
        fill_in: where the model has not answered in time, measure what its last answer left over, or the largest gaps,
            instead of letting the instrument wait; and let batches last as long as a decision takes.
        light_angles_deg: stage angles of the PL stack; by default 18, or fewer where the camera takes fewer.
        use_light: take and use PL images where the instrument can.
        dwell_s: exposure per point, or the instrument's default.
        method: reconstruction method, or the model service's default.
        policy: acquisition policy, or the model service's default.
        exploration_share: share of picks made regardless of the posterior.
        repeats: how often a point that brought no orientation may be measured again, where that promises most.
        shape: what to ask for where the instrument scans more than free points: one of them alone, or with `auto` what
            pays most per second of those that it accepts. Lines and rectangles begin with a coarse raster of the
            section, which `first_pass_most` does not limit.
        n_samples: posterior samples per reconstruction; 0 reads the map from one evaluation of the model.
        steps: sampler steps of each sample, or the method's default.
        correct_drift: where the beam is found to have drifted by some pixels, count points where they most probably
            were measured and aim by that; else the drift is told only.
        stop_below: stop when the predicted share of wrong pixels is below this; 0 never stops early.
        least_gain_per_s: stop when the next batch is expected to put fewer wrong pixels right per second of instrument
            time than this, what a second costs; 0 never stops so.
        frame: overrides the frame preset that the instrument declares.
        seed: of every random decision.
        model_deadline_s: after this long without an answer the space-filling fallback decides.
        decision_s: what a decision of the model counts on the clock of a simulated instrument, however long this
            computer takes for it, so that the same seed decides the same everywhere; by default what the model that
            ships takes for a map of this size. A real instrument does not wait for a declared time: there it counts
            what it takes.
        real_time: let it count what it takes on a simulated instrument too.
    """

    section: Annotated[int, Field(ge=0)] = 0
    budget: Budget = Budget()
    first_pass: Fraction = 0.5
    first_pass_most: Fraction = 0.02
    batches: Annotated[int, Field(ge=1, le=10_000)] = 8
    fill_in: bool = True
    use_light: bool = True
    light_angles_deg: tuple[float, ...] = DEFAULT_ANGLES_DEG
    dwell_s: Annotated[float, Field(gt=0)] | None = None
    method: str | None = None
    policy: str | None = None
    exploration_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    repeats: Annotated[int, Field(ge=0, le=100)] = 1
    shape: Literal["auto", "points", "lines", "rectangles"] = ANY_SHAPE
    n_samples: Annotated[int, Field(ge=0, le=256)] = 0
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    correct_drift: bool = True
    stop_below: Annotated[float, Field(ge=0, lt=1)] = 0.0
    least_gain_per_s: Annotated[float, Field(ge=0)] = 0.0
    frame: FramePreset | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    model_deadline_s: Annotated[float, Field(gt=0)] = 60.0
    decision_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    real_time: bool = False

    def first_pass_points(self, budget_points: int, grid_size: int, *, light: bool) -> int:
        """About how many of the points that a budget allows go to the coarse grid (at least 1), with PL or without."""
        if budget_points <= TOO_FEW_TO_CHOOSE:
            return max(1, budget_points)
        most = max(self.first_pass_most * grid_size, LEAST_FIRST_POINTS)
        return max(1, round(min((self.first_pass if light else 1.0) * budget_points, most)))

    @model_validator(mode="after")
    def _one_time(self) -> RunPlan:
        if self.real_time and self.decision_s is not None:
            raise ValueError("decision_s declares a time and real_time asks for the one that it takes")
        return self

    @model_validator(mode="after")
    def _angles_when_light(self) -> RunPlan:
        if len(set(self.light_angles_deg)) != len(self.light_angles_deg):
            raise ValueError("light_angles_deg holds an angle twice")
        return self
