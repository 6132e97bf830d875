"""Memory that was freed goes back to the operating system."""

from __future__ import annotations

import platform

import numpy as np

from grainloop.protocols.memory import give_back_memory
from tests.memory import resident_mb


def test_what_was_freed_is_given_back() -> None:
    scattered = [np.ones(8_000) for _ in range(3_200)]  # 64 kB each: too small for glibc to return by itself …
    last = np.ones(8_000)  # … behind one that is still in use
    del scattered
    before = resident_mb()
    given = give_back_memory()
    after = resident_mb()
    assert last.sum() == len(last)
    if platform.libc_ver()[0] == "glibc":
        assert given
        assert after < before - 150
    else:
        assert not given
