"""Faults that are asked for come where they were asked for, and nowhere else."""

import threading

import numpy as np
import pytest

from grainloop.instrument_sim.driver import SimulatedInstrument
from grainloop.instrument_sim.faults import Faults, FaultyDriver
from grainloop.protocols.driver import InstrumentDriver
from grainloop.protocols.errors import DeviceFailed
from grainloop.protocols.values import PointBlock, PointStatus
from tests.instrument_sim.conftest import all_pixels, scan_request
from tests.patience import HANG_S


@pytest.fixture
def pixels(titanium):
    return all_pixels(titanium.shape_px)[:30]


def test_without_faults_nothing_changes(titanium, pixels):
    plain = PointBlock.concatenate(list(SimulatedInstrument(titanium).scan(scan_request(pixels))))
    driver: InstrumentDriver = FaultyDriver(SimulatedInstrument(titanium), Faults())
    assert PointBlock.concatenate(list(driver.scan(scan_request(pixels)))) == plain
    assert driver.light(0, (0.0, 45.0)).shape == (2, *titanium.shape_px)
    driver.park()


def test_device_fails_at_the_point_named_and_stays_broken(titanium, pixels):
    inner = SimulatedInstrument(titanium)
    driver = FaultyDriver(inner, Faults(fail_after_points=12))
    received = []
    with pytest.raises(DeviceFailed, match="failed after 12 points"):
        received.extend(driver.scan(scan_request(pixels)))
    assert sum(map(len, received)) == 12
    assert not inner.beam_on
    with pytest.raises(DeviceFailed):
        next(iter(driver.scan(scan_request(pixels))))


def test_device_hangs_until_released(titanium, pixels):
    driver = FaultyDriver(SimulatedInstrument(titanium), Faults(hang_after_points=7))
    received = []
    worker = threading.Thread(target=lambda: received.extend(driver.scan(scan_request(pixels))))
    worker.start()
    assert driver.hanging.wait(HANG_S)
    assert sum(map(len, received)) == 7
    driver.release()
    worker.join(HANG_S)
    assert not worker.is_alive()
    assert sum(map(len, received)) == 30


def test_named_points_fail_and_the_others_do_not(titanium, pixels):
    driver = FaultyDriver(SimulatedInstrument(titanium), Faults(failed_ids=frozenset({3, 17})))
    points = PointBlock.concatenate(list(driver.scan(scan_request(pixels))))
    failed = points.status == PointStatus.FAILED
    assert points.point_id[failed].tolist() == [3, 17]
    assert np.all(points.phase_id[failed] == 0)
    assert np.all(points.orientation[failed] == (1, 0, 0, 0))
    assert points.confidence[~failed].max() > 0.5


def test_camera_and_beam_can_fail(titanium):
    driver = FaultyDriver(SimulatedInstrument(titanium), Faults(fail_light=True, fail_park=True))
    with pytest.raises(DeviceFailed, match="PL camera"):
        driver.light(0, (0.0,))
    with pytest.raises(DeviceFailed, match="cannot be blanked"):
        driver.park()
