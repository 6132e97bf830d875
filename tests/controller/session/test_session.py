"""`session.h5`: everything comes back as it was written, and what is none is told in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from grainloop.controller.decide.decider import Decider
from grainloop.controller.plans import Terms
from grainloop.controller.session.layout import FORMAT_VERSION
from grainloop.controller.session.reader import load_session
from grainloop.controller.session.writer import SessionFile
from grainloop.protocols.errors import BadInput
from grainloop.protocols.messages import RunEvent, ScanDone
from grainloop.protocols.plan import Budget, RunPlan
from grainloop.protocols.states import FinishReason, RunState
from grainloop.protocols.values import LightImages, LightKind, PointBlock
from tests.controller.fakes import block_of, capabilities, reconstruction

PLAN = RunPlan(budget=Budget(fraction=0.3), seed=4)


def begin(path: Path) -> tuple[SessionFile, Decider]:
    decider = Decider(Terms(PLAN, capabilities()), "run")
    decider.begin(0.0)
    return SessionFile(path, decider.terms), decider


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    session, decider = begin(tmp_path / "session.h5")
    images = np.random.default_rng(0).random((3, 9, 8)).astype(np.float32)
    light = LightImages(kind=LightKind.ROTATION_STACK, angles_deg=(0.0, 60.0, 120.0), images=images, pixel_um=0.7)
    session.add_light(light, 6.0)
    batch = decider.next_planned()
    assert batch is not None
    points = block_of(batch.request, 3.0)
    session.add_decision(batch, {"round": 0})
    session.add_points(0, points.select(slice(10)))
    session.add_points(0, points.select(slice(10, None)))
    session.close_batch(0, len(points), len(points), ScanDone(batch=0, points=1, started_s=3, finished_s=9), None)
    event = RunEvent(sequence=1, state=RunState.RUNNING, event="x", text="ü", points_measured=1, points_budget=2)
    session.add_event(event)
    decider.ledger.receive(0, points)
    decider.ledger.close(0, None)
    answer = reconstruction(decider.final_question(), (24, 20))
    for name in ("latest", "latest", "final"):
        session.add_inferred(name, answer, 17)
    session.finish(FinishReason.STOPPED, "the operator stopped the run")
    session.close()

    read = load_session(session.path)
    assert read.terms == decider.terms
    assert read.light == light
    assert read.points == points
    assert read.batch.tolist() == [0] * len(points)
    assert np.array_equal(read.requested.position_px, batch.request.position_px)
    for name, column in batch.why.columns().items():
        np.testing.assert_array_equal(getattr(read.requested, name), column)
    np.testing.assert_array_equal(read.requested.travel_px, batch.travel_px)
    assert read.batches[0]["finished_s"] == 9
    assert read.decisions[0]["decided_by"] == "plan"
    assert read.decisions[0]["reasons"] == {"first_pass": len(points)}
    assert read.decisions[0]["gain_px"] == 0
    assert read.events == (event,)
    assert read.final is not None
    assert read.latest is not None
    assert np.array_equal(read.final.p_wrong, answer.p_wrong)
    assert read.final.bound90_deg is not None
    assert np.array_equal(read.final.bound90_deg, answer.bound90_deg)
    assert read.final.light == answer.light
    assert read.final.points == 17
    assert (read.finish_reason, read.finish_detail) == ("stopped", "the operator stopped the run")
    assert {"grainloop", "numpy", "h5py", "python"} <= set(read.software)


def test_it_is_plain_hdf5_that_keeps_measured_and_inferred_apart(tmp_path: Path) -> None:
    session, _ = begin(tmp_path / "session.h5")
    session.close()
    with h5py.File(session.path) as file:
        assert file.id.get_create_plist().get_version()[0] == 0  # superblock of the default format: no SWMR
        assert {"measured", "inferred", "requested", "plan", "capabilities", "events"} <= set(file)
        assert set(PointBlock.model_fields) < set(file["measured"])
        assert file["measured/point_id"].maxshape == (None,)


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    begin(tmp_path / "session.h5")[0].close()
    with pytest.raises(BadInput, match=r"session\.h5 exists already"):
        begin(tmp_path / "session.h5")


@pytest.mark.parametrize("case", ["missing", "text", "other", "newer"])
def test_what_is_no_session_is_told_in_a_sentence(tmp_path: Path, case: str) -> None:
    path = tmp_path / "s.h5"
    expected = {
        "missing": "There is no session file",
        "text": "cannot be read as HDF5",
        "other": "not a grainloop session",
        "newer": f"reads up to format {FORMAT_VERSION}",
    }[case]
    if case == "text":
        path.write_text("not hdf5 at all")
    if case == "other":
        h5py.File(path, "w").close()
    if case == "newer":
        begin(path)[0].close()
        with h5py.File(path, "r+") as file:
            file.attrs["format_version"] = FORMAT_VERSION + 1
    with pytest.raises(BadInput, match=expected):
        load_session(path)


@pytest.mark.parametrize("name", ["software", "plan", "capabilities", "batches", "decisions", "events", "measured"])
@pytest.mark.parametrize("left", ["half of it", "something else", "nothing"])
def test_a_file_of_which_a_part_is_torn_is_told_to_be_made_again(tmp_path: Path, name: str, left: str) -> None:
    """As a writer leaves it that dies within HDF5."""
    session, _ = begin(tmp_path / "s.h5")
    session.close()
    with h5py.File(session.path, "r+") as file:
        old = file.pop(name)
        if left == "half of it" and isinstance(old, h5py.Dataset):
            text = old.asstr()[()] if old.shape == () else '{"batch": 0, "asked": 1'
            file.create_dataset(name, data=text[: len(text) // 2] if old.shape == () else [text])
        elif left != "nothing":
            file.create_dataset(name, data=np.zeros(3))
    with pytest.raises(BadInput, match="is incomplete" if left == "nothing" else "grainloop repair"):
        load_session(session.path)


def test_columns_of_which_only_some_grew_are_cut_to_what_is_whole(tmp_path: Path) -> None:
    session, decider = begin(tmp_path / "s.h5")
    batch = decider.next_planned()
    assert batch is not None
    points = block_of(batch.request, 0.0)
    session.add_points(0, points)
    session.close()
    with h5py.File(session.path, "r+") as file:
        for name in ("point_id", "status", "position_px"):
            file[f"measured/{name}"].resize(len(points) + 5, axis=0)
    assert load_session(session.path).points == points


def test_a_file_of_the_first_format_has_no_bound_and_still_loads(tmp_path: Path) -> None:
    session, decider = begin(tmp_path / "s.h5")
    session.add_inferred("final", reconstruction(decider.final_question(), (24, 20)), 1)
    session.close()
    with h5py.File(session.path, "r+") as file:
        file.attrs["format_version"] = 1
        del file["inferred/final/bound90_deg"]
    read = load_session(session.path).final
    assert read is not None
    assert read.bound90_deg is None
    assert (read.expected_error_deg == 2).all()


def test_a_file_of_the_second_format_has_no_evidence_and_still_loads(tmp_path: Path) -> None:
    session, decider = begin(tmp_path / "s.h5")
    batch = decider.next_planned()
    assert batch is not None
    session.add_decision(batch, {})
    session.close()
    with h5py.File(session.path, "r+") as file:
        file.attrs["format_version"] = 2
        for name in ("p_wrong", "competing", "misorientation_deg", "travel_px"):
            del file[f"requested/{name}"]
    read = load_session(session.path).requested
    assert read.travel_px is None
    assert read.competing is None
    np.testing.assert_array_equal(read.reason, batch.why.reason)


WRITER = """
import os, sys
from pathlib import Path
from grainloop.controller.decide.decider import Decider
from grainloop.controller.plans import Terms
from grainloop.controller.session.writer import SessionFile
from grainloop.protocols.plan import Budget, RunPlan
from tests.controller.fakes import block_of, capabilities, reconstruction

