"""Plans from TOML, and faults told with file, field and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from grainloop.controller.plans import load_plan
from grainloop.protocols.errors import BadInput
from grainloop.protocols.plan import Budget, RunPlan


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
