"""Sessions recorded by earlier versions, kept as they were written: read, decided again, made again from the journal.

`samples/vN` is a run of 72 points on 30 × 30 px of Ti-6Al-4V, recorded over sockets with the simulator by the first
grainloop whose journal had format N; the model chose 36 of the points. Its `session.h5` is gzipped.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from controller.journal.entries import VERSION, Answered, Decided, Ended, PointsStored, entry_bytes, read_entry
from controller.journal.reading import journal_files, read_journal
from controller.journal.view import repair
from controller.journal.writing import Journal
from controller.recording import JOURNAL_NAME, SESSION_NAME
from controller.replay import replay
from controller.session_reader import load_session
from protocols.errors import BadInput
from protocols.plan import RunPlan
from protocols.records import SIGNATURE, Record, read_header, read_records
from protocols.states import FinishReason

SAMPLES = Path(__file__).parent / "samples"
VERSIONS = sorted(int(folder.name[1:]) for folder in SAMPLES.iterdir())
SESSION_VERSIONS = {1: 4}
"""Format of session.h5 by the format of the journal beside it."""
ONLY_IN_THE_VIEW = "inferred/latest"
LATER = frozenset({"format_version", "journal_sync"})
"""Attributes that tell of who writes the file, not of the run; the second one is newer than some samples."""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def sample(version: int, tmp_path: Path) -> Path:
    """A copy of a sample, its session file unpacked."""
    shutil.copytree(SAMPLES / f"v{version}" / JOURNAL_NAME, tmp_path / JOURNAL_NAME)
    packed = SAMPLES / f"v{version}" / f"{SESSION_NAME}.gz"
    (tmp_path / SESSION_NAME).write_bytes(gzip.decompress(packed.read_bytes()))
    return tmp_path


def content(file: Path) -> dict[str, Any]:
    """All attributes and values of an HDF5 file by name, but for what only a view holds."""
    found = dict[str, Any]()

    def visit(name: str, node: Any) -> None:
        if name.startswith(ONLY_IN_THE_VIEW):
            return
        if isinstance(node, h5py.Dataset):
            value = np.asarray(node[()]).tolist()
            # the fields of a plan that are newer than a sample have their defaults
            value = RunPlan.model_validate_json(value) if name == "plan" else value
            found[name] = node.dtype.str, node.shape, value
        found.update({f"{name}@{key}": value for key, value in node.attrs.items() if key not in LATER})

    with h5py.File(file) as opened:
        visit("", opened)
        opened.visititems(visit)
    return found


def test_a_sample_is_of_the_version_that_it_is_said_to_be(version: int, sample: Path) -> None:
    (file,) = journal_files(sample / JOURNAL_NAME)
    assert read_header(file.read_bytes(), VERSION) == (version, 0)
    with h5py.File(sample / SESSION_NAME) as session:
        assert session.attrs["format_version"] == SESSION_VERSIONS[version]


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


def test_a_sample_is_decided_again_byte_for_byte(sample: Path) -> None:
    read = read_journal(sample / JOURNAL_NAME)
    assert (read.damage, read.torn) == ((), False)
    found = replay(read.entries)
    assert found.difference is None, str(found.difference)
    assert found.decisions == sum(isinstance(entry, Decided) for entry in read.entries) == 8
    assert sum(isinstance(entry, Answered) for entry in read.entries) == 3
    assert not found.notes
    assert isinstance(found.ended, Ended)
    assert found.ended.reason is FinishReason.COMPLETED


def test_the_session_file_of_a_sample_is_made_again(sample: Path) -> None:
    recorded = content(sample / SESSION_NAME)
    points, damage = repair(sample / JOURNAL_NAME, sample / SESSION_NAME)
    assert (points, damage) == (72, ())
    again = content(sample / SESSION_NAME)
    assert again.keys() == recorded.keys()
    for name, value in recorded.items():
        assert repr(again[name]) == repr(value), name


def test_the_session_file_of_a_sample_can_be_read(sample: Path) -> None:
    session = load_session(sample / SESSION_NAME)
    decided = replay(read_journal(sample / JOURNAL_NAME).entries).core.ledger.points.block()
    assert session.points == decided
    assert session.final is not None
    assert session.final.points == len(session.points) == 72
    assert session.final.predicted_wrong == pytest.approx(0.125, abs=5e-4)
    assert (session.finish_reason, len(session.decisions), len(session.batches)) == ("completed", 8, 8)
    assert session.light is not None
    assert session.light.images.shape == (6, 30, 30)


def test_whoever_goes_on_with_an_older_journal_begins_a_new_file(sample: Path, version: int) -> None:
    """So that a file holds what its header says, and an older grainloop refuses it instead of failing within it."""
    (file,) = journal_files(sample / JOURNAL_NAME)
    before, entries = file.read_bytes(), read_journal(sample / JOURNAL_NAME).entries
    newest = next(entry for entry in reversed(entries) if isinstance(entry, PointsStored))
    more = newest.model_copy(update={"lost": "exposed, result lost"})
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
for name in ("torch", "model.service", "model.reconstruct", "model.weights", "model.acquire", "instrument_sim"):
    sys.modules[name] = None
from controller.cli import main
for command in (["replay", sys.argv[1]], ["diff", sys.argv[1], sys.argv[1]], ["repair", sys.argv[1]]):
    assert main(command) == 0, command
"""


def test_verifying_comparing_and_repairing_need_neither_model_nor_weights(sample: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT, str(sample)], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "8 decisions were made again, byte for byte as recorded; 72 points." in ran.stdout
