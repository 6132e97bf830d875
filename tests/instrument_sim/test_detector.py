"""The EBSD detector: noise and lost points as stated, whatever the order of the points."""

import numpy as np
import pytest
from scipy import stats

from grainloop.instrument_sim.config import DetectorConfig, DriftConfig
from grainloop.instrument_sim.detector import PSEUDO_SYMMETRY, Drift, measure
from grainloop.instrument_sim.section import Section
from grainloop.model.crystal import disorientation_deg, quaternion_from_axis_angle
from grainloop.protocols.values import PointStatus
from tests.instrument_sim.conftest import all_pixels, blocks_map

SHAPE = (200, 250)


@pytest.fixture(scope="module")
def section():
    return Section.mount(blocks_map(edge=50))


def one(section, config, seed=4, exposure=0, drift=(0.0, 0.0), relative_dwell=1.0, pixels=None):
    pixels = all_pixels(section.truth.shape_px) if pixels is None else pixels
    count = np.full(len(pixels), exposure, np.int64)
    return measure(section, pixels, count, np.tile(drift, (len(pixels), 1)), relative_dwell, config, seed)


def only(**settings):
    return DetectorConfig.none().model_copy(update=settings)


def errors(section, found, group="6/mmm"):
    indexed = found.status == PointStatus.INDEXED
    truth = section.truth.orientation.reshape(-1, 4)
    return disorientation_deg(found.orientation[indexed].astype(float), truth[indexed].astype(float), group)


def test_perfect_detector_returns_the_truth(section):
    found = one(section, DetectorConfig.none())
    assert np.all(found.status == PointStatus.INDEXED)
    assert np.all(found.phase_id == 1)
    np.testing.assert_allclose(found.orientation, section.truth.orientation.reshape(-1, 4), atol=1e-6)


@pytest.mark.parametrize(("relative_dwell", "expected"), [(1.0, 0.3), (4.0, 0.15)])
def test_noise_is_isotropic_with_the_stated_rms_angle(section, relative_dwell, expected):
    angle = errors(section, one(section, only(noise_deg=0.3), relative_dwell=relative_dwell))
    assert np.sqrt(np.mean(angle**2)) == pytest.approx(expected, rel=0.02)
    maxwell = stats.maxwell(scale=expected / np.sqrt(3))
    assert stats.kstest(angle[:5000], maxwell.cdf).pvalue > 1e-4


def test_results_do_not_depend_on_the_order_of_the_points(section):
    pixels = all_pixels(SHAPE)
    order = np.random.default_rng(0).permutation(len(pixels))
    straight, shuffled = one(section, DetectorConfig()), one(section, DetectorConfig(), pixels=pixels[order])
    for name, column in straight.__dict__.items():
        np.testing.assert_array_equal(getattr(shuffled, name), column[order], err_msg=name)


def test_another_exposure_or_seed_gives_other_noise(section):
    first = one(section, DetectorConfig())
    assert np.array_equal(first.orientation, one(section, DetectorConfig()).orientation)
    for other in (one(section, DetectorConfig(), exposure=1), one(section, DetectorConfig(), seed=5)):
        assert np.mean(np.all(other.orientation == first.orientation, axis=1)) < 0.01


def test_points_are_lost_mostly_beside_boundaries(section):
    found = one(section, only(lost_share=0.002, lost_at_boundary=0.15))
    lost = found.status == PointStatus.NOT_INDEXED
    distance = section.boundary_distance_px.ravel()
    assert np.mean(lost[distance == 0.5]) == pytest.approx(0.152, abs=0.025)
    assert np.mean(lost[(distance > 1) & (distance < 2)]) == pytest.approx(0.002 + 0.15 * np.exp(-2), abs=0.012)
    assert np.mean(lost[distance > 4]) == pytest.approx(0.002, abs=0.0015)
    assert np.all(found.phase_id[lost] == 0)
    assert np.all(found.orientation[lost] == (1, 0, 0, 0))
    assert np.all(found.confidence[lost] == 0)


