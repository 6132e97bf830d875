"""What tests of the request/reply core share."""

from __future__ import annotations

import pytest

from tests.protocols.rpc.pair import Pair


@pytest.fixture
def pair() -> Pair:
    return Pair()
