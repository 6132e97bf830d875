"""How a run ends, by what happened; what leaving does is in the tests of the loop."""

from __future__ import annotations

from typing import Any

import pytest

from grainloop.controller.run.finish import how_it_ended
from grainloop.protocols.errors import DeviceFailed
from grainloop.protocols.states import FinishReason, Trigger

FAILED = DeviceFailed("The stage does not answer.")


@pytest.mark.parametrize(
    ("happened", "trigger", "reason", "detail"),
    [
        ({}, Trigger.DONE, FinishReason.COMPLETED, "the budget is spent"),
        ({"stopped": True}, Trigger.DONE, FinishReason.STOPPED, "the operator stopped the run"),
        ({"error": FAILED}, Trigger.FAIL, FinishReason.FAILED, "The stage does not answer."),
        ({"error": FAILED, "stopped": True}, Trigger.FAIL, FinishReason.FAILED, "The stage does not answer."),
        ({"error": KeyError("x")}, Trigger.FAIL, FinishReason.FAILED, "a fault in the controller (KeyError: 'x')"),
        ({"aborted": "at once", "stopped": True}, Trigger.ABORT, FinishReason.ABORTED, "at once"),
        ({"aborted": "at once", "error": FAILED}, Trigger.ABORT, FinishReason.ABORTED, "at once"),
    ],
)
def test_the_gravest_that_happened_is_told(
    happened: dict[str, Any], trigger: Trigger, reason: FinishReason, detail: str
) -> None:
    told: dict[str, Any] = {"error": None, "aborted": "", "stopped": False, "no_more": "the budget is spent"}
    ending = how_it_ended(**told | happened)
    assert (ending.trigger, ending.reason, ending.detail) == (trigger, reason, detail)
