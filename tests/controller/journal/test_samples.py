"""Sessions recorded by earlier versions, kept as they were written: read, decided again, made again from the journal.

`samples/vN` is a run on 30 × 30 px, recorded over sockets with the simulator by a grainloop whose journal had format N.
Its `session.h5` is gzipped, from version 2 on its journal as well.

1: 72 points of Ti-6Al-4V; the model chose 36 of them.
2: lines and free points on a chessboard of grains, so that the beam, which jumps by 3 px down and 2 px left behind the
   first pass, can be found to have drifted: 100 points before it was told, 256 until it was corrected, 256 behind.
3: a demo on a chessboard of grains; its events hold the numbers in their texts.
4: the same on another one; points that came would show whether they were refused.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from grainloop.controller.journal.entries import (
    VERSION,
    BatchClosed,
    Decided,
    Ended,
    PointsStored,
    QuestionAnswered,
    entry_bytes,
    read_entry,
)
from grainloop.controller.journal.reading import journal_files, read_journal
from grainloop.controller.journal.replay import replay
from grainloop.controller.journal.writing import Journal
from grainloop.controller.record.mending import repair
from grainloop.controller.record.recording import JOURNAL_NAME, SESSION_NAME
from grainloop.controller.session.reader import load_session
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import RunEvent
from grainloop.protocols.plan import RunPlan
from grainloop.protocols.records import SIGNATURE, Record, read_header, read_records
from grainloop.protocols.shapes import ScanShape, decode_pieces
from grainloop.protocols.states import FinishReason

SAMPLES = Path(__file__).parent / "samples"
VERSIONS = sorted(int(folder.name[1:]) for folder in SAMPLES.iterdir())


@dataclass(frozen=True)
class Facts:
    """What a sample holds.

    Attributes:
        session_version: format of its session.h5.
        points, outside: stored in all, and of these beside the grid.
        decisions, answers: in its journal.
        predicted_wrong: of its last reconstruction.
        images: shape of its PL images.
        corrections: of a drift: rows, columns, first point.
        shapes: that were asked for.
    """

    session_version: int
    points: int
    decisions: int
    answers: int
    predicted_wrong: float
    images: tuple[int, int, int]
    outside: int = 0
    corrections: tuple[tuple[int, int, int], ...] = ()
    shapes: frozenset[ScanShape] = frozenset({ScanShape.POINTS})


FACTS = {
    1: Facts(4, 72, 8, 3, 0.125, (6, 30, 30)),
    2: Facts(
        session_version=5,
        points=612,
        decisions=4,
        answers=3,
        predicted_wrong=0.118,
        images=(3, 30, 30),
        outside=25,
        corrections=((3, -2, 115),),
        shapes=frozenset({ScanShape.POINTS, ScanShape.LINES}),
    ),
    3: Facts(6, 180, 11, 4, 0.028, (18, 30, 30)),
    4: Facts(6, 180, 18, 8, 0.109, (18, 30, 30)),
}
ONLY_IN_THE_VIEW = "inferred/latest"
LATER = frozenset({"format_version", "journal_sync"})
"""Attributes that tell of who writes the file, not of the run; the second one is newer than some samples."""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def sample(version: int, tmp_path: Path) -> Path:
    """A copy of a sample, its files unpacked."""
    shutil.copytree(SAMPLES / f"v{version}", tmp_path, dirs_exist_ok=True)
    for packed in tmp_path.rglob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    return tmp_path


@pytest.fixture
def facts(version: int) -> Facts:
    return FACTS[version]


def content(file: Path) -> dict[str, Any]:
    """All attributes and values of an HDF5 file by name, but for what only a view holds."""
    found = dict[str, Any]()

    def visit(name: str, node: Any) -> None:
        if name.startswith(ONLY_IN_THE_VIEW):
            return
        if isinstance(node, h5py.Dataset):
            value = np.asarray(node[()]).tolist()
            # fields of plans and events that are newer than a sample have their defaults
            value = RunPlan.model_validate_json(value) if name == "plan" else value
            value = [RunEvent.model_validate_json(row) for row in value] if name == "events" else value
            found[name] = node.dtype.str, node.shape, value
        found.update({f"{name}@{key}": value for key, value in node.attrs.items() if key not in LATER})

    with h5py.File(file) as opened:
        visit("", opened)
        opened.visititems(visit)
    return found


def test_a_sample_is_of_the_version_that_it_is_said_to_be(version: int, sample: Path, facts: Facts) -> None:
    (file,) = journal_files(sample / JOURNAL_NAME)
    assert read_header(file.read_bytes(), VERSION) == (version, 0)
    with h5py.File(sample / SESSION_NAME) as session:
        assert session.attrs["format_version"] == facts.session_version


def test_each_version_has_a_sample() -> None:
    assert list(range(1, VERSION + 1)) == VERSIONS == sorted(FACTS)


def test_samples_are_small() -> None:
    for version in VERSIONS:
        size = sum(file.stat().st_size for file in (SAMPLES / f"v{version}").rglob("*") if file.is_file())
        assert size <= 300_000


def test_every_record_can_be_read_and_says_the_same_when_it_is_written_again(sample: Path) -> None:
    (file,) = journal_files(sample / JOURNAL_NAME)
    records = list(read_records(file.read_bytes()))
    assert all(isinstance(record, Record) for record in records)
    for record in records:
        assert isinstance(record, Record)
        entry = read_entry(record.payload)
        assert read_entry(entry_bytes(entry)) == entry


def test_a_sample_is_decided_again_byte_for_byte(sample: Path, facts: Facts) -> None:
    read = read_journal(sample / JOURNAL_NAME)
    assert (read.damage, read.torn) == ((), False)
    found = replay(read.entries)
    assert found.difference is None, str(found.difference)
    assert found.decisions == sum(isinstance(entry, Decided) for entry in read.entries) == facts.decisions
    assert sum(isinstance(entry, QuestionAnswered) for entry in read.entries) == facts.answers
    assert not found.notes
    assert isinstance(found.ended, Ended)
    assert found.ended.reason is FinishReason.COMPLETED


def test_the_session_file_of_a_sample_is_made_again(sample: Path, facts: Facts) -> None:
    recorded = content(sample / SESSION_NAME)
    repaired = repair(sample / JOURNAL_NAME, sample / SESSION_NAME)
    assert (repaired.points, repaired.mended.damage) == (facts.points, ())
    again = content(sample / SESSION_NAME)
    assert again.keys() == recorded.keys()
    for name, value in recorded.items():
        assert repr(again[name]) == repr(value), name


def test_the_session_file_of_a_sample_can_be_read(sample: Path, facts: Facts) -> None:
    session = load_session(sample / SESSION_NAME)
    ledger = replay(read_journal(sample / JOURNAL_NAME).entries).decider.ledger
    assert session.points == ledger.points.block()
    assert session.final is not None
    assert session.final.points == len(session.points) == facts.points - facts.outside
    assert session.final.predicted_wrong == pytest.approx(facts.predicted_wrong, abs=5e-4)
    over = (session.finish_reason, len(session.decisions), len(session.batches))
    assert over == ("completed", facts.decisions, facts.decisions)
    assert session.light is not None
    assert session.light.images.shape == facts.images


def test_a_drift_that_was_corrected_in_a_sample_places_its_points(sample: Path, facts: Facts) -> None:
    session = load_session(sample / SESSION_NAME)
    ledger = replay(read_journal(sample / JOURNAL_NAME).entries).decider.ledger
    told = [one.correction for one in session.corrections]
    assert told == ledger.aim.corrections
    assert tuple((one.rows_px, one.columns_px, one.from_point) for one in told) == facts.corrections
    assert sorted(session.outside.point_id.tolist()) == sorted(ledger.outside.block().point_id.tolist())
    assert len(session.outside) == facts.outside
    for row, column, first in facts.corrections:
        drifted = session.points.point_id >= first
        assert (session.offset_px[drifted] == (row, column)).all()
        assert not session.offset_px[~drifted].any()


def test_the_shapes_of_a_sample_are_read(sample: Path, facts: Facts) -> None:
    entries = read_journal(sample / JOURNAL_NAME).entries
    gone = {entry.batch for entry in entries if isinstance(entry, BatchClosed) and entry.withdrawn}
    asked = [entry.request for entry in entries if isinstance(entry, Decided) and entry.request.batch not in gone]
    pieces = [piece for request in asked for piece in decode_pieces(request.pieces, len(request.point_id))]
    assert {piece.shape for piece in pieces} == facts.shapes
    assert sum(piece.points for piece in pieces) == facts.points


def test_whoever_goes_on_with_an_older_journal_begins_a_new_file(sample: Path, version: int) -> None:
    """So that a file holds what its header says, and an older grainloop refuses it instead of failing within it."""
    (file,) = journal_files(sample / JOURNAL_NAME)
    before, entries = file.read_bytes(), read_journal(sample / JOURNAL_NAME).entries
    newest = next(entry for entry in reversed(entries) if isinstance(entry, PointsStored))
    others = newest.points.model_copy(update={"point_id": newest.points.point_id + 10**6})
    more = newest.model_copy(update={"points": others, "lost": "exposed, result lost"})
    journal = Journal(sample / JOURNAL_NAME)
    assert journal.append(more) == len(entries)
    journal.close()
    found = read_journal(sample / JOURNAL_NAME)
    assert (found.damage, found.entries) == ((), (*entries, more))
    assert file.read_bytes() == before or version == VERSION
    assert [read_header(one.read_bytes(), VERSION) for one in journal_files(sample / JOURNAL_NAME)][-1] == (
        VERSION,
        0 if version == VERSION else len(entries),
    )


def test_a_newer_journal_is_refused_by_name(sample: Path) -> None:
    (file,) = journal_files(sample / JOURNAL_NAME)
    data = bytearray(file.read_bytes())
    data[len(SIGNATURE)] = VERSION + 1
    file.write_bytes(bytes(data))
    with pytest.raises(BadInput, match=f"it has format {VERSION + 1}, and up to {VERSION} can be read"):
        read_journal(sample / JOURNAL_NAME)


WITHOUT = """
import sys
rooms = ("model.service", "model.reconstruct", "model.weights", "model.acquire", "instrument_sim")
for name in ("torch", *(f"grainloop.{room}" for room in rooms)):
    sys.modules[name] = None
from grainloop.cli import main
for command in (["replay", sys.argv[1]], ["diff", sys.argv[1], sys.argv[1]], ["repair", sys.argv[1]]):
    assert main(command) == 0, command
"""


def test_verifying_comparing_and_repairing_need_neither_model_nor_weights(sample: Path, facts: Facts) -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT, str(sample)], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    placed = facts.points - facts.outside
    assert f"{facts.decisions} decisions were made again, byte for byte as recorded; {placed} points." in ran.stdout
