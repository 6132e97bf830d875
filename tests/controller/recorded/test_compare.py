"""The first decision that differs where runs correct drifts, and where journals have lost records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grainloop.cli import main
from grainloop.controller.journal.entries import Corrected, Decided, EventTold, LightStored, Missing, PointsStored
from grainloop.controller.journal.reading import read_journal
from grainloop.controller.record.recording import JOURNAL_NAME
from grainloop.controller.recorded.compare import compare
from tests.controller.record.test_mending import damaged, records
from tests.controller.run.test_correcting import PLAN, carry_out

Entries = tuple[Any, ...]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose drift was corrected in the middle."""
    at = tmp_path_factory.mktemp("corrected")
    carry_out(at)
    return at


@pytest.fixture(scope="module")
def told_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, but that its plan wants no correction."""
    at = tmp_path_factory.mktemp("told")
    carry_out(at, PLAN.model_copy(update={"correct_drift": False}))
    return at


@pytest.fixture(scope="module")
def whole(folder: Path) -> Entries:
    return read_journal(folder / JOURNAL_NAME).entries


def place(entries: Entries, wanted: Callable[[Any], bool], after: int = -1) -> int:
    return next(n for n, entry in enumerate(entries) if n > after and wanted(entry))


def is_a(kind: type) -> Callable[[Any], bool]:
    return lambda entry: isinstance(entry, kind)


def decided_before(entries: Entries, end: int) -> int:
    return sum(isinstance(entry, Decided) for entry in entries[:end])


def lacking(entries: Entries, first: int, last: int | None = None) -> Entries:
    """The entries with a gap in the place of some."""
    last = first if last is None else last
    return (*entries[:first], Missing(first, last), *entries[last + 1 :])


def changed(entries: Entries, at: int, **fields: Any) -> Entries:
    return (*entries[:at], entries[at].model_copy(update=fields), *entries[at + 1 :])


def test_a_run_that_corrects_no_drift_differs_in_that(
    folder: Path, told_only: Path, whole: Entries, capsys: pytest.CaptureFixture[str]
) -> None:
    at = place(whole, is_a(Corrected))
    found, number = whole[at], decided_before(whole, at)
    assert main(["diff", str(folder), str(told_only)]) == 3
    out = capsys.readouterr().out
    assert out.startswith(
        f"The correction of a drift before decision {number} is the first that differs; the first run corrected points "
        f"from {found.from_point} on 3 px down and 2 px left, aimed by that from point {found.aimed_from} on, the "
        "second none.\n"
    )
    assert "The plans differ in correct_drift." in out
    assert f"The first run found it by {found.points} points, {found.clear:.1f} standard errors clear." in out
    assert main(["diff", str(told_only), str(folder), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["decision"], told["lost"]) == (number, [])
    assert told["field"].startswith("the first run corrected none, the second points from")


@pytest.mark.parametrize("field", ["rows_px", "columns_px", "from_point", "aimed_from"])
def test_every_part_of_a_correction_counts(whole: Entries, field: str) -> None:
    at = place(whole, is_a(Corrected))
    other = changed(whole, at, **{field: getattr(whole[at], field) + 1})
    apart = compare(whole, other)
    assert apart.decision == decided_before(whole, at)
    assert apart.words.startswith("The correction of a drift before decision")
    assert other[at].correction.words in apart.field


def test_the_evidence_of_a_correction_decides_nothing(whole: Entries) -> None:
    at = place(whole, is_a(Corrected))
    assert compare(whole, changed(whole, at, clear=4.0, points=111)).words == "All decisions are the same."


def test_orientations_that_differ_are_a_reason(whole: Entries) -> None:
    at, stored = place(whole, is_a(Corrected)), place(whole, is_a(PointsStored))
    points = whole[stored].points
    turned = changed(whole, stored, points=points.model_copy(update={"orientation": -points.orientation}))
    assert "The orientations measured before it differ." in compare(whole, changed(turned, at, rows_px=1)).why


def test_a_correction_behind_the_last_decision_is_compared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.controller.run.test_correcting.BEFORE", 1100)
    carry_out(tmp_path)
    late = read_journal(tmp_path / JOURNAL_NAME).entries
    at = place(late, is_a(Corrected))
    apart = compare(late, (*late[:at], *late[at + 1 :]))
    assert apart.decision == decided_before(late, len(late))
    assert apart.words.startswith("The correction of a drift behind the last decision is the first that differs;")
    assert compare(late, lacking(late, at)).lost == (
        f"The correction of a drift behind the last decision cannot be compared: record {at} of the second run is "
        "lost.",
    )


def test_a_lost_correction_is_not_said_to_differ(
    folder: Path, whole: Entries, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = place(whole, is_a(Corrected))
    damaged(folder, tmp_path / "run", [records(folder)[at][0]])
    for one, other, name in ((folder, tmp_path / "run", "second"), (tmp_path / "run", folder, "first")):
        assert main(["diff", str(one), str(other)]) == 1
        out, err = capsys.readouterr()
        assert out == (
            "All decisions that both journals hold are the same.\n"
            f"  The correction of a drift before decision {decided_before(whole, at)} cannot be compared: record {at} "
            f"of the {name} run is lost.\n"
        )
        assert "is damaged from byte" in err


def test_a_lost_decision_is_not_said_to_differ(whole: Entries) -> None:
    at = place(whole, is_a(Decided), after=place(whole, is_a(Corrected)))
    number = decided_before(whole, at)
    apart = compare(lacking(whole, at), whole)
    assert (apart.decision, apart.lost) == (
        None,
        (f"Decision {number} cannot be compared: record {at} of the first run is lost.",),
    )
    apart = compare(lacking(whole, at), lacking(whole, at))
    assert apart.lost == (
        f"Decision {number} cannot be compared: record {at} of the first run is lost and record {at} of the second run "
        "is lost.",
    )


def test_a_lost_event_leaves_all_decisions_comparable(whole: Entries) -> None:
    apart = compare(whole, lacking(whole, place(whole, is_a(EventTold))))
    assert (apart.words, apart.lost) == ("All decisions are the same.", ())


def test_a_difference_behind_lost_records_is_a_difference(whole: Entries) -> None:
    corrected = place(whole, is_a(Corrected))
    at = place(whole, is_a(Decided), after=corrected)
    other = lacking(changed(whole, at, decided_by="somebody"), corrected)
    apart = compare(whole, other)
    assert apart.decision == decided_before(whole, at)
    assert apart.words.startswith(
        f"Decision {apart.decision} is the first of those that both journals hold that differs;"
    )
    assert len(apart.lost) == 1
    fewer = lacking(changed(whole, at, decided_by="somebody"), place(whole, is_a(PointsStored)))
    assert compare(whole, fewer).why[-1].startswith("Some of this may only seem so, since record")


def test_a_run_whose_end_is_cut_off_ends(whole: Entries) -> None:
    last = max(n for n, entry in enumerate(whole) if isinstance(entry, Decided))
    apart = compare(whole[:last], whole)
    assert apart.decision == decided_before(whole, last)
    assert "the first run ends, the other goes on with batch" in apart.field


def test_pl_that_was_lost_is_not_said_to_differ(folder: Path, whole: Entries) -> None:
    at = place(whole, is_a(LightStored))
    for pair in ((whole, lacking(whole, at)), (lacking(whole, at), whole)):
        assert "The PL images differ." not in compare(*pair).why
        assert compare(*pair).words == "All decisions are the same."
    images = whole[at].light.images + np.float32(0.25)
    other = changed(whole, at, light=whole[at].light.model_copy(update={"images": images}))
    assert "The PL images differ." in compare(whole, other).why
    assert "The PL images differ." in compare(whole, (*whole[:at], *whole[at + 1 :])).why


def test_damage_is_told_as_json_too(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged(folder, tmp_path / "run", [records(folder)[-3][0]])
    main(["diff", str(folder), str(tmp_path / "run"), "--json"])
    (one, *_) = json.loads(capsys.readouterr().out)["damage"]
    assert str(tmp_path / "run") in one