plan = RunPlan(budget=Budget(fraction=1.0), first_pass_most=1.0)
decider = Decider(Terms(plan, capabilities((60, 60), max_points_per_scan=2)), "run")
decider.begin(0.0)
session = SessionFile(Path(sys.argv[1]), decider.terms)
while (batch := decider.next_planned()) is not None:
    points = block_of(batch.request, 0.0)
    decider.ledger.receive(batch.request.batch, points)
    decider.ledger.close(batch.request.batch, None)
    session.add_decision(batch, {"round": 0})
    session.add_points(batch.request.batch, points)
    session.close_batch(batch.request.batch, len(points), len(points), None, None)
    if batch.request.batch + 1 == int(sys.argv[2]):
        print(len(decider.ledger.points), flush=True)
        os._exit(9)
    session.add_inferred("latest", reconstruction(decider.final_question(), (60, 60)), 1)
"""


@pytest.mark.parametrize("batches", [1, 7, 20])
def test_a_writer_that_dies_leaves_every_point_that_it_had_flushed(tmp_path: Path, batches: int) -> None:
    """It closes nothing. One that dies within a write may leave a file that only the journal can make again."""
    path = tmp_path / "session.h5"
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(path), str(batches)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    session = load_session(path)
    assert len(session.points) == int(done.stdout)
    assert session.points.point_id.tolist() == list(range(len(session.points)))
    assert session.finish_reason == ""
