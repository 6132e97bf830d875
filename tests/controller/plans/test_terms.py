"""What follows from a plan and an instrument together: exposure, PL, shapes, most points."""

from __future__ import annotations

import pytest

from grainloop.controller.plans import Terms
from grainloop.instrument_sim.presets import EXTERNAL_CONTROL, MAP_QUEUE
from grainloop.protocols.capabilities import Capabilities, LightCapabilities
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.shapes import ScanShape
from grainloop.protocols.values import FramePreset, LightKind
from tests.controller.fakes import DWELL_S, TIMING, capabilities


def test_why_there_is_no_light() -> None:
    assert Terms(RunPlan(), capabilities()).why_no_light is None
    for terms, told in (
        (Terms(RunPlan(), capabilities(light=False)), "no PL camera"),
        (Terms(RunPlan(use_light=False), capabilities()), "The plan takes no PL"),
    ):
        assert told in str(terms.why_no_light)
        assert not terms.takes_light
        assert terms.light_s == 0.0


def test_rgb_cameras_get_no_angles() -> None:
    camera = LightCapabilities(kind=LightKind.RGB, shape_px=(24, 20), pixel_um=1.0, seconds_per_image=0.5)
    stack = Terms(RunPlan(), capabilities())
    rgb = Terms(RunPlan(), capabilities().model_copy(update={"light": camera}))
    assert rgb.light_angles_deg == ()
    assert rgb.light_s == 0.5
    assert len(stack.light_angles_deg) == 18
    assert stack.light_s == 9.0


def test_the_plan_goes_before_what_the_instrument_does_by_default() -> None:
    default = Terms(RunPlan(), capabilities())
    assert (default.dwell_s, default.frame) == (DWELL_S, FramePreset.IDENTITY)
    said = Terms(RunPlan(dwell_s=0.5, frame=FramePreset.EDAX_1), capabilities())
    assert (said.dwell_s, said.frame) == (0.5, FramePreset.EDAX_1)


@pytest.mark.parametrize(
    ("budget", "points"),
    [
        (Budget(fraction=0.5), 240),
        (Budget(fraction=0.5, points=100), 100),
        (Budget(fraction=0.5, exposure_s=30 * DWELL_S), 30),
        (Budget(fraction=0.01, exposure_s=30 * DWELL_S), 4),
    ],
)
def test_the_smallest_of_the_budgets_counts(budget: Budget, points: int) -> None:
    assert Terms(RunPlan(budget=budget), capabilities((24, 20))).max_points == points


def test_free_points_alone_need_no_means() -> None:
    assert Terms(RunPlan(), capabilities()).means is None
    assert Terms(RunPlan(shape="points"), capabilities(shapes=EXTERNAL_CONTROL.shapes)).means is None
    queue = Terms(RunPlan(shape="lines", dwell_s=0.5), capabilities(shapes=MAP_QUEUE.shapes)).means
    assert queue is not None
    assert (queue.shapes.accepted, queue.dwell_s, queue.timing) == ((ScanShape.LINES,), 0.5, TIMING)
    anything = Terms(RunPlan(), capabilities(shapes=MAP_QUEUE.shapes)).means
    assert anything is not None
    assert anything.shapes == MAP_QUEUE.shapes


def test_without_light_the_first_pass_may_take_the_whole_budget() -> None:
    lit, dark = (Terms(RunPlan(first_pass_most=1.0), capabilities((40, 40), light=light)) for light in (True, False))
    assert (lit.first_pass_points(400), dark.first_pass_points(400)) == (200, 400)


@pytest.mark.parametrize(
    ("budget", "size", "points"),
    [(1200, 40_000, 600), (4000, 40_000, 800), (20_000, 40_000, 800), (1000, 1_000, 100), (1, 100, 1)],
)
def test_the_first_pass_is_half_of_the_budget_but_no_more_than_2_percent_of_the_pixels(
    budget: int, size: int, points: int
) -> None:
    assert RunPlan().first_pass_points(budget, size, light=True) == points
    assert RunPlan(first_pass_most=1.0).first_pass_points(budget, size, light=True) == max(1, round(budget / 2))


@pytest.mark.parametrize(("budget", "points"), [(400, 400), (800, 800), (4000, 800)])
def test_without_light_the_first_pass_is_all_of_the_budget_up_to_2_percent_of_the_pixels(
    budget: int, points: int
) -> None:
    assert RunPlan().first_pass_points(budget, 40_000, light=False) == points


@pytest.mark.parametrize("light", [True, False])
def test_fifty_points_are_too_few_to_choose(light: bool) -> None:
    assert RunPlan().first_pass_points(50, 40_000, light=light) == 50
    assert RunPlan().first_pass_points(51, 40_000, light=True) < 51


def replaced(camera: LightCapabilities) -> Capabilities:
    return capabilities().model_copy(update={"light": camera})


@pytest.mark.parametrize(("most", "count"), [(36, 18), (18, 18), (12, 12), (3, 3)])
def test_the_default_angles_are_no_more_than_the_camera_takes(most: int, count: int) -> None:
    camera = LightCapabilities(kind=LightKind.ROTATION_STACK, shape_px=(9, 9), pixel_um=1.0, max_images=most)
    angles = Terms(RunPlan(), replaced(camera)).with_angles().light_angles_deg
    assert len(angles) == count
    assert angles == pytest.approx([180 * number / count for number in range(count)])


def test_angles_that_a_plan_names_stay_as_they_are() -> None:
    camera = LightCapabilities(kind=LightKind.ROTATION_STACK, shape_px=(9, 9), pixel_um=1.0, max_images=3)
    plan = RunPlan(light_angles_deg=(0.0, 45.0, 90.0, 135.0))
    assert Terms(plan, replaced(camera)).with_angles().plan is plan
    assert Terms(plan, capabilities(light=False)).with_angles().plan is plan
