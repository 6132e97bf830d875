"""Calibration on claims whose truth is drawn from a known law."""

from __future__ import annotations

import numpy as np
import pytest

from grainloop.model.estimate.calibration import (
    Calibration,
    CalibrationError,
    Claims,
    fit_correction,
    read_calibration,
)
from grainloop.model.estimate.scores import coverage
from grainloop.model.reconstruct.problem import Posterior, nothing_known

WRONG_BY_DEG = 40.0


def overconfident(seed: int, count: int = 60_000) -> Claims:
    """Pixels that are wrong twice as often as claimed, by about 40°, otherwise off by their scatter of 0.2 to 2°."""
    rng = np.random.default_rng(seed)
    claimed = rng.uniform(0, 0.45, count)
    wrong = rng.random(count) < 2 * claimed
    scatter = rng.uniform(0.2, 2.0, count)
    error = np.where(wrong, rng.normal(WRONG_BY_DEG, 5, count), np.abs(rng.normal(0, scatter, count)))
    return Claims(claimed, claimed * WRONG_BY_DEG, np.where(claimed > 0.1, 30.0, 0.0), scatter, error)


def posterior(claims: Claims, light_used: bool) -> Posterior:
    base = nothing_known((1, len(claims.error_deg)))
    columns = (claims.p_wrong, claims.expected_error_deg, claims.bound90_deg, claims.scatter_deg)
    p, error, bound, scatter = (np.asarray(v, np.float32)[None] for v in columns)
    return Posterior(base.orientation, error, p, base.boundary, base.grain, bound, scatter, light_used=light_used)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    correction = fit_correction(overconfident(1))
    return Calibration(correction, fit_correction(overconfident(2)))


def test_probabilities_and_errors_become_true_at_every_level(calibration: Calibration) -> None:
    seen = overconfident(3)
    found = calibration(posterior(seen, light_used=True))
    for low in (0.05, 0.15, 0.25, 0.35):
        level = (seen.p_wrong > low) & (seen.p_wrong < low + 0.1)
        assert found.p_wrong[0][level].mean() == pytest.approx((seen.error_deg[level] > 5).mean(), abs=0.03)
        assert found.expected_error_deg[0][level].mean() == pytest.approx(seen.error_deg[level].mean(), rel=0.1)


def test_the_bound_holds_for_nine_pixels_in_ten_at_every_level_of_doubt(calibration: Calibration) -> None:
    seen = overconfident(4)
    found = calibration(posterior(seen, light_used=False))
    assert found.bound90_deg is not None
    assert coverage(seen.error_deg, found.bound90_deg[0]) == pytest.approx(0.9, abs=0.01)
    for low in (0.0, 0.1, 0.2, 0.3):
        level = (seen.p_wrong >= low) & (seen.p_wrong < low + 0.1)
        assert coverage(seen.error_deg[level], found.bound90_deg[0][level]) == pytest.approx(0.9, abs=0.03)


def test_inside_grains_the_bound_holds_whatever_their_scatter(calibration: Calibration) -> None:
    seen = overconfident(6)
    found = calibration(posterior(seen, light_used=True)).bound90_deg
    assert found is not None
    sure = seen.p_wrong < 0.04
    for low in (0.2, 0.8, 1.4):
        level = sure & (seen.scatter_deg >= low) & (seen.scatter_deg < low + 0.6)
        assert coverage(seen.error_deg[level], found[0][level]) == pytest.approx(0.9, abs=0.03)


def test_a_calibration_of_another_scheme_is_refused(calibration: Calibration) -> None:
    with pytest.raises(CalibrationError, match="of scheme 1, not 2; ship the weights again"):
        read_calibration(calibration.to_json().replace('"scheme": 2', '"scheme": 1'))


def test_claims_never_fall_when_doubt_rises(calibration: Calibration) -> None:
    for curve in (calibration.with_light.p_wrong, calibration.with_light.expected_error):
        assert list(curve.x) == sorted(set(curve.x))
        assert list(curve.y) == sorted(curve.y)


def test_a_calibration_survives_its_text(calibration: Calibration) -> None:
    assert read_calibration(calibration.to_json()) == calibration


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"with_light": 1, "without_light": 2}', "null"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(CalibrationError, match="calibration of the weights cannot be read"):
        read_calibration(text)


def test_too_few_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 pixels or more, not 10"):
        fit_correction(overconfident(5, count=10))
