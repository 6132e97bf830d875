"""Replies that cannot be true are refused in one sentence that names the field; true ones pass as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grainloop.controller.run.replies import checked_answer, checked_done, checked_light
from grainloop.controller.session.layout import INFERRED_MAPS
from grainloop.protocols.capabilities import LightCapabilities
from grainloop.protocols.errors import BadMessage, DeviceFailed
from grainloop.protocols.messages import (
    LightRequest,
    LightTaken,
    OpenSection,
    ProposalRequest,
    Reconstruction,
    ReconstructRequest,
    ScanDone,
)
from grainloop.protocols.values import Grid, LightImages, LightKind, Phase, PointBlock
from tests.controller.fakes import reconstruction
from tests.integration.liars.services import full

SHAPE = (6, 5)
PHASE = Phase(phase_id=1, name="Ti", point_group="6/mmm")
SECTION = OpenSection(section_key="run", grid=Grid(shape_px=SHAPE, step_um=1.0), phases=(PHASE,))
QUESTION = ReconstructRequest(
    section_key="run",
    points=PointBlock.empty(),
    propose=ProposalRequest(count=8, excluded_px=np.empty((0, 2), np.int32)),
)
PROPOSED = ("gain", "reason", "p_wrong", "competing", "misorientation_deg")


@pytest.fixture
def answer() -> Reconstruction:
    return full(reconstruction(QUESTION, SHAPE), QUESTION)


def refused(answer: Reconstruction, question: ReconstructRequest = QUESTION) -> BadMessage:
    with pytest.raises(BadMessage, match=r"^The model service answered with .*\.$") as caught:
        checked_answer(answer, question, SECTION)
    return caught.value


def test_a_true_answer_passes_as_it_is(answer: Reconstruction) -> None:
    assert checked_answer(answer, QUESTION, SECTION) is answer


@pytest.mark.parametrize("name", [*INFERRED_MAPS, "denoised"])
@pytest.mark.parametrize("lie", ["turned", "smaller", "larger", "one pixel"])
def test_maps_of_another_shape_are_refused(answer: Reconstruction, name: str, lie: str) -> None:
    truth = getattr(answer, name)
    shaped = {
        "turned": np.swapaxes(truth, 0, 1),
        "smaller": truth[:-1],
        "larger": np.concatenate([truth, truth[:, :1]], axis=1),
        "one pixel": truth[:1, :1],
    }
    error = refused(answer.model_copy(update={name: shaped[lie]}))
    assert error.field == name
    assert f"{name} of {shaped[lie].shape[:2]} px for {SHAPE} px" in str(error)


@pytest.mark.parametrize("name", ["light_features", "light_denoised"])
def test_light_of_another_shape_is_refused(answer: Reconstruction, name: str) -> None:
    assert refused(answer.model_copy(update={name: np.zeros((2, 5, 6), np.float32)})).field == name


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 500.0])
@pytest.mark.parametrize(
    "name", ["orientation", "denoised", "expected_error_deg", "bound90_deg", "p_wrong", "boundary"]
)
def test_one_impossible_value_of_a_map_is_enough(answer: Reconstruction, name: str, value: float) -> None:
    lie = getattr(answer, name).copy()
    lie.reshape(-1)[-1] = value
    assert refused(answer.model_copy(update={name: lie})).field == name


@pytest.mark.parametrize(("name", "value"), [("phase_id", 2), ("grain", -1)])
def test_one_pixel_of_what_there_is_not_is_enough(answer: Reconstruction, name: str, value: int) -> None:
    lie = getattr(answer, name).copy()
    lie[2, 3] = value
    assert refused(answer.model_copy(update={name: lie})).field == name


def test_pixels_of_which_nothing_is_known_have_no_phase(answer: Reconstruction) -> None:
    nothing = {"phase_id": np.zeros(SHAPE, np.uint8), "grain": np.zeros(SHAPE, np.int32)}
    checked_answer(answer.model_copy(update=nothing), QUESTION, SECTION)


def test_light_may_say_nothing_but_nothing_endless(answer: Reconstruction) -> None:
    features = np.zeros((2, *SHAPE), np.float32)
    features[:, 0] = np.nan
    checked_answer(answer.model_copy(update={"light_features": features}), QUESTION, SECTION)
    checked_answer(answer.model_copy(update={"light_features": features * np.nan}), QUESTION, SECTION)
    assert refused(answer.model_copy(update={"light_features": features + np.inf})).field == "light_features"


@pytest.mark.parametrize("name", PROPOSED)
@pytest.mark.parametrize("change", [-1, 1])
def test_columns_of_proposals_have_one_length(answer: Reconstruction, name: str, change: int) -> None:
    assert answer.proposals is not None
    column = getattr(answer.proposals, name)
    other = column[:-1] if change < 0 else np.concatenate([column, column[:1]])
    lie = answer.proposals.model_copy(update={name: other})
    error = refused(answer.model_copy(update={"proposals": lie}))
    assert f"{len(other)} values of {name} for {len(column)} proposals" in str(error)


PLACES: dict[str, Any] = {
    "above": ("position_px", (-1, 0), "row -1, column 0, outside the grid"),
    "right": ("position_px", (0, 5), "row 0, column 5, outside the grid"),
    "reason": ("reason", 8, "reason 8, which is none"),
    "gain": ("gain", np.nan, "gain nan"),
    "gain below": ("gain", -3.0, "gain -3.0"),
    "gain above": ("gain", 1e30, "gain 1"),
    "p_wrong": ("p_wrong", 1.5, "p_wrong 1.5"),
    "misorientation_deg": ("misorientation_deg", 400.0, "misorientation_deg 400.0"),
}


@pytest.mark.parametrize("lie", PLACES)
def test_one_impossible_proposal_is_enough(answer: Reconstruction, lie: str) -> None:
    name, value, told = PLACES[lie]
    assert answer.proposals is not None
    column = getattr(answer.proposals, name).copy()
    column[1] = value
    lied = answer.proposals.model_copy(update={name: column})
    assert told in str(refused(answer.model_copy(update={"proposals": lied})))


def test_what_is_not_known_of_a_proposal_may_be_nan(answer: Reconstruction) -> None:
    assert answer.proposals is not None
    unknown = np.full(len(answer.proposals.gain), np.nan, np.float32)
    lied = answer.proposals.model_copy(update={"p_wrong": unknown, "misorientation_deg": unknown})
    checked_answer(answer.model_copy(update={"proposals": lied}), QUESTION, SECTION)


def test_a_pixel_is_proposed_once_and_no_more_than_were_asked_for(answer: Reconstruction) -> None:
    assert answer.proposals is not None
    places = answer.proposals.position_px.copy()
    places[1] = places[0]
    twice = answer.proposals.model_copy(update={"position_px": places})
    assert "proposed twice" in str(refused(answer.model_copy(update={"proposals": twice})))
    assert QUESTION.propose is not None
    fewer = QUESTION.model_copy(update={"propose": QUESTION.propose.model_copy(update={"count": 3})})
    assert "8 proposals where 3 were asked for" in str(refused(answer, fewer))
    nobody = QUESTION.model_copy(update={"propose": None})
    assert "proposals that nobody asked for" in str(refused(answer, nobody))


def test_shapes_where_points_were_asked_for_are_refused(answer: Reconstruction) -> None:
    assert answer.proposals is not None
    pieces = np.array([[0, 8, *[0] * 8]], np.int32)
    lied = answer.proposals.model_copy(update={"pieces": pieces})
    assert "shapes where points were asked for" in str(refused(answer.model_copy(update={"proposals": lied})))


@pytest.mark.parametrize(("name", "value"), [("section_key", "other"), ("samples", 7), ("seconds", 1e300)])
def test_answers_to_other_questions_are_refused(answer: Reconstruction, name: str, value: Any) -> None:
    assert refused(answer.model_copy(update={name: value})).field == name


DONE = ScanDone(batch=3, points=10, started_s=100.0, finished_s=110.0, idle_s=5.0)


def test_a_true_end_passes_as_it_is() -> None:
    assert checked_done(DONE, 10, 10, 110.0, 600.0) is DONE
    assert checked_done(DONE, 4, 10, None, 600.0) is DONE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("points", 3),
        ("finished_s", 99.0),
        ("finished_s", 105.0),
        ("finished_s", 1e308),
        ("idle_s", 101.0),
        ("idle_s", 1e308),
        ("started_s", 111.0),
    ],
)
def test_an_end_that_cannot_be_is_refused(field: str, value: float) -> None:
    with pytest.raises(BadMessage, match=r"^The instrument ended batch 3 with .*\.$"):
        checked_done(DONE.model_copy(update={field: value}), 10, 10, 110.0, 600.0)


CAMERA = LightCapabilities(kind=LightKind.ROTATION_STACK, shape_px=SHAPE, pixel_um=1.0)
ASKED = LightRequest(angles_deg=(0.0, 45.0))


def light(**changes: Any) -> LightTaken:
    images = {"kind": LightKind.ROTATION_STACK, "angles_deg": (0.0, 45.0), "pixel_um": 1.0}
    fields = images | {"images": np.zeros((2, *SHAPE), np.float32)} | changes
    about = {name: fields.pop(name) for name in ("section", "seconds") if name in fields}
    return LightTaken(**{"section": 0, "seconds": 2.0, "light": LightImages(**fields)} | about)


def test_true_images_pass_as_they_are() -> None:
    taken = light()
    assert checked_light(taken, ASKED, CAMERA, "Fake-1", 600.0) is taken


@pytest.mark.parametrize(
    "lie",
    [
        {"section": 1},
        {"seconds": 601.0},
        {"angles_deg": (0.0, 46.0)},
        {"angles_deg": (45.0, 0.0)},
        {"pixel_um": 2.0},
        {"images": np.full((2, *SHAPE), np.nan, np.float32)},
        {"images": np.full((2, *SHAPE), np.inf, np.float32)},
        {"images": np.full((2, *SHAPE), 1e30, np.float32)},
        {"images": np.zeros((2, 5, 6), np.float32)},
        {"kind": LightKind.RGB, "angles_deg": (), "images": np.zeros((3, *SHAPE), np.float32)},
    ],
    ids=str,
)
def test_images_that_were_not_asked_for_are_refused(lie: dict[str, Any]) -> None:
    with pytest.raises(DeviceFailed, match=r"^Fake-1 .*\.$"):
        checked_light(light(**lie), ASKED, CAMERA, "Fake-1", 600.0)
