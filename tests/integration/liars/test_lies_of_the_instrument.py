"""Whatever a instrument tells, a run ends by its own rules, its session can be read, and nothing false is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.liars.lies import Lie, lies_to_tell
from tests.integration.liars.telling import require_not_believed


@pytest.mark.parametrize("lie", lies_to_tell("instrument"), ids=str)
def test_a_lie_of_the_instrument_is_not_believed(lie: Lie, tmp_path: Path) -> None:
    require_not_believed(lie, tmp_path)
