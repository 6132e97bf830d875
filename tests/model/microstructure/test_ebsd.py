"""EBSD scans: the levels that were asked for, and nothing indexed where there is nothing to index."""

from dataclasses import fields, replace

import numpy as np
import pytest

from grainloop.model.crystal import disorientation_deg
from grainloop.model.microstructure import RECIPES, EbsdNuisances, Specimen, make_specimen, measure
from grainloop.model.microstructure.ebsd import PSEUDO_SYMMETRY, label_boundary

NONE = EbsdNuisances(**{f.name: (0.0, 0.0) for f in fields(EbsdNuisances)})
NONE = replace(NONE, noise_deg=(1e-4, 1e-4), wrong_boundary=(1.0, 1.0))


@pytest.fixture(scope="module")
def specimen() -> Specimen:
    return make_specimen(np.random.default_rng(3), (128, 128), RECIPES["equiaxed"])


def scan_errors(specimen: Specimen, nuisances: EbsdNuisances) -> tuple[np.ndarray, np.ndarray]:
    scan = measure(np.random.default_rng(1), specimen, nuisances)
    return np.asarray(disorientation_deg(scan.orientation, specimen.orientation, specimen.point_group)), scan.indexed


def test_a_perfect_scan_is_the_truth(specimen: Specimen) -> None:
    error, indexed = scan_errors(specimen, NONE)
    assert np.array_equal(indexed, specimen.valid)
    assert error[indexed].max() < 0.06


@pytest.mark.parametrize("noise_deg", [0.1, 0.5, 1.5])
def test_noise_has_the_rms_asked_for(specimen: Specimen, noise_deg: float) -> None:
    error, indexed = scan_errors(specimen, replace(NONE, noise_deg=(noise_deg, noise_deg)))
    assert np.sqrt(np.mean(error[indexed] ** 2)) == pytest.approx(noise_deg, rel=0.03)


def test_wrong_solutions_have_their_share_and_crowd_at_boundaries(specimen: Specimen) -> None:
    error, indexed = scan_errors(specimen, replace(NONE, misindexed=(0.05, 0.05), wrong_boundary=(4.0, 4.0)))
    boundary = label_boundary(specimen.label)
    assert np.mean(error[indexed & ~boundary] > 5) == pytest.approx(0.05, abs=0.01)
    assert np.mean(error[indexed & boundary] > 5) == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("group", ["6/mmm", "m-3m"])
def test_pseudo_symmetric_solutions_are_one_known_turn_away(group: str) -> None:
    specimen = make_specimen(np.random.default_rng(4), (64, 64), RECIPES["equiaxed"], group)
    error, indexed = scan_errors(specimen, replace(NONE, pseudo_symmetric=(0.3, 0.3), wrong_boundary=(1.0, 1.0)))
    turned = error[indexed & (error > 1)]
    known = np.asarray(disorientation_deg(PSEUDO_SYMMETRY[group], np.array([1.0, 0, 0, 0]), group))
    assert np.mean(error[indexed] > 1) == pytest.approx(0.3, abs=0.03)
    assert np.min(np.abs(turned[:, None] - known), axis=1).max() < 0.1


def test_jitter_mixes_orientations_across_boundaries_only(specimen: Specimen) -> None:
    error, indexed = scan_errors(specimen, replace(NONE, jitter_px=(0.5, 0.5)))
    wrong = indexed & (error > 5)
    distant = ~label_boundary(specimen.label)
    assert wrong.sum() > 20
    assert np.mean(distant[wrong]) < 0.2


def test_lost_patterns_and_invalid_pixels_are_not_indexed() -> None:
    recipe = RECIPES["lath"]
    specimen = make_specimen(np.random.default_rng(6), (128, 128), recipe)
    scan = measure(np.random.default_rng(1), specimen, replace(NONE, not_indexed=(0.2, 0.2)))
    assert not np.any(scan.indexed & ~specimen.valid)
    assert np.mean(scan.indexed[specimen.valid]) == pytest.approx(0.8, abs=0.02)
    assert np.array_equal(
        scan.orientation[~scan.indexed], np.tile(np.float32([1, 0, 0, 0]), ((~scan.indexed).sum(), 1))
    )


def test_scans_are_deterministic_and_stay_unit(specimen: Specimen) -> None:
    first, again = (measure(np.random.default_rng(7), specimen) for _ in range(2))
    assert np.array_equal(first.orientation, again.orientation)
    assert np.array_equal(first.indexed, again.indexed)
    assert np.abs(np.linalg.norm(first.orientation, axis=-1) - 1).max() < 1e-5
