"""The values that messages are made of: arrays, points, images, plans, states, errors, and the public names."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from grainloop import protocols
from grainloop.protocols import errors
from grainloop.protocols.arrays import ArraySpec
from grainloop.protocols.errors import ErrorCode, ErrorEnvelope, GrainloopError, IllegalState, RemoteError
from grainloop.protocols.messages import Health, PriorMap, ReconstructRequest, ScanRequest
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.sentences import describe, short
from grainloop.protocols.states import MOVES, RunState, Trigger, move
from grainloop.protocols.values import Grid, LightImages, LightKind, PointBlock, PointStatus
from grainloop.protocols.version import grainloop_version
from tests.protocols.strategies import point_blocks

SPEC = ArraySpec("float32", ("n", 4))


# --- arrays ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 4, 1), ()])
def test_an_array_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="shape"):
        SPEC.validate(np.zeros(shape, np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.int32, bool, ">f4"])
def test_an_array_of_another_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match="float32"):
        SPEC.validate(np.zeros((2, 4), dtype))


def test_a_field_cannot_be_written_and_the_callers_array_still_can():
    mine = np.zeros((2, 4), np.float32)
    held = SPEC.validate(mine)
    with pytest.raises(ValueError, match="read-only"):
        held[0, 0] = 1
    mine[0, 0] = 1
    assert np.shares_memory(held, mine)


def test_a_frozen_array_is_taken_as_it_is():
    frozen = np.zeros((2, 4), np.float32)
    frozen.flags.writeable = False
    assert SPEC.validate(frozen) is frozen


def test_a_strided_array_becomes_contiguous():
    held = SPEC.validate(np.zeros((4, 2), np.float32).T)
    assert held.flags.c_contiguous


# --- points and images -----------------------------------------------------------------------------------------------
@given(block=point_blocks(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_cutting_and_joining_points_changes_nothing(block, seed):
    cut = int(np.random.default_rng(seed).integers(0, len(block) + 1))
    parts = [block.select(slice(None, cut)), block.select(slice(cut, None))]
    assert PointBlock.concatenate(parts) == block
    assert len(PointBlock.concatenate([])) == 0


def test_columns_of_a_block_have_one_length():
    one = PointBlock.one(1, (2, 3), time_s=1, dwell_s=0.1)
    with pytest.raises(ValidationError, match="different length"):
        PointBlock(**{name: getattr(one, name) for name in PointBlock.model_fields} | {"point_id": np.arange(2)})


def test_a_single_point():
    one = PointBlock.one(7, (2, 3), time_s=1, dwell_s=0.1, status=PointStatus.FAILED)
    assert one.point_id.tolist() == [7]
    assert one.position_px.tolist() == [[2, 3]]
    assert not one.indexed.any()


def test_values_compare_by_content_and_type():
    one = PointBlock.one(7, (2, 3), time_s=1, dwell_s=0.1, confidence=float("nan"))
    assert one == PointBlock.one(7, (2, 3), time_s=1, dwell_s=0.1, confidence=float("nan"))
    assert one != PointBlock.one(7, (2, 4), time_s=1, dwell_s=0.1, confidence=float("nan"))
    assert one != 5
    with pytest.raises(TypeError):
        hash(one)


@pytest.mark.parametrize(("kind", "angles", "count"), [(LightKind.RGB, (), 2), (LightKind.ROTATION_STACK, (0.0,), 2)])
def test_images_and_angles_belong_together(kind, angles, count):
    with pytest.raises(ValidationError, match=f"got {count}"):
        LightImages(kind=kind, angles_deg=angles, images=np.zeros((count, 2, 2), np.float32), pixel_um=1)


def test_a_prior_map_has_one_shape():
    with pytest.raises(ValidationError, match=r"orientation of \(2, 3\) px, but phase_id of \(3, 2\) px"):
        PriorMap(orientation=np.zeros((2, 3, 4), np.float32), phase_id=np.zeros((3, 2), np.uint8), spacing_um=1)


def test_no_sample_is_drawn_unless_asked_for():
    asked = ReconstructRequest(section_key="s", points=PointBlock.empty())
    assert (asked.n_samples, asked.deadline_s, asked.prior) == (0, None, None)
    assert (RunPlan().n_samples, RunPlan().steps) == (0, None)
    with pytest.raises(ValidationError, match="less than or equal to 256"):
        ReconstructRequest(section_key="s", points=PointBlock.empty(), n_samples=257)


def test_values_are_frozen_and_closed():
    grid = Grid(shape_px=(2, 3), step_um=0.5)
    assert grid.size == 6
    with pytest.raises(ValidationError, match="frozen"):
        grid.step_um = 1.0
    with pytest.raises(ValidationError, match="extra"):
        Grid(shape_px=(2, 3), step_um=0.5, steps=1)
    with pytest.raises(ValidationError, match="finite"):
        Grid(shape_px=(2, 3), step_um=float("inf"))


# --- plan and states -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("budget", "size", "points"),
    [
        (Budget(fraction=0.06), 40_000, 2_400),
        (Budget(fraction=0.06, points=100), 40_000, 100),
        (Budget(fraction=0.01, points=10**6), 40_000, 400),
        (Budget(fraction=1e-9), 40_000, 1),
        (Budget(fraction=1.0), 40_000, 40_000),
    ],
)
def test_a_budget_in_points(budget, size, points):
    assert budget.max_points(size) == points


def test_a_plan_takes_no_angle_twice():
    with pytest.raises(ValidationError, match="an angle twice"):
        RunPlan(light_angles_deg=(0.0, 10.0, 0.0))


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("trigger", Trigger)
def test_moves_are_those_of_the_table(state, trigger):
    if trigger in MOVES[state]:
        assert move(state, trigger) is MOVES[state][trigger]
        return
    with pytest.raises(
        IllegalState, match=rf"^A run that is {state} (cannot be|knows no) \w+; what it takes now: [a-z, ]+\.$"
    ):
        move(state, trigger)


@pytest.mark.parametrize("trigger", [Trigger.ABORT, Trigger.FAIL])
def test_abort_and_failure_end_every_run_at_once(trigger):
    for state in set(RunState) - {RunState.IDLE, RunState.FINISHED}:
        assert move(state, trigger) is RunState.FINISHED


# --- errors and sentences --------------------------------------------------------------------------------------------
def test_every_code_but_the_senders_own_has_an_error():
    kinds = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, GrainloopError)]
    codes = [kind.code for kind in kinds if kind not in (GrainloopError, RemoteError)]
    assert {*codes, ErrorCode.INTERNAL} == set(ErrorCode)


def test_an_error_survives_its_envelope():
    sent = errors.OutOfLimits("Too far.", field="position_px", value=(3, 4)).envelope("instrument", "t1")
    back = RemoteError(ErrorEnvelope.model_validate(sent.model_dump()))
    assert (back.code, str(back), back.field, back.value) == (
        ErrorCode.OUT_OF_LIMITS,
        "Too far.",
        "position_px",
        "(3, 4)",
    )
    assert (back.service, back.trace_id) == ("instrument", "t1")


@pytest.mark.parametrize(
    ("kind", "fields", "sentence", "field"),
    [
        (Budget, {"fraction": 0}, "plan: fraction should be greater than 0, got 0.", "fraction"),
        (Budget, {"fractoin": 0.1}, "plan: fractoin is not a field of it, got 0.1.", "fractoin"),
        (RunPlan, {"budget": {"points": "x"}}, "plan: budget.points should be a valid integer,", "budget.points"),
        (RunPlan, {"light_angles_deg": [1, 1]}, "plan: light_angles_deg holds an angle twice, got", None),
        (Health, {"service": "s", "version": "1"}, "plan: ok is missing.", "ok"),
        (Health, {"service": "", "version": "", "ok": 1}, "plan: service string should have at least 1", "service"),
        (ScanRequest, {"position_px": np.zeros(2)}, "plan: batch is missing. (3 more faults.)", "batch"),
    ],
)
def test_a_fault_in_one_sentence(kind, fields, sentence, field):
    with pytest.raises(ValidationError) as caught:
        kind(**fields)
    said, name, _ = describe(caught.value, "plan")
    assert said.startswith(sentence)
    assert name == field


def test_values_are_shown_short():
    assert short(np.zeros((3, 4), np.float32)) == "an array of float32 (3, 4)"
    assert len(short("x" * 10_000)) <= 80
    assert short({"a": 1}) == "a map of 1 fields"


# --- the package -----------------------------------------------------------------------------------------------------
def test_the_public_names_are_there_and_sorted():
    assert all(hasattr(protocols, name) for name in protocols.__all__)
    constants = [name for name in protocols.__all__ if name.isupper()]
    assert protocols.__all__[: len(constants)] == sorted(constants)


def test_the_version_is_told():
    assert grainloop_version()[0].isdigit()
