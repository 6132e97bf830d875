"""Log lines: what is bound, what is left out, where they go, and that a log never stops anything."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import os
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainloop.protocols.errors import BadInput, ErrorCode
from grainloop.protocols.observability import Seldom, about, bind, get_logger, in_context
from grainloop.protocols.observability.lines import LEFT_OUT, MAX_TEXT, plain, readable, record_of, to_json
from grainloop.protocols.observability.output import LOG_NAME, Aside, LogFile, LogOptions, logging_beside, logging_to
from grainloop.protocols.security.keys import make_key

LOG = get_logger(service="instrument")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def told(**fields: object) -> dict[str, Any]:
    """A line with these fields, as JSON holds it."""
    out = io.StringIO()
    with logging_to(LogOptions(), out):
        LOG.info("tried", **fields)
    (line,) = said(out)
    return line


async def test_a_line_holds_what_its_task_and_the_threads_of_it_are_about() -> None:
    out = io.StringIO()

    async def scan(batch: int) -> None:
        bind(batch=batch)
        await asyncio.sleep(0)
        LOG.info("scanned")
        thread = threading.Thread(target=in_context(lambda: LOG.info("exposed")))
        thread.start()
        await asyncio.to_thread(thread.join)

    with logging_to(LogOptions(), out):
        with about(run="abc", round=7):
            await asyncio.gather(*(asyncio.create_task(scan(batch)) for batch in (1, 2)))
        LOG.info("over")
    lines = said(out)
    assert {(one["event"], one.get("batch")) for one in lines} == {
        ("scanned", 1),
        ("exposed", 1),
        ("scanned", 2),
        ("exposed", 2),
        ("over", None),
    }
    assert all((one["run"], one["round"]) == ("abc", 7) for one in lines[:-1])
    assert set(lines[-1]) == {"time", "level", "service", "event"}


def test_nobody_who_uses_the_packages_as_a_library_reads_more_than_warnings(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    LOG.info("nothing")
    LOG.warning("something", batch=3)
    assert capsys.readouterr().out == ""
    assert [one.getMessage() for one in caplog.records] == ["something service=instrument batch=3"]


def test_a_traceback_holds_no_local_variables() -> None:
    secret, many = make_key("someone").secret, np.arange(5000)
    out = io.StringIO()

    def fail() -> None:
        raise ZeroDivisionError(f"{len(many)} points, {len(secret)} characters")

    with logging_to(LogOptions(), out):
        try:
            fail()
        except ZeroDivisionError as error:
            LOG.error("handler failed", exc_info=error, pair=make_key("someone"), secret=secret)
    (line,) = said(out)
    assert "ZeroDivisionError: 5000 points, 40 characters" in line["exception"]
    assert secret not in out.getvalue()
    assert "4999" not in out.getvalue()
    assert "secret=" not in line["pair"]
    assert line["secret"] == LEFT_OUT


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.zeros((300, 4), np.float32), "an array of float32 (300, 4)"),
        (np.float32(0.5), 0.5),
        (math.nan, "nan"),
        (b"abc", "3 bytes"),
        (Path("a/b"), "a/b"),
        (ErrorCode.BUSY, "busy"),
        ((1, 2), [1, 2]),
        ({"password": "x", "points": 3}, {"password": LEFT_OUT, "points": 3}),
        ("x" * 5000, "x" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_values_are_as_small_as_a_line_may_be(value: object, shown: object) -> None:
    assert told(value=value)["value"] == shown


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.binary(), st.lists))
def test_whatever_is_told_a_line_is_one_line_of_json(value: object) -> None:
    text = to_json({"value": plain(value)})
    assert "\n" not in text
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


@given(st.text())
def test_what_strangers_send_cannot_move_the_cursor(text: str) -> None:
    line = readable({"time": text, "level": "info", "event": text, "why": text, "exception": ""})
    assert line.isprintable()


def test_other_packages_are_heard_when_they_warn() -> None:
    out = io.StringIO()
    with logging_to(LogOptions(), out):
        logging.getLogger("asyncio").info("quiet")
        logging.getLogger("asyncio").error("Task exception was never retrieved: %s", "x")
    (line,) = said(out)
    assert (line["logger"], line["level"]) == ("asyncio", "error")
    assert line["event"] == "Task exception was never retrieved: x"


@pytest.mark.parametrize(
    ("options", "out", "is_json"),
    [
        (LogOptions(), Terminal(), False),
        (LogOptions(), io.StringIO(), True),
        (LogOptions(json=True), Terminal(), True),
        (LogOptions(json=False), io.StringIO(), False),
    ],
)
def test_people_read_lines_on_a_terminal_and_programs_read_json(
    options: LogOptions, out: io.StringIO, is_json: bool
) -> None:
    with logging_to(options, out):
        LOG.warning("drift", batch=3, what="a sentence of words")
    text = out.getvalue()
    assert text.startswith("{") is is_json
    if not is_json:
        bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert "] drift service=instrument batch=3 what='a sentence of words'" in bare
        assert (bare != text) is out.isatty()


def test_a_file_is_written_beside_and_is_begun_anew_when_it_is_full(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "instrument.jsonl"
    with logging_to(LogOptions("debug", file=path), io.StringIO()):
        LOG.debug("first")
    assert json.loads(path.read_text())["event"] == "first"
    small = LogFile(tmp_path / "small.jsonl", max_bytes=200)
    for number in range(20):
        small.handle(record_of(logging.INFO, "one", number=number))
    small.close()
    names = sorted(one.name for one in tmp_path.glob("small*"))
    assert names == ["small.jsonl", "small.jsonl.1", "small.jsonl.2", "small.jsonl.3"]
    assert json.loads((tmp_path / "small.jsonl").read_text().splitlines()[-1])["number"] == 19


def test_the_log_of_a_session_waits_for_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    with logging_to(LogOptions(), io.StringIO()), logging_beside(folder):
        LOG.info("too early")
        assert not folder.exists()
        folder.mkdir()
        LOG.info("begun")
    LOG.info("too late")
    (line,) = (folder / LOG_NAME).read_text().splitlines()
    assert json.loads(line)["event"] == "begun"


A_FOLDER = "it is a folder, and only a regular file is used"


def test_a_log_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LOG_NAME).mkdir()
    out = io.StringIO()
    with logging_to(LogOptions(), out), logging_beside(tmp_path):
        for _ in range(3):
            LOG.info("goes on")
    assert len(said(out)) == 3
    assert capsys.readouterr().err == f"The log {tmp_path / LOG_NAME} cannot be written: {A_FOLDER}.\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (LogOptions("loud"), "--log-level loud cannot be used"),
        (LogOptions(file=Path("/proc/nowhere/x")), "The log /proc/nowhere/x cannot be written"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: LogOptions, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence), logging_to(options, io.StringIO()):
        pass


def test_strangers_cannot_fill_the_disk() -> None:
    now, lines = 0.0, list[dict[str, object]]()

    def tell(event: str, **fields: object) -> None:
        lines.append({"event": event, **fields})

    seldom = Seldom(tell, 1.0, lambda: now)
    for step in range(25):
        now = step * 0.1
        seldom("refused", step=step)
    assert lines == [
        {"event": "refused", "step": 0},
        {"event": "refused", "step": 10, "others_untold": 9},
        {"event": "refused", "step": 20, "others_untold": 9},
    ]


def test_a_pipe_that_nobody_reads_costs_lines_and_no_time() -> None:
    reads, writes = os.pipe()
    handler = Aside(writes, logging.Formatter("%(message)s"), room=50)
    for number in range(3000):  # 3 MB, where a pipe holds some 64 kB
        handler.handle(logging.makeLogRecord({"msg": f"{number} {'x' * 1000}"}))
    heard: list[bytes] = []
    listening = threading.Thread(target=lambda: heard.extend(iter(lambda: os.read(reads, 65536), b"")))
    listening.start()
    handler.close()
    os.close(writes)
    listening.join()
    os.close(reads)
    lines = b"".join(heard).decode().splitlines()
    numbers = [int(one.split()[0]) for one in lines if one[0].isdigit()]
    left_out = sum(int(one.rpartition("count=")[2]) for one in lines if one.startswith("log lines were left out"))
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    assert left_out > 0
    assert len(numbers) + left_out == 3000


@pytest.mark.skipif(os.name != "posix", reason="pipes in folders")
@pytest.mark.timeout(60)
def test_a_pipe_in_the_place_of_a_log_holds_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the beginning, and where the log is begun anew."""
    os.mkfifo(tmp_path / LOG_NAME)
    small = LogFile(tmp_path / "small.jsonl", max_bytes=200)
    record = logging.LogRecord("x", logging.INFO, "", 0, "a line", None, None)
    small.emit(record)
    (tmp_path / "small.jsonl").unlink()
    os.mkfifo(tmp_path / "small.jsonl")
    out = io.StringIO()
    with logging_to(LogOptions(), out), logging_beside(tmp_path):
        LOG.info("goes on")
        for _ in range(9):
            small.emit(record)
    small.close()
    assert len(said(out)) == 1
    assert capsys.readouterr().err.count("it is a pipe (FIFO)") >= 1


def test_a_log_that_finds_no_room_is_closed_without_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written is tried again when a file is closed: on a full disk that ended a run."""
    if not Path("/dev/full").exists():
        pytest.skip("no device that is full")
    log = LogFile(tmp_path / "x.jsonl")
    with Path("/dev/full").open("a", encoding="utf-8") as full:
        monkeypatch.setattr(log, "_open", lambda: full)
        log.emit(logging.LogRecord("x", logging.INFO, "", 0, "a line", None, None))
        log.close()
    assert full.closed
