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
        ("speed = 3\n", r"plan\.toml, speed = 3 cannot be used: there is no such field"),
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


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[budget]\nfractoin = 0.1\n", "budget.fraction"),
        ("fraction = 0.1\n", "budget.fraction"),
        ("batchs = 3\n", "batches"),
        ("[budget]\nbatches = 3\n", "batches"),
    ],
)
def test_a_field_that_is_none_names_the_one_that_may_be_meant(tmp_path: Path, text: str, meant: str) -> None:
    with pytest.raises(BadInput, match=rf"there is no such field; did you mean {meant}\?$"):
        load_plan(write(tmp_path, text))


def test_a_field_like_no_other_lists_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no such field \(section, budget, .*budget\.exposure_s, "):
        load_plan(write(tmp_path, "xyzzy = 1\n"))


def test_values_that_are_nested_are_not_spelled_out(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nested too deeply"):
        load_plan(write(tmp_path, "x = " + "[" * 1000 + "]" * 1000))
