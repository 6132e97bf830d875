from types import SimpleNamespace

import numba
import numpy as np

from model.crystal import _jit


def test_kernels_compile_where_there_is_no_place_for_a_cache(monkeypatch):
    asked = []

    def without_cache(*, cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(_jit, "numba", SimpleNamespace(njit=without_cache))

    @_jit.kernel
    def total(values: np.ndarray) -> float:
        result = 0.0
        for value in values:
            result += value
        return result

    assert total(np.arange(5.0)) == 10
    assert asked == [True, False]


def test_not_a_number_is_still_seen_in_compiled_code():
    @_jit.kernel
    def is_nan(a: float) -> bool:
        return bool(np.isnan(a))

    assert is_nan(float("nan"))
    assert not is_nan(float("inf"))
