"""`grainloop plan` as a command: what it says, what it refuses, and how it keeps the speed of the model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from grainloop.cli import main
from grainloop.cli.plan import speed
from grainloop.cli.plan.command import load_materials
from grainloop.cli.plan.speed import Calibration, calibrate, calibration_file, load
from grainloop.model.diffusion.training.processes import available_cores
from grainloop.model.service.methods import shipped_weights
from grainloop.protocols.sentences import duration
from grainloop.protocols.version import grainloop_version
from tests.grainloop.cli.commands import refused, told

KNOWN = Calibration(
    "2026-01-02", grainloop_version(), dict(shipped_weights()), available_cores(), ((9216, 0.2), (40_000, 0.6))
)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A speed of the model that is known already, where the command looks for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    path = calibration_file()
    path.parent.mkdir()
    path.write_text(json.dumps(asdict(KNOWN)), encoding="utf-8")
    return path


# --- what it says ----------------------------------------------------------------------------------------------------
def verdicts(found):
    return [one for material in found["materials"].values() for one in material["verdicts"]]


def test_it_pays_with_slow_points_and_not_with_fast_ones(capsys):
    slow, fast = (verdicts(told(capsys, "plan", "--dwell", d, "--wrong", "0.1")) for d in ("0.1", "0.00002"))
    assert all(one["pays"] and one["times_quicker_than_full"] > 1 for one in slow)
    assert not any(one["pays"] for one in fast)
    assert all("does not pay" in one["sentence"] for one in fast)
    assert all(2e-5 < one["break_even_dwell_s"] < 0.1 for one in slow)


def test_the_json_says_what_it_follows_from(capsys):
    found = told(capsys, "plan", "--rows", "300", "--columns", "500", "--grain", "8", "--step", "0.5")
    assert found["map"] == {"rows": 300, "columns": 500, "step_um": 0.5}
    assert found["model"]["measured"] == "2026-01-02"
    assert found["model"]["decision_s"] == pytest.approx(0.2 + 0.4 * (150_000 - 9216) / 30_784, rel=1e-6)
    assert found["instrument"]["dwell_s"] == 0.02
    assert found["grain_px"] == pytest.approx(201.06, rel=1e-3)
    assert set(found["materials"]) == {"ti64", "mg-twins"}
    assert "benchmarks" in found["curves"]


def test_a_plan_is_told_what_it_comes_to(capsys, tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text("dwell_s = 0.05\nbatches = 4\n[budget]\nfraction = 0.1\n")
    found = told(capsys, "plan", "--plan", str(plan))
    assert found["instrument"]["dwell_s"] == 0.05
    assert found["batches"] == 4
    assert found["plan"]["points"] == 16_000
    assert 0 < found["plan"]["error_over_5deg"]["mg-twins"] < found["plan"]["error_over_5deg"]["ti64"] < 0.3
    assert told(capsys, "plan", "--plan", str(plan), "--instrument", "queue")["plan"] is None


def test_a_queue_of_maps_is_advised_one_coarse_raster(capsys):
    assert main(["plan", "--instrument", "queue"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "takes no free points" in out
    assert "docs/results/shapes.md" in out
    assert "No adaptive run" not in out


def test_an_instrument_of_your_own(capsys, tmp_path):
    own = tmp_path / "sem.toml"
    own.write_text('[timing]\nsettle_s = 0.5\n[shapes]\naccepted = ["points", "rectangles"]\n')
    found = told(capsys, "plan", "--instrument", str(own), "--wrong", "0.05")
    assert found["instrument"]["timing"]["settle_s"] == 0.5
    assert found["instrument"]["name"] == "sem.toml"


def test_in_words(capsys):
    assert main(["plan", "--wrong", "0.1,0.001"]) == 0
    out = capsys.readouterr().out
    assert "400 × 400 px" in out
    assert "measured 2026-01-02" in out
    assert "times quicker" in out
    assert "No adaptive run that leaves so little was measured" in " ".join(out.split())


@pytest.mark.parametrize(
    ("seconds", "words"), [(7200, "2 h"), (7199, "120 min"), (61, "61 s"), (0.02, "20 ms"), (2e-5, "20 µs")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


# --- what it refuses -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "1"], "--rows 1 cannot be used: give a whole number from 2"),
        (["--step", "0"], "--step 0 cannot be used: give µm above 0"),
        (["--dwell", "-1"], "--dwell -1 cannot be used: give seconds above 0"),
        (["--grain", "nan"], "--grain nan cannot be used"),
        (["--pl-seconds", "-3"], "--pl-seconds -3 cannot be used"),
        (["--wrong", "5"], "--wrong 5 cannot be used: give shares of the pixels between 0 and 1"),
        (["--wrong", "few"], "--wrong few cannot be used"),
        (["--instrument", "toaster"], "There is no instrument 'toaster': give external, queue, or a TOML file"),
        (["--plan", "nowhere.toml"], "The plan nowhere.toml cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(arguments, words, capsys):
    assert words in refused(capsys, "plan", *arguments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("settle", "is not valid TOML"),
        ("[timing]\nsettle_s = -1\n", "timing.settle_s = -1 cannot be used"),
        ("[timing]\ncoffee_s = 1\n", "timing.coffee_s = 1 cannot be used"),
        ('[shapes]\naccepted = ["spirals"]\n', "shapes.accepted.0 = 'spirals' cannot be used"),
    ],
)
def test_a_bad_instrument_file_is_one_sentence(text, words, capsys, tmp_path):
    own = tmp_path / "sem.toml"
    own.write_text(text)
    assert words in refused(capsys, "plan", "--instrument", str(own))


# --- the speed of the model ------------------------------------------------------------------------------------------
def test_a_known_speed_is_not_measured_again(kept, monkeypatch):
    monkeypatch.setattr(speed, "measure_speed", lambda: pytest.fail("measured"))
    assert calibrate(kept) == KNOWN


@pytest.mark.parametrize("change", [{"grainloop": "0.0.1"}, {"threads": 99}, {"weights": {}}])
def test_the_speed_of_another_program_is_measured_again(change, kept, monkeypatch):
    kept.write_text(json.dumps(asdict(replace(KNOWN, **change))), encoding="utf-8")
    fresh = replace(KNOWN, measured="2026-03-04")
    monkeypatch.setattr(speed, "measure_speed", lambda: fresh)
    assert calibrate(kept) == fresh
    assert load(kept) == fresh
    assert calibrate(kept, anew=True) == fresh


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"decisions": []}', '{"decisions": [[1, "x"]]}', "null"])
def test_a_damaged_file_is_no_speed(text, kept):
    kept.write_text(text, encoding="utf-8")
    assert load(kept) is None


def test_where_nothing_can_be_kept_it_still_answers(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "measure_speed", lambda: KNOWN)
    (tmp_path / "a file").write_text("")
    assert calibrate(tmp_path / "a file" / "speed.json") == KNOWN


def test_measuring_takes_the_steps_of_a_decision(monkeypatch):
    monkeypatch.setattr(speed, "EDGES_PX", (24, 40))
    found = speed.measure_speed()
    assert [pixels for pixels, _ in found.decisions] == [576, 1600]
    assert all(0 < seconds < 600 for _, seconds in found.decisions)
    assert replace(found, disturbed=False).still_holds()  # whatever else this computer does


# --- the curves that ship --------------------------------------------------------------------------------------------
def test_shipped_curves_are_curves():
    source, materials = load_materials()
    assert source["source"].startswith("python -m benchmarks")
    for material in materials:
        for curve in (material.raster_nearest, material.raster_model, material.adaptive):
            shares = [share for share, _ in curve]
            assert shares == sorted(shares)
            assert all(0 < wrong < 1 for _, wrong in curve)
            assert curve[0][1] > curve[-1][1]
        assert material.grain_px > 1


def test_a_speed_measured_on_a_busy_computer_is_told_and_measured_again(kept, monkeypatch, capsys):
    assert "kept this computer busy" not in spoken(capsys)
    busy = replace(KNOWN, disturbed=True)
    kept.write_text(json.dumps(asdict(busy)), encoding="utf-8")
    measured = iter([busy, KNOWN])
    monkeypatch.setattr(speed, "measure_speed", lambda: next(measured))
    assert "while other things kept this computer busy: the next plan measures again" in spoken(capsys)
    assert "kept this computer busy" not in spoken(capsys)
    assert load(kept) == KNOWN
    assert next(measured, None) is None


def spoken(capsys):
    assert main(["plan"]) == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("seconds", "ticks", "disturbed"),
    [((1, 1.2, 1.1), (0, 10), False), ((1, 1.6, 1), (0, 10), True), ((1, 1, 1), (500, 510), True)],
)
def test_a_computer_is_busy_where_decisions_differ_or_others_work(monkeypatch, seconds, ticks, disturbed):
    now = iter([(0.0, 0.0), (float(ticks[0]), 1000.0)])
    monkeypatch.setattr(speed, "_ticks", lambda: next(now))
    monkeypatch.setattr(speed, "_decisions_s", lambda _truth: list(seconds))
    monkeypatch.setattr(speed.time, "process_time", lambda: 0.0)
    found = speed.measure_speed()
    assert found.disturbed is disturbed
    assert [taken for _, taken in found.decisions] == [1, 1]
    assert found.still_holds() is not disturbed
