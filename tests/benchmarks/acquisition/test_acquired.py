"""What the page on acquisition makes of rows: points needed, changes against a grid, and rows that are kept."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.acquisition import policies as acquisition
from benchmarks.acquisition.acquired.against_grid import violations
from benchmarks.acquisition.acquired.needed import least, points, ratio
from benchmarks.acquisition.acquired.numbers import change, chosen, curve, mean, reached_at
from benchmarks.acquisition.page import page
from benchmarks.acquisition.policies import PARTS, REAL, STATIC, Case, keep, load
from grainloop.model.acquire import DEFAULT_POLICY


def row(policy: str, budget: float, wrong: float, seed: int = 0, specimen: str = "ti64", **more: Any) -> dict[str, Any]:
    held = {"specimen": specimen, "seed": seed, "policy": policy, "budget": budget, "edge_px": 0, **more}
    return held | {"error_over_5deg": wrong, "points_measured": 40_000 * budget, "instrument_s": 36 + 900 * budget}


@given(
    st.floats(1, 1e3),
    st.floats(1.1, 10),
    st.floats(0.02, 0.5),
    st.floats(0.1, 0.9),
    st.floats(0.01, 0.99),
)
def test_points_for_an_error_are_read_off_a_power_law(
    first: float, factor: float, high: float, fall: float, share: float
) -> None:
    held = [(first, high), (first * factor, high * fall), (first * factor**2, high * fall**2)]
    error = high * fall ** (2 * share)
    found = reached_at(held, error)
    assert found == pytest.approx(first * factor ** (2 * share), rel=1e-6)
    assert reached_at(held, 0.9 * high * fall**2) is None
    assert reached_at(held, 2 * high) == first


def test_of_several_curves_the_first_one_there_counts_and_none_gives_a_bound() -> None:
    slow, quick = [(100.0, 0.4), (400.0, 0.1)], [(100.0, 0.2), (200.0, 0.1)]
    assert least([slow, quick], 0.1) == (pytest.approx(200.0), True)
    assert (points((200.0, True)), ratio((200.0, True), 100.0)) == ("200", "2.0")
    assert least([slow, quick, []], 0.05) == (400.0, False)
    assert (points((400.0, False)), ratio((400.0, False), 100.0)) == ("> 400", "> 4.0")
    assert ratio((400.0, False), 500.0) == "–"
    assert points(least([[]], 0.1)) == "–"


def test_changes_are_over_pairs_of_one_seed_and_specimen() -> None:
    grid = [row(STATIC, 0.05, wrong, seed) for seed, wrong in enumerate((0.10, 0.20, 0.30))]
    ours = [row(DEFAULT_POLICY, 0.05, wrong, seed) for seed, wrong in ((2, 0.15), (0, 0.05), (7, 0.9))]
    found = change(ours, grid)
    assert found is not None
    assert (found.count, found.value) == (2, pytest.approx((0.05 + 0.15) / (0.10 + 0.30) - 1))
    assert found.se == pytest.approx(math.sqrt(0.005) / math.sqrt(2) / 0.2)
    assert change(ours[2:], grid) is None
    alone = change(ours[:1], grid)
    assert alone is not None
    assert math.isnan(alone.se)


def test_only_runs_that_differ_in_nothing_else_are_chosen() -> None:
    rows = [row(STATIC, 0.05, 0.1), row(STATIC, 0.05, 0.2, pl="none"), row(STATIC, 0.05, 0.3, method="nn")]
    assert [one["error_over_5deg"] for one in chosen(rows, policy=STATIC)] == [0.1]
    assert [one["error_over_5deg"] for one in chosen(rows, pl="none")] == [0.2]
    assert len(chosen(rows, pl=None, method=None)) == 3
    assert mean(chosen(rows, policy="random")) is None
    assert curve([row(STATIC, 0.1, 0.2), row(STATIC, 0.05, 0.3), row(STATIC, 0.1, 0.1)]) == [
        (2000, 0.3),
        (4000, pytest.approx(0.15)),
    ]


def test_what_is_worse_than_the_grid_is_listed() -> None:
    grid = [row(STATIC, b, 0.2, seed) for b in (0.01, 0.05) for seed in range(2)]
    ours = [row(DEFAULT_POLICY, b, wrong, s) for b, wrong in ((0.01, 0.21), (0.05, 0.1)) for s in range(2)]
    told = violations(grid + ours)
    assert "Of 2 comparisons 1 is worse" in told
    assert "1 %: +5.0 ± 0.0 % (2 pairs)" in told


def test_a_page_is_made_of_a_few_rows() -> None:
    places = product(REAL, (0.03, 0.1), ((STATIC, 0.3), (DEFAULT_POLICY, 0.2)))
    rows = [row(policy, b, wrong / (1 + 20 * b), specimen=name) for name, b, (policy, wrong) in places]
    text = page(rows)
    assert "| Ti-6Al-4V (macrozones) | 3 % | 12.50 (1) | ≤ 23 | met |" in text
    assert "-33" in text


def test_rows_are_kept_for_one_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquisition, "RESULTS", tmp_path / "rows.json")
    monkeypatch.setattr(acquisition, "gate_sha256", lambda: {"6/mmm": "one", "m-3m": "any"})
    keep("first", {"seed": 0})
    keep("second", {"seed": 1})
    assert load()["rows"] == {"first": {"seed": 0}, "second": {"seed": 1}}
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]
    monkeypatch.setattr(acquisition, "gate_sha256", lambda: {"6/mmm": "one", "m-3m": "other"})
    assert len(load()["rows"]) == 2
    monkeypatch.setattr(acquisition, "gate_sha256", lambda: {"6/mmm": "other"})
    assert load()["rows"] == {}


def test_every_case_has_a_key_of_its_own() -> None:
    cases = {case for part in PARTS.values() for seed in range(2) for case in part(seed)}
    assert len({case.key for case in cases}) == len(cases)
    assert Case("ti64", 0, STATIC, 0.05).key == "ti64 | 0 | static grid | 0.05 | 0 | simulate | False | 1 | 0"
