"""Events: every kind has one severity and is said somewhere; a word that is not known is read and told."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from grainloop.protocols.messages import EventKind, RunEvent, Severity
from grainloop.protocols.messages.events import SEVERITY
from grainloop.protocols.states import RunState

CONTROLLER = Path(__file__).parents[2] / "controller"


def event(word: str, **more: Any) -> RunEvent:
    fields = {"sequence": 1, "state": RunState.RUNNING, "event": word, "text": "", "points_measured": 0}
    return RunEvent.model_validate(fields | {"points_budget": 1} | more)


def test_every_kind_has_one_severity() -> None:
    assert set(SEVERITY) == set(EventKind)


def said_in(path: Path) -> set[str]:
    """Names of the kinds that a module passes on."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    named = (node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name))
    return {node.attr for node in named if node.value.id == "EventKind"}  # type: ignore[attr-defined]


def test_every_kind_is_said_somewhere() -> None:
    said = set[str]().union(*(said_in(path) for path in (CONTROLLER / "run").glob("*.py")))
    assert said == {kind.name for kind in EventKind}


def test_a_point_that_was_exposed_and_whose_result_is_lost_is_an_error_and_a_drift_a_warning() -> None:
    assert event("points_lost").severity is Severity.ERROR
    assert event("not_parked").severity is Severity.ERROR
    assert event("drift").severity is Severity.WARNING


@pytest.mark.parametrize("word", ["charged", "beam_tilted"])
def test_a_word_that_is_not_known_reads_as_it_stands_and_is_told(word: str) -> None:
    told = event(word)
    assert (told.event, told.severity) == (word, Severity.INFO)
    assert RunEvent.model_validate_json(told.model_dump_json()) == told


def test_a_word_that_is_known_reads_as_its_kind() -> None:
    told = event("drift", numbers={"points": 3, "gain": 0.5})
    assert told.event is EventKind.DRIFT
    again = RunEvent.model_validate_json(told.model_dump_json())
    assert again == told
    assert isinstance(again.numbers["points"], int)


def test_an_event_of_an_older_journal_has_no_numbers() -> None:
    assert event("drift").numbers == {}
