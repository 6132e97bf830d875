"""What an instrument or a model cannot do is refused by name before anything is measured."""

from __future__ import annotations

from typing import Any

import pytest

from grainloop.controller.plans import Terms, check_model, check_terms
from grainloop.instrument_sim.presets import EXTERNAL_CONTROL, MAP_QUEUE
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.plan import Budget, RunPlan
from tests.controller.fakes import capabilities, description


def test_what_an_instrument_does_not_scan_is_refused_before_anything_is_measured() -> None:
    queue = capabilities(shapes=MAP_QUEUE.shapes)
    with pytest.raises(OutOfLimits, match="shape = 'points' cannot be scanned by Fake-1, which accepts lines and rect"):
        check_terms(Terms(RunPlan(shape="points"), queue))
    for shape in ("auto", "lines", "rectangles"):
        check_terms(Terms(RunPlan.model_validate({"shape": shape, "budget": {"fraction": 0.5}}), queue))
    check_terms(Terms(RunPlan(), capabilities(shapes=EXTERNAL_CONTROL.shapes)))


@pytest.mark.parametrize(
    ("shape_px", "points", "most", "told"),
    [
        ((6, 20), 400, 1000, "section of 6 × 20 px is smaller than any shape that Fake-1 scans"),
        ((40, 40), 50, 1000, "budget of 50 points is too small: the smallest shape that Fake-1 scans has 64 points"),
        ((40, 40), 400, 60, "Requests of at most 60 points are too small: the smallest shape that Fake-1 scans has 64"),
    ],
)
def test_where_no_rectangle_fits(shape_px: tuple[int, int], points: int, most: int, told: str) -> None:
    queue = capabilities(shape_px, shapes=MAP_QUEUE.shapes, max_points_per_scan=most)
    with pytest.raises(OutOfLimits, match=told):
        check_terms(Terms(RunPlan(shape="rectangles", budget=Budget(fraction=1.0, points=points)), queue))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"section": 1}, "asks for section 1, but Fake-1 has 1"),
        ({"dwell_s": 2.0}, r"dwell_s = 2 s is outside the 0\.001–1 s of Fake-1"),
        ({"light_angles_deg": (0.0, 90.0)}, "holds 2 angles; Fake-1 takes 3 to 36"),
        ({"light_angles_deg": tuple(float(a) for a in range(40))}, "holds 40 angles"),
        ({"budget": Budget(instrument_s=5.0)}, r"instrument_s = 5 s is too short on Fake-1: .* take 9\.11 s"),
    ],
)
def test_plans_outside_the_limits(changes: dict[str, Any], told: str) -> None:
    check_terms(Terms(RunPlan(), capabilities()))
    with pytest.raises(OutOfLimits, match=told):
        check_terms(Terms(RunPlan().model_copy(update=changes), capabilities()))


def test_angles_do_not_matter_without_light() -> None:
    check_terms(Terms(RunPlan(use_light=False, light_angles_deg=(0.0,)), capabilities()))
    check_terms(Terms(RunPlan(light_angles_deg=(0.0,)), capabilities(light=False)))


def test_unknown_methods_and_policies() -> None:
    check_model(RunPlan(method="nearest", policy="uncertain"), description())
    with pytest.raises(OutOfLimits, match="has no method 'magic'; it has: nearest, watershed"):
        check_model(RunPlan(method="magic"), description())
    with pytest.raises(OutOfLimits, match="has no policy 'magic'"):
        check_model(RunPlan(policy="magic"), description())