def test_beside_a_boundary_the_neighbour_wins_now_and_then(section):
    found = one(section, only(spot_px=0.25))
    wrong = errors(section, found) > 5
    distance = section.boundary_distance_px.ravel()
    assert np.mean(wrong[distance == 0.5]) == pytest.approx(stats.norm.sf(0.5 / 0.25), rel=0.35)
    assert not wrong[distance > 2].any()


def test_share_and_kind_of_misindexing(section):
    arbitrary = errors(section, one(section, only(random_share=0.02)))
    assert np.mean(arbitrary > 0.01) == pytest.approx(0.02, rel=0.1)
    assert arbitrary.max() > 80
    pseudo = errors(section, one(section, only(pseudo_share=0.02)))
    assert np.mean(pseudo > 0.01) == pytest.approx(0.02, rel=0.1)
    np.testing.assert_allclose(pseudo[pseudo > 0.01], 30.0, atol=1e-3)


@pytest.mark.parametrize("group", PSEUDO_SYMMETRY)
def test_pseudo_symmetry_is_no_symmetry(group):
    axis, angle = PSEUDO_SYMMETRY[group]
    turn = quaternion_from_axis_angle(np.array(axis), np.array(np.deg2rad(angle)))
    assert disorientation_deg(turn, np.array([1.0, 0, 0, 0]), group) > 25


def test_confidence_falls_and_fit_grows_with_the_error(section):
    found = one(section, DetectorConfig(random_share=0.02))
    indexed = found.status == PointStatus.INDEXED
    angle = errors(section, found)
    bad = angle > 5
    assert found.confidence[indexed][bad].mean() < 0.8 * found.confidence[indexed][~bad].mean()
    assert found.fit_deg[indexed][bad].mean() > 1.3 * found.fit_deg[indexed][~bad].mean()
    assert stats.spearmanr(found.confidence[indexed], angle).statistic < -0.3
    assert stats.spearmanr(found.fit_deg[indexed], angle).statistic > 0.3
    assert 0 < found.confidence[indexed].min() <= found.confidence.max() <= 1


def test_holes_of_the_specimen_are_never_indexed():
    truth = blocks_map()
    phase_id = truth.phase_id.copy()
    phase_id[5:9, 5:9] = 0
    holed = Section.mount(type(truth)(**{**truth.__dict__, "phase_id": phase_id}))
    found = one(holed, DetectorConfig.none())
    lost = (found.status == PointStatus.NOT_INDEXED).reshape(truth.shape_px)
    assert np.array_equal(lost, phase_id == 0)
    assert np.all(holed.boundary_distance_px[4:10, 5:9][[0, 1, -2, -1]] == 0.5)
    assert np.all(holed.grains.phase_id == 1)


def test_drift_moves_the_beam_but_not_the_reported_place(section):
    config = DetectorConfig.none()
    found = one(section, config, drift=(0.0, 3.0))
    image = found.orientation.reshape(*SHAPE, 4)
    np.testing.assert_allclose(image[:, :-3], section.truth.orientation[:, 3:], atol=1e-6)


def test_drift_path_is_linear_plus_a_random_walk_in_instrument_time():
    hours = np.arange(0.0, 5.0) * 3600
    steady = Drift(DriftConfig(rate_px_per_hour=2.0, walk_px_per_root_hour=0.0), 3).at(hours)
    np.testing.assert_allclose(np.linalg.norm(steady, axis=1), 2.0 * hours / 3600)
    walks = [
        Drift(DriftConfig(rate_px_per_hour=0.0), seed).at(np.array([0.0, 3600.0, 4 * 3600.0])) for seed in range(300)
    ]
    rms = np.sqrt((np.array(walks) ** 2).sum(-1).mean(0))
    np.testing.assert_allclose(rms, [0.0, 0.3, 0.6], rtol=0.12)
    np.testing.assert_array_equal(Drift(DriftConfig.none(), 1).at(hours), 0)
