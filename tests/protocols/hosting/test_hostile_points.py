"""Points that a driver makes up: wrong numbers, clocks that run backwards, blocks that were tampered with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grainloop.protocols.errors import ErrorCode
from grainloop.protocols.messages import ScanRequest
from grainloop.protocols.values import PointBlock
from tests.protocols.hosting.bench import Bench, refused, scan
from tests.protocols.hosting.served import served
from tests.protocols.hosting.test_malformed_points import Hearing, failed

BAD = {
    "clock": ("time_s", 0.05, "so its clock ran backwards"),
    "no time": ("time_s", float("nan"), "time_s nan"),
    "no dwell": ("dwell_s", -1e30, "dwell_s -1"),
    "no confidence": ("confidence", float("nan"), "confidence nan"),
    "much confidence": ("confidence", 87.0, "confidence 87"),
    "no fit": ("fit_deg", float("inf"), "fit_deg inf"),
}


class Lying(Bench):
    """Delivers one wrong number, once."""

    def __init__(self, field: str, value: float) -> None:
        super().__init__()
        self.field, self.value, self.lied = field, value, False

    def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
        for block in super().scan(request):
            if 5 in block.point_id and not self.lied:
                self.lied = True
                column = getattr(block, self.field)
                yield block.model_copy(update={self.field: np.full_like(column, self.value)})
            else:
                yield block


@pytest.mark.parametrize("spooled", [False, True])
@pytest.mark.parametrize("what", BAD)
async def test_a_wrong_number_is_refused_as_what_it_is(tmp_path: Path, what: str, spooled: bool) -> None:
    field, value, words = BAD[what]
    driver = Lying(field, value)
    async with served(driver, tmp_path if spooled else None) as asker:
        hearing = Hearing(asker)
        assert words in str(await refused(hearing, scan()))
        assert sorted(hearing.points) == [*range(6)]
        assert list(failed(hearing)) == [5]
        assert (await Hearing(asker).ask(scan())).points == 10
        assert driver.exposed == [*range(10)]


async def test_a_clock_that_runs_backwards_inside_a_block(tmp_path: Path) -> None:
    class Jumping(Bench):
        def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
            block = PointBlock.concatenate(list(super().scan(request)))
            yield block.model_copy(update={"time_s": np.where(block.point_id == 4, 0.2, block.time_s)})

    async with served(Jumping(), tmp_path) as asker:
        hearing = Hearing(asker)
        assert "point 4 with time_s 0.2, so its clock ran backwards" in str(await refused(hearing, scan()))
        assert sorted(hearing.points) == [*range(10)]
        assert list(failed(hearing)) == [4]


async def test_a_block_whose_columns_were_tampered_with_is_refused() -> None:
    class Tampering(Bench):
        def scan(self, request: ScanRequest) -> Iterator[PointBlock]:
            block = next(iter(super().scan(request)))
            yield PointBlock.model_construct(**(vars(block) | {"status": "fine"}))

    async with served(Tampering(), None) as asker:
        error = await refused(asker, scan())
    assert error.code is ErrorCode.DEVICE_FAILED
    assert "status" in str(error)
