"""Time that a test lets pass, for deadlines and timers over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

Leap = Callable[[float], None]


@pytest.fixture
def leap(monkeypatch: pytest.MonkeyPatch) -> Leap:
    """Puts the clock of this process forward by so many seconds: what the event loop was to do then is due now.

    Messages on their way are not older for it, so that no verdict hangs on how fast the computer is.
    """
    plain, ahead_s = time.monotonic, [0.0]

    def by(seconds: float) -> None:
        ahead_s[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: plain() + ahead_s[0])
    return by
