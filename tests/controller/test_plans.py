from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grainloop.controller.plans import check_model, check_plan, light_angles, load_plan, why_no_light
from grainloop.instrument_sim.presets import EXTERNAL_CONTROL, MAP_QUEUE
from grainloop.protocols.capabilities import Capabilities, LightCapabilities
from grainloop.protocols.errors import BadInput, OutOfLimits
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.values import LightKind
from tests.controller.fakes import capabilities, description


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_a_plan_from_toml(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, "first_pass = 0.4\nlight_angles_deg = [0, 45, 90]\n[budget]\nfraction = 0.02\n"))
    assert plan == RunPlan(first_pass=0.4, light_angles_deg=(0.0, 45.0, 90.0), budget=Budget(fraction=0.02))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[budget]\nfraction = 0\n", r"plan\.toml, budget\.fraction = 0 cannot be used: .*greater than 0"),
        ("[budget]\nfraction = 1.2\n", r"budget\.fraction = 1\.2 cannot be used: .*less than or equal to 1"),
        ("speed = 3\n", r"plan\.toml, speed = 3 cannot be used: extra inputs are not permitted"),
        ("batches = 'many'\n", r"batches = 'many' cannot be used"),
        ("light_angles_deg = [0, 0, 90]\n", "holds an angle twice"),
        ("batches = \n", r"plan\.toml is not valid TOML"),
    ],
)
def test_faults_are_told_with_file_field_and_value(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        load_plan(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.toml cannot be read: No such file"):
        load_plan(tmp_path / "nowhere.toml")


def test_what_an_instrument_does_not_scan_is_refused_before_anything_is_measured() -> None:
    queue = capabilities(shapes=MAP_QUEUE.shapes)
    with pytest.raises(OutOfLimits, match="shape = 'points' cannot be scanned by Fake-1, which accepts lines and rect"):
        check_plan(RunPlan(shape="points"), queue)
    for shape in ("auto", "lines", "rectangles"):
        check_plan(RunPlan.model_validate({"shape": shape, "budget": {"fraction": 0.5}}), queue)
    check_plan(RunPlan(), capabilities(shapes=EXTERNAL_CONTROL.shapes))


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
        check_plan(RunPlan(shape="rectangles", budget=Budget(fraction=1.0, points=points)), queue)


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
    check_plan(RunPlan(), capabilities())
    with pytest.raises(OutOfLimits, match=told):
        check_plan(RunPlan().model_copy(update=changes), capabilities())


def test_angles_do_not_matter_without_light() -> None:
    check_plan(RunPlan(use_light=False, light_angles_deg=(0.0,)), capabilities())
    check_plan(RunPlan(light_angles_deg=(0.0,)), capabilities(light=False))


def test_unknown_methods_and_policies() -> None:
    check_model(RunPlan(method="nearest", policy="uncertain"), description())
    with pytest.raises(OutOfLimits, match="has no method 'magic'; it has: nearest, watershed"):
        check_model(RunPlan(method="magic"), description())
    with pytest.raises(OutOfLimits, match="has no policy 'magic'"):
        check_model(RunPlan(policy="magic"), description())


def test_why_there_is_no_light() -> None:
    assert why_no_light(RunPlan(), capabilities()) is None
    assert "no PL camera" in str(why_no_light(RunPlan(), capabilities(light=False)))
    assert "The plan takes no PL" in str(why_no_light(RunPlan(use_light=False), capabilities()))


def test_rgb_cameras_get_no_angles() -> None:
    camera = LightCapabilities(kind=LightKind.RGB, shape_px=(24, 20), pixel_um=1.0)
    rgb: Capabilities = capabilities().model_copy(update={"light": camera})
    assert light_angles(RunPlan(), rgb) == ()
    assert len(light_angles(RunPlan(), capabilities())) == 18


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
