"""The simulated instrument as a driver: declaration, blocks, repeatability, limits."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from grainloop.instrument_sim.camera import LightNuisances
from grainloop.instrument_sim.config import DetectorConfig, DriftConfig, SimConfig
from grainloop.instrument_sim.driver import SimulatedInstrument, repeats
from grainloop.model.crystal import disorientation_deg
from grainloop.model.crystal.frames import to_euler_frame, to_map_frame
from grainloop.protocols.capabilities import ScanTiming
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.errors import OutOfLimits
from grainloop.protocols.values import FramePreset, LightKind, PointBlock, PointStatus
from tests.instrument_sim.conftest import all_pixels, blocks_map, scan_request
from tests.patience import HANG_S

ANGLES = tuple(float(a) for a in range(0, 180, 10))
PERFECT = SimConfig(detector=DetectorConfig.none(), drift=DriftConfig.none(), nuisances=LightNuisances.none())


def scanned(driver, positions, **fields):
    return PointBlock.concatenate(list(driver.scan(scan_request(positions, **fields))))


def test_declares_itself_as_simulated_with_the_grid_and_phase_of_the_specimen(titanium):
    driver: InstrumentDriver = SimulatedInstrument(titanium)
    declared = driver.capabilities
    assert declared.simulated
    assert declared.grid.shape_px == titanium.shape_px
    assert declared.grid.step_um == 0.5
    assert declared.phases[0].point_group == "6/mmm"
    assert declared.light is not None
    assert declared.light.shape_px == titanium.shape_px


def test_perfect_instrument_measures_the_truth_in_the_order_asked(titanium):
    positions = np.random.default_rng(0).permutation(all_pixels(titanium.shape_px))
    points = scanned(SimulatedInstrument(titanium, PERFECT), positions)
    np.testing.assert_array_equal(points.position_px, positions)
    np.testing.assert_array_equal(points.point_id, np.arange(1, len(positions) + 1))
    truth = titanium.orientation[tuple(positions.T)]
    assert disorientation_deg(points.orientation, truth, "6/mmm").max() < 0.05
    assert points.indexed.all()


def test_blocks_hold_at_most_the_configured_number_of_points(titanium):
    driver = SimulatedInstrument(titanium, SimConfig(block_points=64))
    sizes = [len(block) for block in driver.scan(scan_request(all_pixels(titanium.shape_px)[:200]))]
    assert sizes == [64, 64, 64, 8]


def test_same_seed_same_measurements_whatever_the_batches_and_their_order(titanium):
    config = SimConfig(drift=DriftConfig.none())
    pixels = all_pixels(titanium.shape_px)
    order = np.random.default_rng(1).permutation(len(pixels))
    whole = scanned(SimulatedInstrument(titanium, config, seed=9), pixels)
    other = SimulatedInstrument(titanium, config, seed=9)
    parts = PointBlock.concatenate([scanned(other, part) for part in np.array_split(pixels[order], 7)])
    for name in ("status", "phase_id", "orientation", "confidence", "fit_deg"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name)[order], err_msg=name)
    assert not np.array_equal(
        scanned(SimulatedInstrument(titanium, config, seed=8), pixels).orientation, whole.orientation
    )


def test_every_exposure_of_a_place_has_noise_of_its_own(titanium):
    driver = SimulatedInstrument(titanium, SimConfig(drift=DriftConfig.none()))
    twice = scanned(driver, [[20, 20]] * 3)
    later = scanned(driver, [[20, 20]])
    assert len({tuple(q) for q in np.concatenate([twice.orientation, later.orientation])}) == 4
    alone = SimulatedInstrument(titanium, SimConfig(drift=DriftConfig.none()))
    for expected in (*twice.orientation, *later.orientation):
        np.testing.assert_array_equal(scanned(alone, [[20, 20]]).orientation[0], expected)


def test_repeats_counts_earlier_occurrences():
    assert repeats(np.array([5, 3, 5, 5, 3, 1])).tolist() == [0, 0, 1, 2, 1, 0]
    assert repeats(np.array([], np.int64)).tolist() == []


def test_instrument_time_adds_up_over_light_scans_and_idling(titanium):
    timing = ScanTiming(travel_s_per_px=0.001, settle_s=0.01, batch_overhead_s=0.5)
    driver = SimulatedInstrument(titanium, SimConfig(timing=timing, seconds_per_image=2.0))
    driver.light(0, ANGLES)
    assert driver.clock.now_s == pytest.approx(36.0)
    points = scanned(driver, [[0, 0], [0, 10]], dwell_s=0.1)
    np.testing.assert_allclose(points.time_s, [36.61, 36.73])
    late = scanned(driver, [[0, 10]], dwell_s=0.1, not_before_s=100.0)
    np.testing.assert_allclose(late.time_s, [100.61])
    np.testing.assert_allclose(late.dwell_s, 0.1)


def test_light_has_the_declared_shape_and_is_reproducible(titanium):
    config = SimConfig(nuisances=LightNuisances(ratio=1.5))
    driver = SimulatedInstrument(titanium, config, seed=3)
    images = driver.light(0, ANGLES)
    assert images.dtype == np.float32
    assert images.shape == (18, *driver.capabilities.light.shape_px)
    assert 0 <= images.min() < images.max() <= 1
    np.testing.assert_array_equal(SimulatedInstrument(titanium, config, seed=3).light(0, ANGLES), images)
    assert not np.array_equal(driver.light(0, ANGLES), images)


def test_misregistration_of_the_section_can_be_read_for_tests(titanium):
    driver = SimulatedInstrument(titanium, SimConfig(), seed=5)
    assert driver.cameras[0].warp.rms_px == pytest.approx(3.0)


def test_cubic_specimen_shows_flat_images_and_scans_all_the_same(nickel):
    driver = SimulatedInstrument(nickel, PERFECT)
    images = driver.light(0, ANGLES)
    assert np.ptp(images) < 1e-4 < images.mean()
    assert scanned(driver, [[0, 0]]).indexed.all()


def test_rgb_instrument_takes_one_colour_image_without_angles(titanium):
    driver = SimulatedInstrument(titanium, PERFECT.model_copy(update={"light_kind": LightKind.RGB}))
    image = driver.light(0, ())
    assert image.shape == (3, *titanium.shape_px)
    assert image.reshape(3, -1).std(axis=1).max() > 0.02
    with pytest.raises(OutOfLimits, match="takes no angles"):
        driver.light(0, ANGLES)


def test_grains_stand_out_of_the_noise_of_an_rgb_instrument(titanium):
    nuisances = replace(LightNuisances.none(), noise=0.15)
    config = SimConfig(light_kind=LightKind.RGB, nuisances=nuisances)
    noisy = SimulatedInstrument(titanium, config).light(0, ())
    clean = SimulatedInstrument(titanium, PERFECT.model_copy(update={"light_kind": LightKind.RGB})).light(0, ())
    noise, signal = (image.reshape(3, -1).std(axis=1) for image in (noisy - clean, clean))
    assert (noise < signal).all()


def test_two_phases_reflect_by_their_own_constants(titanium):
    mixed = titanium.phase_id.copy()
    mixed[:, 30:] = 2
    phases = (*titanium.phases, blocks_map().phases[0].__class__(2, "Beta", "m-3m"))
    section = type(titanium)(**{**titanium.__dict__, "phase_id": mixed, "phases": phases})
    images = SimulatedInstrument(section, PERFECT).light(0, ANGLES)
    assert images[:, :, 30:].std() < 1e-4
    assert images[:, :, :30].std() > 0.02
    points = scanned(SimulatedInstrument(section, PERFECT), [[5, 5], [5, 40]])
    assert points.phase_id.tolist() == [1, 2]


@pytest.mark.parametrize("position", [[-1, 0], [0, 60], [48, 0]])
def test_points_outside_the_grid_are_refused(titanium, position):
    driver = SimulatedInstrument(titanium)
    with pytest.raises(OutOfLimits, match="outside the grid of 48 × 60 px"):
        scanned(driver, [[0, 0], position])
    assert not driver.beam_on


@pytest.mark.parametrize("frame", ["edax-2", "oxford"])
def test_light_sees_the_map_frame_and_ebsd_reports_the_euler_frame(titanium, frame):
    turned = type(titanium)(
        **{**titanium.__dict__, "frame": frame, "orientation": to_euler_frame(titanium.orientation, frame)}
    )
    here, there = SimulatedInstrument(titanium, PERFECT), SimulatedInstrument(turned, PERFECT)
    assert there.capabilities.frame == frame
    np.testing.assert_allclose(there.light(0, ANGLES), here.light(0, ANGLES), atol=2 / 4095)
    measured = to_map_frame(scanned(there, [[5, 5]]).orientation, frame)
    assert disorientation_deg(measured, scanned(here, [[5, 5]]).orientation, "6/mmm")[0] < 0.05


def test_an_instrument_can_be_set_up_to_declare_a_wrong_frame(titanium):
    driver = SimulatedInstrument(titanium, SimConfig(declared_frame=FramePreset.EDAX_1))
    assert driver.capabilities.frame is FramePreset.EDAX_1


def test_sections_are_mounted_side_by_side(titanium):
    driver = SimulatedInstrument((titanium, blocks_map(seed=1)), PERFECT)
    first, second = (scanned(driver, [[5, 5]], section=i).orientation for i in (0, 1))
    assert disorientation_deg(first, second, "6/mmm")[0] > 5
    with pytest.raises(OutOfLimits, match="2 sections, asked for number 2"):
        scanned(driver, [[5, 5]], section=2)
    with pytest.raises(ValueError, match="same grid"):
        SimulatedInstrument((titanium, blocks_map(edge=5)))


def test_no_camera_means_no_light(titanium):
    driver = SimulatedInstrument(titanium, SimConfig(light_kind=None))
    assert driver.capabilities.light is None
    with pytest.raises(OutOfLimits, match="no PL camera"):
        driver.light(0, ANGLES)


def test_specimen_without_an_indexed_point_is_refused(titanium):
    empty = type(titanium)(**{**titanium.__dict__, "phase_id": np.zeros(titanium.shape_px, np.uint8)})
    with pytest.raises(ValueError, match="no point is indexed"):
        SimulatedInstrument(empty)


def test_closing_the_iterator_blanks_the_beam_and_counts_only_exposed_points(titanium):
    driver = SimulatedInstrument(titanium, SimConfig(block_points=10, drift=DriftConfig.none()))
    pixels = all_pixels(titanium.shape_px)[:30]
    blocks = driver.scan(scan_request(pixels))
    first = next(blocks)
    assert driver.beam_on
    blocks.close()
    assert not driver.beam_on
    fresh = scanned(SimulatedInstrument(titanium, SimConfig(drift=DriftConfig.none())), pixels)
    again = scanned(driver, pixels)
    np.testing.assert_array_equal(first.orientation, fresh.orientation[:10])
    assert not np.array_equal(again.orientation[:10], fresh.orientation[:10])
    np.testing.assert_array_equal(again.orientation[10:], fresh.orientation[10:])


def test_park_ends_a_waiting_scan_with_the_points_exposed_so_far(titanium):
    timing = ScanTiming()
    config = SimConfig(speed_up=1.0, timing=timing, dwell_range_s=(0.001, 1e4), drift=DriftConfig.none())
    driver = SimulatedInstrument(titanium, config)
    positions = all_pixels(titanium.shape_px)[:3]
    received = []
    started = threading.Event()

    original = driver.clock._interrupted.wait
    driver.clock._interrupted.wait = lambda seconds: (started.set(), original(seconds))[1]
    worker = threading.Thread(target=lambda: received.extend(driver.scan(scan_request(positions, dwell_s=1000.0))))
    worker.start()
    assert started.wait(HANG_S)
    driver.park()
    worker.join(HANG_S)
    assert not worker.is_alive()
    assert received == []
    assert not driver.beam_on
    assert driver.clock.now_s < 1000


def test_interrupted_block_reports_the_points_that_were_exposed(titanium):
    config = SimConfig(speed_up=1.0, timing=ScanTiming(), drift=DriftConfig.none())
    driver = SimulatedInstrument(titanium, config)
    wall = [0.0]
    driver.clock._wall = lambda: wall[0]

    def wait(_seconds):
        wall[0] += 0.055
        driver.park()

    driver.clock._interrupted.wait = wait
    points = scanned(driver, all_pixels(titanium.shape_px)[:20], dwell_s=0.02)
    assert points.point_id.tolist() == [1, 2]
    assert np.all(points.time_s <= driver.clock.now_s)
    assert np.all(points.status != PointStatus.SKIPPED)
