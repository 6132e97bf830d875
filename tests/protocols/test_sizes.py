"""Sizes and names that others declare: refused before there is memory for them, or a terminal shows them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from grainloop.protocols.errors import BadInput
from grainloop.protocols.files import parse_json, parse_toml, require_legible
from grainloop.protocols.sentences import counted, duration
from grainloop.protocols.values import MOST_PIXELS, Grid


@pytest.mark.parametrize("edge", [10**5, 2**20, 2**40])
def test_a_grid_beyond_reason_is_none(edge: int) -> None:
    with pytest.raises(ValidationError, match=f"larger than {MOST_PIXELS} pixels"):
        Grid(shape_px=(edge, edge), step_um=1.0)
    with pytest.raises(ValidationError, match="larger than"):
        Grid(shape_px=(1, MOST_PIXELS + 1), step_um=1.0)


@pytest.mark.parametrize("step_um", [1e-300, 1e-7, 1e10, 1e308])
def test_a_step_that_nothing_has(step_um: float) -> None:
    with pytest.raises(ValidationError, match="step_um"):
        Grid(shape_px=(4, 4), step_um=step_um)


def test_the_largest_grid_is_one() -> None:
    assert Grid(shape_px=(MOST_PIXELS // 2, 2), step_um=1e-6).size == MOST_PIXELS


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 70 + "1" + "}" * 70])
def test_json_beyond_any_depth(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(text)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(text.encode())


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a." * 70 + "b = 1", "a = " + "[" * 70 + "]" * 70])
def test_toml_beyond_any_depth(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_toml(text)


def test_many_things_beside_each_other_are_not_deep() -> None:
    assert len(parse_json("[" + "[1]," * 1000 + "[1]]")) == 1001
    assert parse_toml("a.b.c.d = [[1], [2]]") == {"a": {"b": {"c": {"d": [[1], [2]]}}}}


@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines", "a\0b", "caf\udce9", "a\u202eb", "\x7f"])
def test_names_that_a_terminal_obeys(name: str) -> None:
    with pytest.raises(BadInput, match="A session cannot be called '") as caught:
        require_legible(name, "session_dir", "A session")
    assert str(caught.value).isprintable()


def test_names_of_people_are_names() -> None:
    require_legible("Müller/α+β titanium 3", "session_dir", "A session")


def test_counts_and_times_in_words() -> None:
    assert [counted(count, "batch", "batches") for count in (0, 1, 2)] == ["0 batches", "1 batch", "2 batches"]
    assert [counted(count, "point") for count in (0, 1, 2)] == ["0 points", "1 point", "2 points"]
    assert [duration(seconds) for seconds in (0.5, 90, 200, 9000)] == ["500 ms", "90 s", "3.33 min", "2.5 h"]
