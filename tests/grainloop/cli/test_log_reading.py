"""Log files read back: what belongs together, what is broken, what comes later, and `grainloop logs` on top of it."""

from __future__ import annotations

import json
import logging
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.cli import main
from grainloop.cli.logs.reading import Broken, Tail, Wanted, files_of, merged, parse_since
from grainloop.protocols.errors import BadInput
from grainloop.protocols.observability.lines import record_of
from grainloop.protocols.observability.output import LogFile

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)


def line(second: float, event: str, level: str = "info", **fields: object) -> dict[str, Any]:
    return {
        "time": (NOW + timedelta(seconds=second)).isoformat(timespec="milliseconds"),
        "level": level,
        "event": event,
        **fields,
    }


CONTROLLER = [
    line(1, "batch decided", service="controller", run="r", batch=4, round=1, request="asker-1"),
    line(3, "answered", service="controller", to="instrument", run="r", batch=4, round=1, request="i-9"),
    line(4, "answered", "debug", service="controller", to="model", run="r", round=2, request="m-3"),
    line(5, "batch decided", service="controller", run="r", batch=6, round=2, request="asker-1"),
    line(9, "drift", "warning", service="controller", run="r", request="asker-1"),
]
INSTRUMENT = [
    line(2, "batch measured", service="instrument", run="r", batch=4, request="i-9"),
    line(6, "batch measured", service="instrument", run="r", batch=6, request="i-11"),
    line(7, "batch measured", service="instrument", run="another", batch=4, request="i-12"),
]
MODEL = [line(3.9, "question answered", service="model", run="r", request="m-3")]


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session whose services logged beside it."""
    folder = tmp_path / "session"
    written(folder / "service.log.jsonl", CONTROLLER)
    written(folder / "logs" / "controller.log", CONTROLLER)
    written(folder / "logs" / "instrument.log", INSTRUMENT)
    written(folder / "logs" / "model.log", MODEL)
    return folder


def events(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[str, str]]:
    """Service and event of the lines that `grainloop logs` shows."""
    assert main(["logs", *arguments, "--json"]) == 0
    shown = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    return [(one["service"], one["event"]) for one in shown]


def test_files_are_merged_by_time_and_a_line_of_two_files_is_shown_once(session: Path, capsys: Any) -> None:
    shown = events(capsys, str(session))
    assert len(shown) == len(CONTROLLER) + len(INSTRUMENT) + len(MODEL)
    assert shown[:4] == [
        ("controller", "batch decided"),
        ("instrument", "batch measured"),
        ("controller", "answered"),
        ("model", "question answered"),
    ]


def test_a_round_is_told_by_all_services(session: Path, capsys: Any) -> None:
    assert events(capsys, str(session), "--round", "1") == [
        ("controller", "batch decided"),
        ("instrument", "batch measured"),
        ("controller", "answered"),
    ]
    assert events(capsys, str(session), "--round", "2") == [
        ("model", "question answered"),
        ("controller", "answered"),
        ("controller", "batch decided"),
        ("instrument", "batch measured"),
    ]
    assert events(capsys, str(session), "--round", "3") == []


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--level", "warning"], 1),
        (["--level", "info"], 8),
        (["--service", "instrument"], 3),
        (["--request", "i-9"], 2),
        (["--since", "2026-11-28T06:00:06"], 3),
        (["--since", "2026-11-28T07:00:06+01:00", "--service", "controller"], 1),
        (["--request", "i-9", "--service", "model"], 0),
    ],
)
def test_lines_are_chosen(session: Path, capsys: Any, options: list[str], count: int) -> None:
    assert len(events(capsys, str(session), *options)) == count


def test_what_is_no_line_is_told_and_not_fatal(session: Path, capsys: Any) -> None:
    log = session / "logs" / "model.log"
    log.write_bytes(
        b"grainloop: its last words \x1b[2J\n\n"
        + log.read_bytes()
        + b'{"time": "soon", "event": "x"}\n[1]\n{"time": "20'
    )
    assert main(["logs", str(log)]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    assert [one.split(" is no log line: ")[0] for one in captured.err.splitlines()] == [
        f"{log}:{number}" for number in (1, 4, 5, 6)
    ]
    assert "\x1b" not in captured.err


def test_people_read_lines_with_their_fields(session: Path, capsys: Any) -> None:
    assert main(["logs", str(session / "logs" / "instrument.log"), "--request", "i-9"]) == 0
    said = "06:00:02.000 [info     ] batch measured service=instrument run=r batch=4 request=i-9\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "There is no log in nowhere"),
        ([".", "--level", "loud"], "--level loud cannot be used: give debug, info, warning, error."),
        ([".", "--since", "yesterday"], "--since yesterday cannot be used"),
        ([".", "--since", "1e999d"], "--since 1e999d cannot be used"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(arguments: list[str], sentence: str, capsys: Any) -> None:
    assert main(["logs", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800), ("2026-11-28T05:59:00", 60)]
)
def test_times_as_people_say_them(text: str, seconds: float) -> None:
    assert NOW - parse_since(text, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_file_is_followed_through_its_rotation(tmp_path: Path, every: int) -> None:
    """Looked at after every few lines, fewer than a file holds, as a follower does who looks several times a second."""
    path, seen = tmp_path / "service.log.jsonl", list[int]()
    log = LogFile(path, max_bytes=600)
    log.handle(record_of(logging.INFO, "begun", number=0))
    tail = Tail(path)
    for number in range(1, 60):
        log.handle(record_of(logging.INFO, "step", number=number))
        if number % every == 0:
            seen += [one["number"] for one in tail.new() if not isinstance(one, Broken)]
    log.close()
    seen += [one["number"] for one in tail.new() if not isinstance(one, Broken)]
    tail.close()
    assert seen == list(range(60))
    assert [one.name for one in files_of(path)] == [f"{path.name}.{number}" for number in (3, 2, 1)] + [path.name]


@given(st.data())
def test_lines_that_come_in_pieces_come_whole(data: st.DataObject) -> None:
    lines = [line(number, "ü" * number, number=number) for number in range(5)]
    content = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl"
        path.touch()
        tail, found = Tail(path), list[Any]()
        for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            with path.open("ab") as file:
                file.write(content[start:end])
            found += tail.new()
        tail.close()
    assert found == lines


def test_a_line_without_its_end_is_told_at_the_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"time": "2026-11-28T06:00:00", "ev')
    tail = Tail(path)
    assert tail.new() == []
    (broken,) = tail.rest()
    assert isinstance(broken, Broken)
    assert broken.number == 1
    tail.close()


def test_merging_keeps_lines_that_only_look_alike() -> None:
    same, other = line(1, "x", number=1), line(1, "x", number=2)
    assert merged([other, same, dict(same)]) == [other, same]


def test_a_level_that_nobody_knows_is_shown() -> None:
    assert Wanted(level="error").take(line(1, "x", "critical"))
    assert not Wanted(level="error").take(line(1, "x", "warning"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"The log .*x\.jsonl cannot be read: No such file"):
        Tail(tmp_path / "x.jsonl")


def test_a_file_that_is_no_log_is_refused_in_few_lines(tmp_path: Path, capsys: Any) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("a line\n" * 1000)
    assert main(["logs", str(other)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    *shown, more, sentence = err.splitlines()
    assert (len(shown), more) == (20, "And 980 more lines of that kind.")
    assert sentence == f"grainloop: There is no log line in {other}; is it a log of grainloop?"


def test_a_log_whose_level_hides_every_line_is_one(session: Path, capsys: Any) -> None:
    log = session / "logs" / "instrument.log"
    log.write_text(log.read_text() + "last words\n")
    assert main(["logs", str(log), "--level", "error"]) == 0
