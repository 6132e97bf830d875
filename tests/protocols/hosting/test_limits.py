"""Beyond the limits nothing is exposed; drivers that break their word are told so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grainloop.protocols.aio import Client
from grainloop.protocols.driver_service import DriverService
from grainloop.protocols.errors import ErrorCode
from grainloop.protocols.messages import (
    InstrumentReply,
    LightRequest,
)
from grainloop.protocols.values import LightKind, PointBlock
from tests.protocols.aio.services import running
from tests.protocols.hosting.bench import CAPABILITIES, LIGHT, Asker, Bench, refused, scan

# --- what is refused -------------------------------------------------------------------------------------------------
OUTSIDE = np.array([[0, 0], [3, 30]], np.int32)


REFUSED = {
    "row": (scan(0, 2, position_px=OUTSIDE[:, ::-1]), "point 1 at row 30, column 3 is outside the grid of 20 × 30"),
    "column": (scan(0, 2, position_px=OUTSIDE), "point 1 at row 3, column 30 is outside the grid of 20 × 30 pixels"),
    "negative": (scan(0, 2, position_px=-OUTSIDE), "row -3, column -30"),
    "short dwell": (scan(dwell_s=0.001), "bench SEM: dwell_s 0.001 is outside 0.01 to 1 s."),
    "long dwell": (scan(dwell_s=2.0), "dwell_s 2 is outside"),
    "too many": (scan(0, 51), "bench SEM scans 1 to 50 points at once; batch 0 holds 51."),
    "none": (scan(0, 0), "batch 0 holds 0"),
    "lengths": (scan(0, 2, point_id=np.arange(3)), "3 point ids for 2 positions"),
    "twice": (scan(0, 3, point_id=np.array([7, 8, 7])), "batch 0 holds point 7 twice"),
    "section": (scan(section=2), "bench SEM has sections 0 to 1; section 2 was asked for."),
    "light section": (LightRequest(section=5, angles_deg=(0.0,)), "section 5"),
    "no angles": (LightRequest(), "takes 1 to 5 PL images; 0 angles"),
    "many angles": (LightRequest(angles_deg=(0.0,) * 6), "takes 1 to 5 PL images; 6 angles"),
}


@pytest.mark.parametrize(("request_", "sentence"), REFUSED.values(), ids=REFUSED.keys())
async def test_beyond_the_limits_nothing_is_exposed(bench, asker, request_, sentence):
    error = await refused(asker, request_)
    assert error.code is ErrorCode.OUT_OF_LIMITS
    assert sentence in str(error)
    assert bench.log == []


@pytest.mark.parametrize(
    ("light", "angles", "sentence"),
    [
        (None, (0.0,), "bench SEM has no PL camera."),
        (LIGHT.model_copy(update={"kind": LightKind.RGB}), (0.0,), "takes RGB images at no angle; 1 angles"),
    ],
)
async def test_light_that_is_not_there(light, angles, sentence):
    bench = Bench(CAPABILITIES.model_copy(update={"light": light}))
    async with running(DriverService(bench)) as endpoint, Client(endpoint, InstrumentReply, service="instrument") as it:
        assert sentence in str(await refused(Asker(it), LightRequest(angles_deg=angles)))


# --- drivers that break their word -----------------------------------------------------------------------------------
def one(point_id: int, **fields: Any) -> PointBlock:
    return PointBlock.one(point_id, (0, 0), **{"time_s": 1.0, "dwell_s": 0.1} | fields)


FAULTY = {
    "unasked point": ([one(99)], "delivered point 99, which batch 0 did not ask for"),
    "point twice": ([one(0), one(0)], "delivered point 0, which batch 0 did not ask for or already holds"),
    "points missing": ([one(0)], "delivered 1 of the 3 points of batch 0"),
    "nothing": ([], "delivered 0 of the 3 points"),
    "no block": ([5], "TypeError: scan yielded int where a PointBlock was expected"),
    "no unit quaternion": ([one(0, orientation=(1, 1, 0, 0))], "delivered point 0 with orientation"),
    "no orientation": ([one(0, orientation=(np.nan, 0, 0, 0))], "delivered point 0 with orientation"),
    "unknown phase": ([one(0, phase_id=9)], "delivered point 0 with phase_id 9"),
    "no time": ([one(0, time_s=float("nan"))], "delivered point 0 with time_s nan"),
    "no iterator": (None, "failed in scan: TypeError"),
}


@pytest.mark.parametrize(("blocks", "sentence"), FAULTY.values(), ids=FAULTY.keys())
async def test_a_faulty_scan_is_the_devices_fault(bench, asker, monkeypatch, blocks, sentence):
    monkeypatch.setattr(bench, "scan", lambda request: blocks)
    error = await refused(asker, scan(0, 3))
    assert error.code is ErrorCode.DEVICE_FAILED
    assert sentence in str(error)
    assert "bench SEM" in str(error)


IMAGES = {
    "frame": (np.zeros((1, 6, 4), np.float32), "declared PL images of (4, 6) pixels and delivered (6, 4)"),
    "count": (np.zeros((2, 4, 6), np.float32), "1 images expected, got 2"),
    "dtype": (np.zeros((2, 4, 6), np.complex64), "expected an array of float32, got complex64"),
    "numbers": (np.full((1, 4, 6), np.nan, np.float32), "NaN"),
    "nothing": (None, "failed in light"),
}


@pytest.mark.parametrize(("images", "sentence"), IMAGES.values(), ids=IMAGES.keys())
async def test_faulty_images_are_the_devices_fault(bench, asker, monkeypatch, images, sentence):
    monkeypatch.setattr(bench, "light", lambda section, angles_deg: images)
    error = await refused(asker, LightRequest(angles_deg=(0.0,)))
    assert error.code is ErrorCode.DEVICE_FAILED
    assert sentence in str(error)
