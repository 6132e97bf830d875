"""The committed schemas and diagram are those of the definitions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from grainloop.protocols.schemas import STATES_FILE, main, schema_texts, states_text
from grainloop.protocols.states import MOVES
from tests.protocols.strategies import UNIONS, members

DOCS = Path(__file__).parents[2] / "docs"
HINT = "run: python -m grainloop.protocols.schemas docs/schemas"


@pytest.mark.parametrize("name", sorted(schema_texts()))
def test_a_schema_is_not_stale(name):
    assert (DOCS / "schemas" / name).read_text(encoding="utf-8") == schema_texts()[name], HINT


def test_no_schema_is_left_over():
    assert {path.name for path in (DOCS / "schemas").iterdir()} == set(schema_texts()), HINT


def test_the_diagram_is_not_stale():
    assert (DOCS / STATES_FILE).read_text(encoding="utf-8") == states_text(), HINT


def test_the_diagram_holds_every_move_and_no_other():
    arrows = re.findall(r"^    (\w+) --> (\w+): (.+)$", states_text(), re.MULTILINE)
    drawn = {(start, word, end) for start, end, words in arrows for word in words.split(", ")}
    assert drawn == {(start, word, end) for start, moves in MOVES.items() for word, end in moves.items()}


def test_every_message_is_in_its_schema_and_closed():
    for name, union in UNIONS.items():
        schema = json.loads(schema_texts()[f"{name.replace(' ', '_')}.json"])
        for member in members(union):
            assert schema["$defs"][member.__name__]["additionalProperties"] is False


def test_an_array_field_tells_dtype_and_axes():
    schema = json.loads(schema_texts()["instrument_request.json"])
    positions = schema["$defs"]["ScanRequest"]["properties"]["position_px"]
    assert positions["x-array"] == {"dtype": "int32", "shape": ["n", 2]}


def test_the_command_writes_all_and_removes_what_is_stale(tmp_path):
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "old.json").write_text("{}")
    assert main([str(folder)]) == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == schema_texts()
    assert (tmp_path / STATES_FILE).read_text(encoding="utf-8") == states_text()


def test_without_a_folder_the_command_tells_its_use(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
